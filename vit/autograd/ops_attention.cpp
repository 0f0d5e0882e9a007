#include <algorithm>

#include "vit/autograd/column_gradients.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// Shapes of one call, checked, and where each (batch, head) begins.
struct Problem {
  const AttentionOptions& options;
  const HeadColumns &q, &k, &v;
  int64_t batch, queries, keys;

  Problem(const HeadColumns& q_columns, const HeadColumns& k_columns, const HeadColumns& v_columns,
          const AttentionOptions& attention_options)
      : options(attention_options), q(q_columns), k(k_columns), v(v_columns) {
    for (const HeadColumns* columns : {&q, &k, &v}) {
      check(columns->tokens.value().rank() == 3 && columns->first >= 0 &&
                columns->first + width() <= columns->tokens.size(2),
            "attention: columns [", columns->first, ", ", columns->first + width(), ") of ", options.heads,
            " heads of ", options.head_dim, " are not within ", columns->tokens.shape());
    }
    batch = q.tokens.size(0);
    queries = q.tokens.size(1);
    keys = k.tokens.size(1);
    check(k.tokens.size(0) == batch && v.tokens.size(0) == batch && v.tokens.size(1) == keys, "attention: q ",
          q.tokens.shape(), ", k ", k.tokens.shape(), " and v ", v.tokens.shape(), " do not match");
    if (options.bias.defined()) check_bias(options.bias.shape());
  }

  int64_t width() const { return options.heads * options.head_dim; }
  int64_t pairs() const { return batch * options.heads; }
  static int64_t stride(const HeadColumns& columns) { return columns.tokens.size(2); }
  const float* head(const HeadColumns& columns, int64_t pair) const {
    const int64_t b = pair / options.heads, h = pair % options.heads;
    return columns.tokens.value().f32() + b * columns.tokens.size(1) * stride(columns) + columns.first +
           h * options.head_dim;
  }
  /// Where a pair's bias begins inside the bias tensor.
  int64_t bias_offset(int64_t pair) const {
    const int64_t b = bias_batch == 1 ? 0 : pair / options.heads, h = bias_heads == 1 ? 0 : pair % options.heads;
    return (b * bias_heads + h) * bias_rows * keys;
  }
  const float* bias(int64_t pair) const {
    return options.bias.defined() ? options.bias.value().f32() + bias_offset(pair) : nullptr;
  }
  int64_t bias_stride() const { return bias_rows == 1 ? 0 : keys; }
  /// Pairs p and p + bias_units() share a bias; those between have others, so they may be summed at the same time.
  int64_t bias_units() const {
    if (bias_heads < options.heads) return 1;
    return bias_batch == batch ? pairs() : options.heads;
  }

 private:
  void check_bias(const Shape& shape) {
    const bool whole = shape.rank() == 4;
    if (whole || shape.rank() == 3) {
      bias_batch = whole ? shape[0] : 1;
      bias_heads = shape[-3];
      bias_rows = shape[-2];
    }
    const bool fits = (bias_batch == 1 || bias_batch == batch) && (bias_heads == 1 || bias_heads == options.heads) &&
                      (bias_rows == 1 || bias_rows >= queries) && shape[-1] == keys;
    check(fits, "attention: the bias must be [1 or ", batch, ", 1 or ", options.heads, ", 1 or at least ", queries,
          ", ", keys, "] (the first axis may be left out), got ", shape);
  }
  int64_t bias_batch = 0, bias_heads = 0, bias_rows = 0;
};

int64_t rounded_to_line(int64_t floats) { return (floats + 15) / 16 * 16; }

/// Runs one call's parts: a part packs the keys and values of a (batch, head) and then answers its queries.
class AttentionRun {
 public:
  /// `lse` is undefined unless a gradient will need it.
  AttentionRun(Context& ctx, const Problem& problem, Tensor& out, Tensor& lse)
      : problem_(problem), out_(out), lse_(lse) {
    const int64_t d = problem.options.head_dim;
    packed_size_ = rounded_to_line(table_.attention_packed_size(problem.keys, d, d));
    scratch_size_ = rounded_to_line(table_.attention_workspace_size(d, d));
    const int64_t threads = num_threads();
    // Whole heads per part keep the packed keys in the part's own cache. Too few heads to share out evenly: all are
    // packed first, and the parts are runs of queries.
    if (problem.pairs() % threads == 0 || problem.pairs() >= 8 * threads)
      run_whole_heads(ctx, std::min(threads, problem.pairs()));
    else
      run_query_runs(ctx, threads);
  }

 private:
  void pack(float* packed, int64_t pair, int64_t begin, int64_t end) const {
    const int64_t d = problem_.options.head_dim;
    table_.attention_pack(packed, problem_.head(problem_.k, pair), Problem::stride(problem_.k),
                          problem_.head(problem_.v, pair), Problem::stride(problem_.v), problem_.keys, d, d, begin,
                          end);
  }

  void answer(const float* packed, float* scratch, int64_t pair, int64_t begin, int64_t end) const {
    const int64_t b = pair / problem_.options.heads, h = pair % problem_.options.heads;
    const int64_t d = problem_.options.head_dim;
    const kernels::AttentionArgs args{.out = out_.f32() + b * problem_.queries * problem_.width() + h * d,
                                      .out_stride = problem_.width(),
                                      .lse = lse_.defined() ? lse_.f32() + pair * problem_.queries : nullptr,
                                      .q = problem_.head(problem_.q, pair),
                                      .q_stride = Problem::stride(problem_.q),
                                      .packed_kv = packed,
                                      .bias = problem_.bias(pair),
                                      .bias_stride = problem_.bias_stride(),
                                      .kv_rows = problem_.keys,
                                      .qk_dim = d,
                                      .v_dim = d,
                                      .scale = problem_.options.scale};
    table_.attention_rows(args, scratch, begin, end);
  }

  void run_whole_heads(Context& ctx, int64_t parts) const {
    const Tensor memory = ctx.arena.empty({parts, packed_size_ + scratch_size_});
    parallel_for(parts, [&](int64_t part) {
      float* packed = memory.f32() + part * (packed_size_ + scratch_size_);
      const Range range = part_range(problem_.pairs(), parts, part);
      for (int64_t pair = range.begin; pair < range.end; ++pair) {
        pack(packed, pair, 0, problem_.keys);
        answer(packed, packed + packed_size_, pair, 0, problem_.queries);
      }
    });
  }

  void run_query_runs(Context& ctx, int64_t threads) const {
    const Tensor packed = ctx.arena.empty({problem_.pairs(), packed_size_});
    parallel_for(problem_.pairs(),
                 [&](int64_t pair) { pack(packed.f32() + pair * packed_size_, pair, 0, problem_.keys); });
    const int64_t tile = table_.tile_rows;
    const int64_t tiles = (problem_.queries + tile - 1) / tile;
    const Tensor scratch = ctx.arena.empty({threads, scratch_size_});
    parallel_for(threads, [&](int64_t part) {
      const Range range = part_range(problem_.pairs() * tiles, threads, part);
      for (int64_t at = range.begin; at < range.end;) {
        const int64_t pair = at / tiles, first = at % tiles;
        const int64_t last = std::min(tiles, first + range.end - at);
        answer(packed.f32() + pair * packed_size_, scratch.f32() + part * scratch_size_, pair, first * tile,
               std::min(problem_.queries, last * tile));
        at += last - first;
      }
    });
  }

  const kernels::KernelTable& table_ = kernels::kernels();
  const Problem& problem_;
  Tensor &out_, &lse_;
  int64_t packed_size_ = 0, scratch_size_ = 0;
};

/// What the gradient of an attention needs: its inputs, its output and the log-sum-exp of its scores' rows.
struct AttentionRecord {
  HeadColumns q, k, v;
  AttentionOptions options;
  Tensor out, lse;

  void operator()(Tape& tape, const Tensor& d_out) const {
    StageTimer timer(tape.profile(), "attention.grad");
    const Problem problem(q, k, v, options);
    const ColumnGradients gradients(tape, {&q, &k, &v}, problem.width());
    Tensor d_bias = options.bias.requires_grad() ? tape.zeros(options.bias.shape()) : Tensor();
    const int64_t d = options.head_dim;
    const int64_t scratch_size =
        rounded_to_line(kernels::kernels().attention_grad_workspace_size(problem.queries, problem.keys, d, d));
    // A bias that several samples share is summed over them in order: a part then is a head, through the whole batch.
    const int64_t units = d_bias.defined() ? problem.bias_units() : problem.pairs();
    const int64_t parts = std::min<int64_t>(num_threads(), units);
    const Tensor scratch = tape.empty({parts, scratch_size});
    parallel_for(parts, [&](int64_t part) {
      const Range range = part_range(units, parts, part);
      for (int64_t unit = range.begin; unit < range.end; ++unit)
        for (int64_t pair = unit; pair < problem.pairs(); pair += units) {
          // The kernel fetches the operands of the head that comes next while it works on this one.
          int64_t following = pair + units;
          if (following >= problem.pairs()) following = unit + 1 < range.end ? unit + 1 : pair;
          const auto next = arguments(problem, gradients, d_out, d_bias, following);
          auto args = arguments(problem, gradients, d_out, d_bias, pair);
          args.next = following == pair ? nullptr : &next;
          kernels::kernels().attention_grad(args, scratch.f32() + part * scratch_size);
        }
    });
    gradients.accumulate(tape);
    if (d_bias.defined()) tape.accumulate(options.bias, std::move(d_bias));
    const double products = static_cast<double>(problem.pairs() * problem.queries);
    tape.report_product("attention gradient", products, 5.0 * static_cast<double>(problem.keys),
                        static_cast<double>(d));
  }

 private:
  kernels::AttentionGradArgs arguments(const Problem& problem, const ColumnGradients& gradients, const Tensor& d_out,
                                       const Tensor& d_bias, int64_t pair) const {
    const int64_t b = pair / options.heads, h = pair % options.heads, d = options.head_dim;
    const int64_t out_at = b * problem.queries * problem.width() + h * d;
    const auto gradient = [&](size_t index, const HeadColumns& columns) {
      return gradients.of(index) + b * columns.tokens.size(1) * Problem::stride(columns) + h * d;
    };
    return {.d_q = gradient(0, q),
            .d_q_stride = Problem::stride(q),
            .d_k = gradient(1, k),
            .d_k_stride = Problem::stride(k),
            .d_v = gradient(2, v),
            .d_v_stride = Problem::stride(v),
            .d_bias = d_bias.defined() ? d_bias.f32() + problem.bias_offset(pair) : nullptr,
            .d_bias_stride = problem.bias_stride(),
            .d_out = d_out.f32() + out_at,
            .d_out_stride = problem.width(),
            .out = out.f32() + out_at,
            .out_stride = problem.width(),
            .lse = lse.f32() + pair * problem.queries,
            .q = problem.head(q, pair),
            .q_stride = Problem::stride(q),
            .k = problem.head(k, pair),
            .k_stride = Problem::stride(k),
            .v = problem.head(v, pair),
            .v_stride = Problem::stride(v),
            .bias = problem.bias(pair),
            .bias_stride = problem.bias_stride(),
            .q_rows = problem.queries,
            .kv_rows = problem.keys,
            .qk_dim = d,
            .v_dim = d,
            .scale = options.scale};
  }
};

}  // namespace

Var attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
              const AttentionOptions& options) {
  StageTimer timer(ctx.profile, "attention");
  const Problem problem(q, k, v, options);
  const bool recorded = recording(ctx, {&q.tokens, &k.tokens, &v.tokens, &options.bias});
  Tensor out = ctx.arena.empty({problem.batch, problem.queries, problem.width()});
  Tensor lse = recorded ? ctx.arena.empty({problem.batch, options.heads, problem.queries}) : Tensor();
  if (out.numel() > 0) AttentionRun(ctx, problem, out, lse);
  if (ctx.costs) {
    const double products = 2.0 * static_cast<double>(problem.pairs() * problem.queries * problem.keys);
    const double moved = static_cast<double>(problem.batch * problem.width() * 2 * (problem.queries + problem.keys));
    ctx.costs->add_cost(ctx.scope(), "attention", 2.0 * products * static_cast<double>(options.head_dim), 4.0 * moved);
  }
  if (!recorded) return out;
  return ctx.tape->record(out, {q.tokens, k.tokens, v.tokens, options.bias},
                          AttentionRecord{q, k, v, options, out, lse});
}

Tensor attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k, const AttentionOptions& options) {
  StageTimer timer(ctx.profile, "attention_probs");
  const Problem problem(q, k, k, options);
  Tensor probs = ctx.arena.empty({problem.batch, options.heads, problem.queries, problem.keys});
  parallel_for(problem.pairs(), [&](int64_t pair) {
    const kernels::AttentionScoresArgs args{.probabilities = probs.f32() + pair * problem.queries * problem.keys,
                                            .probabilities_stride = problem.keys,
                                            .q = problem.head(q, pair),
                                            .q_stride = Problem::stride(q),
                                            .k = problem.head(k, pair),
                                            .k_stride = Problem::stride(k),
                                            .bias = problem.bias(pair),
                                            .bias_stride = problem.bias_stride(),
                                            .kv_rows = problem.keys,
                                            .qk_dim = options.head_dim,
                                            .scale = options.scale};
    kernels::kernels().attention_scores(args, 0, problem.queries);
  });
  return probs;
}

Tensor attention_scores(Context& ctx, const HeadColumns& q, const HeadColumns& k, const AttentionOptions& options) {
  StageTimer timer(ctx.profile, "attention_scores");
  const Problem problem(q, k, k, options);
  const auto& table = kernels::kernels();
  const int64_t queries = problem.queries, keys = problem.keys, d = options.head_dim;
  Tensor scores = ctx.arena.empty({problem.batch, options.heads, queries, keys});
  const int64_t parts = std::min<int64_t>(num_threads(), problem.pairs());
  const int64_t panels = kernels::panel_count(table, keys);
  const Tensor packed = ctx.arena.empty({parts, rounded_to_line(kernels::packed_size(table, keys, d))});
  parallel_for(parts, [&](int64_t part) {
    float* keys_t = packed.f32() + part * packed.size(1);
    const Range range = part_range(problem.pairs(), parts, part);
    for (int64_t pair = range.begin; pair < range.end; ++pair) {
      float* scores_bh = scores.f32() + pair * queries * keys;
      table.pack_b(keys_t, problem.head(k, pair), Problem::stride(k), 1, keys, d, 0, panels);
      const kernels::GemmArgs args{.c = scores_bh,
                                   .c_stride = keys,
                                   .a = problem.head(q, pair),
                                   .a_stride = Problem::stride(q),
                                   .b = keys_t,
                                   .n = keys,
                                   .k = d,
                                   .epilogue = {}};
      table.gemm(args, {0, queries, 0, panels});
      const float* bias = problem.bias(pair);
      for (int64_t i = 0; i < queries; ++i)
        for (int64_t j = 0; j < keys; ++j) {
          float& score = scores_bh[i * keys + j];
          score = options.scale * score + (bias ? bias[i * problem.bias_stride() + j] : 0.0f);
        }
    }
  });
  return scores;
}

}  // namespace vit
