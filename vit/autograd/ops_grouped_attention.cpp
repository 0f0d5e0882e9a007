#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "vit/autograd/attention_ops.h"
#include "vit/autograd/column_gradients.h"
#include "vit/autograd/op_support.h"
#include "vit/kernels/group_kernels.h"

namespace vit {

namespace {

/// How often each token is some group's key.
enum class KeyUse {
  once,          ///< every token exactly once (windows)
  at_most_once,  ///< some are nobody's key
  repeatedly,    ///< groups overlap: their gradients are sums
};

/// Shapes and indices of one call, checked, and where each (sample, group, head) finds what it needs.
struct GroupedProblem {
  const TokenGroups& groups;
  const GroupedAttentionOptions& options;
  const HeadColumns &q, &k, &v;
  int64_t batch = 0, queries = 0, keys = 0;  // tokens
  int64_t count = 0, q_rows = 0, kv_rows = 0;
  KeyUse key_use = KeyUse::once;

  GroupedProblem(const HeadColumns& q_columns, const HeadColumns& k_columns, const HeadColumns& v_columns,
                 const TokenGroups& token_groups, const GroupedAttentionOptions& attention_options)
      : groups(token_groups), options(attention_options), q(q_columns), k(k_columns), v(v_columns) {
    check_columns();
    check_groups();
    check_bias_and_mask();
    check_filler();
  }

  int64_t width() const { return options.heads * options.head_dim; }
  /// (sample, group) pairs.
  int64_t items() const { return batch * count; }
  const float* bias(int64_t h) const {
    return options.bias.defined() ? options.bias.value().f32() + bias_offset(h) : nullptr;
  }
  int64_t bias_offset(int64_t h) const { return options.bias.size(0) == 1 ? 0 : h * q_rows * kv_rows; }

  static const float* head(const HeadColumns& columns, int64_t b, int64_t offset) {
    return columns.tokens.value().f32() + b * columns.tokens.size(1) * columns.tokens.size(2) + columns.first + offset;
  }

  kernels::TokenGroup at(int64_t item, int64_t h) const {
    const int64_t b = item / count, g = item % count, offset = h * options.head_dim;
    const int64_t mask = options.mask.defined() ? options.mask_of.data<int64_t>()[g] : -1;
    const float* filler = options.filler.defined() ? options.filler.value().f32() : nullptr;
    return {.q = head(q, b, offset),
            .q_stride = q.tokens.size(2),
            .k = head(k, b, offset),
            .k_stride = k.tokens.size(2),
            .v = head(v, b, offset),
            .v_stride = v.tokens.size(2),
            .queries = groups.queries.data<int64_t>() + g * q_rows,
            .keys = groups.keys.data<int64_t>() + (groups.keys.rank() == 3 ? item : g) * kv_rows,
            .filler_k = filler ? filler + k.first + offset : nullptr,
            .filler_v = filler ? filler + v.first + offset : nullptr,
            .bias = bias(h),
            .mask = mask >= 0 ? options.mask.f32() + mask * q_rows * kv_rows : nullptr,
            .q_rows = q_rows,
            .kv_rows = kv_rows,
            .qk_dim = options.head_dim,
            .v_dim = options.head_dim,
            .scale = options.scale};
  }

 private:
  void check_columns() {
    for (const HeadColumns* columns : {&q, &k, &v})
      check(columns->tokens.value().rank() == 3 && columns->first >= 0 &&
                columns->first + width() <= columns->tokens.size(2),
            "grouped_attention: columns [", columns->first, ", ", columns->first + width(), ") of ", options.heads,
            " heads of ", options.head_dim, " are not within ", columns->tokens.shape());
    batch = q.tokens.size(0);
    queries = q.tokens.size(1);
    keys = k.tokens.size(1);
    check(k.tokens.size(0) == batch && v.tokens.size(0) == batch && v.tokens.size(1) == keys, "grouped_attention: q ",
          q.tokens.shape(), ", k ", k.tokens.shape(), " and v ", v.tokens.shape(), " do not match");
  }

  void check_groups() {
    const Tensor &asking = groups.queries, &seen = groups.keys;
    const bool fits = asking.defined() && seen.defined() && asking.dtype() == DType::i64 &&
                      seen.dtype() == DType::i64 && asking.rank() == 2 && (seen.rank() == 2 || seen.rank() == 3) &&
                      seen.size(-2) == asking.size(0) && (seen.rank() == 2 || seen.size(0) == batch);
    check(fits, "grouped_attention: the groups must be i64, queries [G, Mq] and keys [G, Mk] or [", batch,
          ", G, Mk], got ", asking.shape(), " and ", seen.shape());
    count = asking.size(0);
    q_rows = asking.size(1);
    kv_rows = seen.size(-1);
    std::vector<int32_t> uses(static_cast<size_t>(queries));
    count_uses(asking.span<int64_t>(), queries, "query", uses);
    const auto wrong = std::find_if(uses.begin(), uses.end(), [](int32_t n) { return n != 1; });
    check(wrong == uses.end(), "grouped_attention: token ", wrong - uses.begin(),
          " must be a query of one group, is of ", wrong == uses.end() ? 1 : *wrong);
    const size_t tables = seen.rank() == 3 ? static_cast<size_t>(batch) : 1,
                 each = static_cast<size_t>(count * kv_rows);
    for (size_t table = 0; table < tables; ++table) {
      uses.assign(static_cast<size_t>(keys), 0);
      count_uses(seen.span<int64_t>().subspan(table * each, each), keys, "key", uses);
      for (const int32_t n : uses) {
        if (n == 0 && key_use == KeyUse::once) key_use = KeyUse::at_most_once;
        if (n > 1) key_use = KeyUse::repeatedly;
      }
    }
  }

  static void count_uses(std::span<const int64_t> index, int64_t tokens, const char* what, std::vector<int32_t>& uses) {
    for (const int64_t token : index) {
      if (token < 0 || token >= tokens)
        check(token == -1, "grouped_attention: a group's ", what, " is token ", token, " of ", tokens);
      else
        ++uses[static_cast<size_t>(token)];
    }
  }

  void check_bias_and_mask() const {
    const Var& bias_var = options.bias;
    check(!bias_var.defined() ||
              (bias_var.value().rank() == 3 && (bias_var.size(0) == 1 || bias_var.size(0) == options.heads) &&
               bias_var.size(1) == q_rows && bias_var.size(2) == kv_rows),
          "grouped_attention: the bias must be [1 or ", options.heads, ", ", q_rows, ", ", kv_rows, "], got ",
          bias_var.shape());
    if (!options.mask.defined()) return;
    const Tensor &mask = options.mask, &mask_of = options.mask_of;
    check(mask.rank() == 3 && mask.size(1) == q_rows && mask.size(2) == kv_rows && mask_of.defined() &&
              mask_of.dtype() == DType::i64 && mask_of.shape() == Shape{count},
          "grouped_attention: mask and mask_of must be [K, ", q_rows, ", ", kv_rows, "] and i64 [", count, "], got ",
          mask.shape(), " and ", mask_of.shape());
    for (const int64_t kind : mask_of.span<int64_t>())
      check(kind >= -1 && kind < mask.size(0), "grouped_attention: mask_of has ", kind, " with ", mask.size(0),
            " masks");
  }

  void check_filler() const {
    if (!options.filler.defined()) return;
    check(k.tokens.value().raw() == v.tokens.value().raw(),
          "grouped_attention: with a filler, keys and values must lie in one tensor");
    check(options.filler.shape() == Shape{k.tokens.size(2)}, "grouped_attention: the filler must be [",
          k.tokens.size(2), "] as a row of the keys' tensor, got ", options.filler.shape());
  }
};

/// 64-byte aligned scratch for each of `parts` threads, and how far apart.
struct Scratch {
  Tensor memory;
  Scratch(Arena& arena, int64_t parts, int64_t floats) : memory(arena.empty({parts, (floats + 15) / 16 * 16})) {}
  float* of(int64_t part) const { return memory.f32() + part * memory.size(1); }
};

void answer(Context& ctx, const GroupedProblem& problem, const Tensor& out, const Tensor& lse) {
  const kernels::GroupKernels& table = *kernels::kernels().groups;
  const int64_t heads = problem.options.heads, d = problem.options.head_dim, units = problem.items() * heads;
  const int64_t parts = std::min<int64_t>(num_threads(), units);
  const Scratch scratch(ctx.arena, parts,
                        table.grouped_attention_workspace_size(problem.q_rows, problem.kv_rows, d, d));
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(units, parts, part);
    kernels::TokenGroup group = problem.at(range.begin / heads, range.begin % heads);
    for (int64_t unit = range.begin; unit < range.end; ++unit) {
      // The kernel fetches the rows of the group that comes next while it works on this one.
      const bool last = unit + 1 == range.end;
      const kernels::TokenGroup next = last ? group : problem.at((unit + 1) / heads, (unit + 1) % heads);
      const int64_t b = unit / heads / problem.count, h = unit % heads;
      table.grouped_attention({.out = out.f32() + b * problem.queries * problem.width() + h * d,
                               .out_stride = problem.width(),
                               .lse = lse.defined() ? lse.f32() + (b * heads + h) * problem.queries : nullptr,
                               .group = group,
                               .next = last ? nullptr : &next},
                              scratch.of(part));
      group = next;
    }
  });
}

/// What the gradient needs: inputs, output and the log-sum-exp of its scores' rows.
struct GroupedAttentionRecord {
  HeadColumns q, k, v;
  TokenGroups groups;
  GroupedAttentionOptions options;
  Tensor out, lse;

  void operator()(Tape& tape, const Tensor& d_out) const {
    StageTimer timer(tape.profile(), "grouped_attention.grad");
    const GroupedProblem problem(q, k, v, groups, options);
    const ColumnGradients gradients(tape, {&q, &k, &v}, problem.width(), problem.key_use == KeyUse::once);
    const Sums sums(tape, *this, problem);
    run(tape, problem, gradients, sums, d_out);
    gradients.accumulate(tape);
    if (sums.bias.defined()) tape.accumulate(options.bias, sums.total_bias(tape, *this));
    if (sums.filler.defined()) tape.accumulate(options.filler, sums.total_filler(tape, *this));
    tape.report_product("grouped_attention gradient",
                        static_cast<double>(problem.items() * options.heads * problem.q_rows),
                        5.0 * static_cast<double>(problem.kv_rows), static_cast<double>(options.head_dim));
  }

 private:
  /// Sums over groups and samples are made in fixed parts, which depend on the problem alone, and then over the parts.
  struct Sums {
    int64_t parts;
    Tensor bias;    ///< [parts, H, Mq, Mk], or undefined
    Tensor filler;  ///< [parts, H, 2, D]: of keys and values, or undefined

    Sums(Tape& tape, const GroupedAttentionRecord& record, const GroupedProblem& problem)
        : parts(part_count(record, problem)) {
      const int64_t heads = record.options.heads;
      if (record.options.bias.requires_grad()) bias = tape.zeros({parts, heads, problem.q_rows, problem.kv_rows});
      if (record.options.filler.requires_grad()) filler = tape.zeros({parts, heads, 2, record.options.head_dim});
    }

    static int64_t part_count(const GroupedAttentionRecord& record, const GroupedProblem& problem) {
      // Groups that share keys are one part of their sample: they add to the same rows.
      int64_t count = problem.key_use == KeyUse::repeatedly ? problem.batch : problem.items();
      constexpr int64_t kMostParts = 32, kMostFloats = 1 << 22;
      const int64_t floats = record.options.heads * problem.q_rows * problem.kv_rows;
      if (record.options.bias.requires_grad()) count = std::min(count, kMostFloats / std::max<int64_t>(1, floats));
      return std::clamp<int64_t>(count, 1, kMostParts);
    }

    /// Items of a part.
    Range range(const GroupedProblem& problem, int64_t part) const {
      if (problem.key_use != KeyUse::repeatedly) return part_range(problem.items(), parts, part);
      const Range samples = part_range(problem.batch, parts, part);
      return {samples.begin * problem.count, samples.end * problem.count};
    }

    Tensor total_bias(Tape& tape, const GroupedAttentionRecord& record) const {
      Tensor total = tape.zeros(record.options.bias.shape());
      // A bias of one head is the sum over all of them.
      const int64_t rows = bias.numel() / std::max<int64_t>(1, total.numel());
      kernels::kernels().sum_rows(total.f32(), bias.f32(), total.numel(), rows, total.numel(), false);
      return total;
    }

    Tensor total_filler(Tape& tape, const GroupedAttentionRecord& record) const {
      const int64_t heads = record.options.heads, d = record.options.head_dim;
      Tensor total = tape.zeros(record.options.filler.shape());
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t i = 0; i < d; ++i) {
            const float* sums = filler.f32() + (part * heads + h) * 2 * d;
            total.f32()[record.k.first + h * d + i] += sums[i];
            total.f32()[record.v.first + h * d + i] += sums[d + i];
          }
      return total;
    }
  };

  void run(Tape& tape, const GroupedProblem& problem, const ColumnGradients& gradients, const Sums& sums,
           const Tensor& d_out) const {
    const kernels::GroupKernels& table = *kernels::kernels().groups;
    const int64_t heads = options.heads, d = options.head_dim, units = sums.parts * heads;
    const int64_t threads = std::min<int64_t>(num_threads(), units);
    const Tensor scratch = tape.empty(
        {threads, (table.grouped_attention_grad_workspace_size(problem.q_rows, problem.kv_rows, d, d) + 15) / 16 * 16});
    parallel_for(threads, [&](int64_t thread) {
      const Range range = part_range(units, threads, thread);
      for (int64_t unit = range.begin; unit < range.end; ++unit) {
        const Range items = sums.range(problem, unit / heads);
        for (int64_t item = items.begin; item < items.end; ++item)
          table.grouped_attention_grad(arguments(problem, gradients, sums, d_out, item, unit),
                                       scratch.f32() + thread * scratch.size(1));
      }
    });
  }

  kernels::GroupedAttentionGradArgs arguments(const GroupedProblem& problem, const ColumnGradients& gradients,
                                              const Sums& sums, const Tensor& d_out, int64_t item, int64_t unit) const {
    const int64_t heads = options.heads, d = options.head_dim, h = unit % heads, b = item / problem.count;
    const int64_t out_at = b * problem.queries * problem.width() + h * d;
    const auto gradient = [&](size_t index, const HeadColumns& columns) {
      return gradients.of(index) + b * columns.tokens.size(1) * columns.tokens.size(2) + h * d;
    };
    float* d_filler = sums.filler.defined() ? sums.filler.f32() + unit * 2 * d : nullptr;
    return {.d_q = gradient(0, q),
            .d_q_stride = q.tokens.size(2),
            .d_k = gradient(1, k),
            .d_k_stride = k.tokens.size(2),
            .d_v = gradient(2, v),
            .d_v_stride = v.tokens.size(2),
            .accumulate_kv = problem.key_use == KeyUse::repeatedly,
            .d_filler_k = d_filler,
            .d_filler_v = d_filler ? d_filler + d : nullptr,
            .d_bias = sums.bias.defined() ? sums.bias.f32() + unit * problem.q_rows * problem.kv_rows : nullptr,
            .d_out = d_out.f32() + out_at,
            .d_out_stride = problem.width(),
            .out = out.f32() + out_at,
            .out_stride = problem.width(),
            .lse = lse.f32() + (b * heads + h) * problem.queries,
            .group = problem.at(item, h)};
  }
};

void report_costs(Context& ctx, const GroupedProblem& problem) {
  if (!ctx.costs) return;
  const double products = 2.0 * static_cast<double>(problem.items() * problem.q_rows * problem.kv_rows);
  const double rows = static_cast<double>(problem.items() * (problem.q_rows + problem.kv_rows));
  const auto width = static_cast<double>(problem.width());
  ctx.costs->add_cost(ctx.scope(), "grouped_attention", 2.0 * products * width, 4.0 * 2.0 * rows * width);
}

/// Rows of a group, one after the other, for what is not the fast path.
void copy_rows(float* y, const float* x, int64_t stride, const int64_t* index, int64_t rows, int64_t cols,
               const float* filler) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* x_i = index[i] < 0 ? filler : x + index[i] * stride;
    if (x_i)
      std::copy_n(x_i, cols, y + i * cols);
    else
      std::fill_n(y + i * cols, cols, 0.0f);
  }
}

/// Adds one group's probabilities to those of its head, p [Nq, Nk]. `memory` holds group_floats().
class GroupProbs {
 public:
  explicit GroupProbs(const GroupedProblem& problem) : problem_(problem) {}
  int64_t floats() const {
    const int64_t d = problem_.options.head_dim;
    return (problem_.q_rows + problem_.kv_rows) * d + 2 * problem_.q_rows * problem_.kv_rows;
  }

  void add(float* p, const kernels::TokenGroup& group, float* memory) const {
    const int64_t q_rows = group.q_rows, kv_rows = group.kv_rows;
    float *q = memory, *k = q + q_rows * group.qk_dim, *bias = k + kv_rows * group.qk_dim;
    float* probs = bias + q_rows * kv_rows;
    copy_rows(q, group.q, group.q_stride, group.queries, q_rows, group.qk_dim, nullptr);
    copy_rows(k, group.k, group.k_stride, group.keys, kv_rows, group.qk_dim, group.filler_k);
    for (int64_t i = 0; i < q_rows * kv_rows; ++i) {
      bias[i] = (group.bias ? group.bias[i] : 0.0f) + (group.mask ? group.mask[i] : 0.0f);
      if (!group.filler_k && group.keys[i % kv_rows] < 0) bias[i] = -std::numeric_limits<float>::infinity();
    }
    kernels::kernels().attention_scores({.probabilities = probs,
                                         .probabilities_stride = kv_rows,
                                         .q = q,
                                         .q_stride = group.qk_dim,
                                         .k = k,
                                         .k_stride = group.qk_dim,
                                         .bias = bias,
                                         .bias_stride = kv_rows,
                                         .kv_rows = kv_rows,
                                         .qk_dim = group.qk_dim,
                                         .scale = group.scale},
                                        0, q_rows);
    for (int64_t i = 0; i < q_rows; ++i)
      for (int64_t j = 0; group.queries[i] >= 0 && j < kv_rows; ++j)
        if (group.keys[j] >= 0) p[group.queries[i] * problem_.keys + group.keys[j]] += probs[i * kv_rows + j];
  }

 private:
  const GroupedProblem& problem_;
};

}  // namespace

Var grouped_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                      const TokenGroups& groups, const GroupedAttentionOptions& options) {
  StageTimer timer(ctx.profile, "grouped_attention");
  const GroupedProblem problem(q, k, v, groups, options);
  const bool recorded = recording(ctx, {&q.tokens, &k.tokens, &v.tokens, &options.bias, &options.filler});
  Tensor out = ctx.arena.empty({problem.batch, problem.queries, problem.width()});
  Tensor lse = recorded ? ctx.arena.empty({problem.batch, options.heads, problem.queries}) : Tensor();
  if (out.numel() > 0) answer(ctx, problem, out, lse);
  report_costs(ctx, problem);
  if (!recorded) return out;
  return ctx.tape->record(out, {q.tokens, k.tokens, v.tokens, options.bias, options.filler},
                          GroupedAttentionRecord{q, k, v, groups, options, out, lse});
}

Tensor grouped_attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k, const TokenGroups& groups,
                               const GroupedAttentionOptions& options) {
  StageTimer timer(ctx.profile, "grouped_attention_probs");
  const GroupedProblem problem(q, k, k, groups, options);
  const GroupProbs group_probs(problem);
  Tensor probs = ctx.arena.empty({problem.batch, options.heads, problem.queries, problem.keys});
  const int64_t pairs = problem.batch * options.heads, parts = std::min<int64_t>(num_threads(), pairs);
  const Scratch scratch(ctx.arena, parts, group_probs.floats());
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(pairs, parts, part);
    for (int64_t pair = range.begin; pair < range.end; ++pair) {
      const int64_t b = pair / options.heads, h = pair % options.heads;
      float* p = probs.f32() + pair * problem.queries * problem.keys;
      std::fill_n(p, problem.queries * problem.keys, 0.0f);
      for (int64_t g = 0; g < problem.count; ++g)
        group_probs.add(p, problem.at(b * problem.count + g, h), scratch.of(part));
    }
  });
  return probs;
}

}  // namespace vit
