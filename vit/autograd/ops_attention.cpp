#include <algorithm>

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
    if (!options.bias.defined()) return;
    const Shape& bias = options.bias.shape();
    check(bias.rank() == 3 && (bias[0] == 1 || bias[0] == options.heads) && bias[1] >= queries && bias[2] == keys,
          "attention: the bias must be [1 or ", options.heads, ", at least ", queries, ", ", keys, "], got ", bias);
  }

  int64_t width() const { return options.heads * options.head_dim; }
  int64_t pairs() const { return batch * options.heads; }
  static int64_t stride(const HeadColumns& columns) { return columns.tokens.size(2); }
  const float* head(const HeadColumns& columns, int64_t pair) const {
    const int64_t b = pair / options.heads, h = pair % options.heads;
    return columns.tokens.value().f32() + b * columns.tokens.size(1) * stride(columns) + columns.first +
           h * options.head_dim;
  }
  const float* bias(int64_t pair) const {
    if (!options.bias.defined()) return nullptr;
    const int64_t h = options.bias.size(0) == 1 ? 0 : pair % options.heads;
    return options.bias.f32() + h * options.bias.size(1) * keys;
  }
};

int64_t rounded_to_line(int64_t floats) { return (floats + 15) / 16 * 16; }

/// Runs one call's parts: a part packs the keys and values of a (batch, head) and then answers its queries.
class AttentionRun {
 public:
  AttentionRun(Context& ctx, const Problem& problem, Tensor& out) : problem_(problem), out_(out) {
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
                                      .q = problem_.head(problem_.q, pair),
                                      .q_stride = Problem::stride(problem_.q),
                                      .packed_kv = packed,
                                      .bias = problem_.bias(pair),
                                      .bias_stride = problem_.keys,
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
  Tensor& out_;
  int64_t packed_size_ = 0, scratch_size_ = 0;
};

}  // namespace

Var attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
              const AttentionOptions& options) {
  StageTimer timer(ctx.profile, "attention");
  require_no_gradient(ctx, "attention", {&q.tokens, &k.tokens, &v.tokens});
  const Problem problem(q, k, v, options);
  Tensor out = ctx.arena.empty({problem.batch, problem.queries, problem.width()});
  if (out.numel() > 0) AttentionRun(ctx, problem, out);
  if (ctx.costs) {
    const double products = 2.0 * static_cast<double>(problem.pairs() * problem.queries * problem.keys);
    const double moved = static_cast<double>(problem.batch * problem.width() * 2 * (problem.queries + problem.keys));
    ctx.costs->add_cost(ctx.scope(), "attention", 2.0 * products * static_cast<double>(options.head_dim), 4.0 * moved);
  }
  return out;
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
                                            .bias_stride = problem.keys,
                                            .kv_rows = problem.keys,
                                            .qk_dim = options.head_dim,
                                            .scale = options.scale};
    kernels::kernels().attention_scores(args, 0, problem.queries);
  });
  return probs;
}

}  // namespace vit
