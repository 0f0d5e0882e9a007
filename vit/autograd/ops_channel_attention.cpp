#include <algorithm>
#include <cmath>
#include <utility>

#include "vit/autograd/attention_ops.h"
#include "vit/autograd/column_gradients.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

/// torch's normalize divides by the norm, but at least by this.
constexpr float kSmallestNorm = 1e-12f;
/// Tokens of one partial sum of q^T k.
constexpr int64_t kTokensPerPart = 1024;

/// Everything about one call but its kernels: shapes, checked, and where each (batch, head) begins.
struct ChannelProblem {
  HeadColumns q, k, v;
  ChannelAttentionOptions options;
  int64_t batch, tokens;

  ChannelProblem(const HeadColumns& q_columns, const HeadColumns& k_columns, const HeadColumns& v_columns,
                 const ChannelAttentionOptions& given)
      : q(q_columns), k(k_columns), v(v_columns), options(given) {
    check(options.heads > 0 && options.head_dim > 0, "channel_attention: heads and head_dim must be positive, got ",
          options.heads, " and ", options.head_dim);
    for (const HeadColumns* columns : {&q, &k, &v})
      check(columns->tokens.value().rank() == 3 && columns->first >= 0 &&
                columns->first + width() <= columns->tokens.size(2),
            "channel_attention: columns [", columns->first, ", ", columns->first + width(), ") of ", options.heads,
            " heads of ", options.head_dim, " are not within ", columns->tokens.shape());
    batch = q.tokens.size(0);
    tokens = q.tokens.size(1);
    for (const HeadColumns* columns : {&k, &v})
      check(columns->tokens.size(0) == batch && columns->tokens.size(1) == tokens, "channel_attention: q ",
            q.tokens.shape(), ", k ", k.tokens.shape(), " and v ", v.tokens.shape(), " do not match");
    check(!options.temperature.defined() || options.temperature.shape() == Shape{options.heads},
          "channel_attention: temperature must be [", options.heads, "], got ", options.temperature.shape());
  }

  int64_t width() const { return options.heads * options.head_dim; }
  int64_t dim() const { return options.head_dim; }
  int64_t square() const { return dim() * dim(); }
  int64_t pairs() const { return batch * options.heads; }
  int64_t token_parts() const { return std::clamp<int64_t>(tokens / kTokensPerPart, 1, 8); }
  static int64_t stride(const HeadColumns& columns) { return columns.tokens.size(2); }
  /// Floats from the start of a tensor [B, N, row] to a pair's columns behind `first`.
  int64_t offset(int64_t pair, int64_t row) const {
    return pair / options.heads * tokens * row + pair % options.heads * dim();
  }
  const float* head(const HeadColumns& columns, int64_t pair) const {
    return columns.tokens.value().f32() + columns.first + offset(pair, stride(columns));
  }
  /// The factor on a pair's scores.
  float factor(int64_t pair) const {
    return options.scale *
           (options.temperature.defined() ? options.temperature.value().f32()[pair % options.heads] : 1.0f);
  }
};

/// c [D, D] = a^T b over `rows` tokens.
void multiply_channels(float* c, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t dim,
                       int64_t rows) {
  const auto& table = kernels::kernels();
  table.gemm_transposed(
      {.c = c, .c_stride = dim, .a = a, .a_stride = a_stride, .b = b, .b_stride = b_stride, .n = dim, .k = rows},
      {0, dim, 0, kernels::panel_count(table, dim)});
}

/// y [rows, D] = x [rows, D] times a packed D x D matrix.
void mix_channels(float* y, int64_t y_stride, const float* x, int64_t x_stride, const float* packed, int64_t dim,
                  int64_t rows) {
  const auto& table = kernels::kernels();
  table.gemm(
      {.c = y, .c_stride = y_stride, .a = x, .a_stride = x_stride, .b = packed, .n = dim, .k = dim, .epilogue = {}},
      {0, rows, 0, kernels::panel_count(table, dim)});
}

/// Packs matrix [D, D] for x times matrix, or for x times its transpose.
void pack_square(float* packed, const float* matrix, int64_t dim, bool transposed) {
  const auto& table = kernels::kernels();
  table.pack_b(packed, matrix, transposed ? dim : 1, transposed ? 1 : dim, dim, dim, 0,
               kernels::panel_count(table, dim));
}

int64_t packed_square(int64_t dim) { return kernels::packed_size(kernels::kernels(), dim, dim); }

/// What the channels of each (batch, head) have to do with each other, all [B * H, D, D], and their norms [B * H, 2, D]
/// (those of q, then of k; ones without `normalize`).
struct ChannelScores {
  Tensor cosines;  ///< q^T k, divided by the norms
  Tensor probs;    ///< softmax(factor * cosines)
  Tensor norms;
};

/// q^T k and the squares of the norms, in fixed parts of tokens: one pair per head is too few to share out evenly.
Tensor partial_products(Context& ctx, const ChannelProblem& p, int64_t size) {
  const auto& table = kernels::kernels();
  const int64_t parts = p.token_parts();
  const Tensor partial = ctx.arena.empty({p.pairs(), parts, size});
  parallel_for(p.pairs() * parts, [&](int64_t index) {
    const int64_t pair = index / parts;
    const Range range = part_range(p.tokens, parts, index % parts);
    const int64_t rows = range.end - range.begin;
    float* sums = partial.f32() + index * size;
    const float* q = p.head(p.q, pair) + range.begin * ChannelProblem::stride(p.q);
    const float* k = p.head(p.k, pair) + range.begin * ChannelProblem::stride(p.k);
    multiply_channels(sums, q, ChannelProblem::stride(p.q), k, ChannelProblem::stride(p.k), p.dim(), rows);
    if (!p.options.normalize) return;
    float* squares = sums + p.square();
    std::fill_n(squares, 2 * p.dim(), 0.0f);
    const int64_t q_stride = ChannelProblem::stride(p.q), k_stride = ChannelProblem::stride(p.k);
    table.sum_rows_product(squares, q, q_stride, q, q_stride, rows, p.dim());
    table.sum_rows_product(squares + p.dim(), k, k_stride, k, k_stride, rows, p.dim());
  });
  return partial;
}

ChannelScores channel_scores(Context& ctx, const ChannelProblem& p) {
  const auto& table = kernels::kernels();
  const int64_t dim = p.dim(), size = p.square() + (p.options.normalize ? 2 * dim : 0), parts = p.token_parts();
  const Tensor partial = partial_products(ctx, p, size);
  ChannelScores scores{ctx.arena.empty({p.pairs(), dim, dim}), ctx.arena.empty({p.pairs(), dim, dim}),
                       ctx.arena.empty({p.pairs(), 2, dim})};
  parallel_for(p.pairs(), [&](int64_t pair) {
    float* sums = partial.f32() + pair * parts * size;
    table.sum_rows(sums, sums, size, parts, size, false);
    float* norms = scores.norms.f32() + pair * 2 * dim;
    for (int64_t i = 0; i < 2 * dim; ++i)
      norms[i] = p.options.normalize ? std::max(std::sqrt(sums[p.square() + i]), kSmallestNorm) : 1.0f;
    float *cosines = scores.cosines.f32() + pair * p.square(), *probs = scores.probs.f32() + pair * p.square();
    for (int64_t i = 0; i < dim; ++i)
      for (int64_t j = 0; j < dim; ++j) cosines[i * dim + j] = sums[i * dim + j] / norms[i] / norms[dim + j];
    table.softmax(probs, dim, cosines, dim, dim, dim, p.factor(pair));
  });
  return scores;
}

/// The gradient of a whole call. The D x D matrices are kept; they are small beside the tokens.
struct ChannelRecord {
  ChannelProblem problem;
  ChannelScores scores;

  void operator()(Tape& tape, const Tensor& d_out) const {
    StageTimer timer(tape.profile(), "channel_attention.grad");
    const ChannelProblem& p = problem;
    const ColumnGradients gradients(tape, {&p.q, &p.k, &p.v}, p.width());
    const int64_t scratch = 2 * p.square() + 2 * p.dim();
    const int64_t packed = (packed_square(p.dim()) + 15) / 16 * 16;
    const Tensor memory = tape.empty({p.pairs(), packed + scratch}), d_factor = tape.empty({p.pairs()});
    parallel_for(p.pairs(), [&](int64_t pair) {
      // Packed matrices begin at a cache line.
      float* mine = memory.f32() + pair * packed;
      float* squares = memory.f32() + p.pairs() * packed + pair * scratch;
      d_factor.f32()[pair] = run(pair, d_out, gradients, mine, squares);
    });
    gradients.accumulate(tape);
    if (!p.options.temperature.requires_grad()) return;
    Tensor d_temperature = tape.zeros({p.options.heads});
    for (int64_t pair = 0; pair < p.pairs(); ++pair)
      d_temperature.f32()[pair % p.options.heads] += p.options.scale * d_factor.f32()[pair];
    tape.accumulate(p.options.temperature, std::move(d_temperature));
  }

 private:
  /// One (batch, head); returns the gradient of its factor.
  float run(int64_t pair, const Tensor& d_out, const ColumnGradients& gradients, float* packed, float* scratch) const {
    const ChannelProblem& p = problem;
    const int64_t dim = p.dim(), width = p.width(), tokens = p.tokens;
    const int64_t q_stride = ChannelProblem::stride(p.q), k_stride = ChannelProblem::stride(p.k),
                  v_stride = ChannelProblem::stride(p.v);
    const float *probs = scores.probs.f32() + pair * p.square(), *d_o = d_out.f32() + p.offset(pair, width);
    const float *q = p.head(p.q, pair), *k = p.head(p.k, pair), *v = p.head(p.v, pair);

    pack_square(packed, probs, dim, false);
    mix_channels(gradients.of(2) + p.offset(pair, v_stride), v_stride, d_o, width, packed, dim, tokens);
    float *d_s = scratch, *mixing = d_s + p.square(), *pull = mixing + p.square();
    multiply_channels(d_s, d_o, width, v, v_stride, dim, tokens);
    kernels::kernels().softmax_grad(d_s, dim, d_s, dim, probs, dim, dim, dim, 1.0f);
    const float d_factor = through_norms(pair, d_s, mixing, pull);

    pack_square(packed, mixing, dim, true);
    float* d_q = gradients.of(0) + p.offset(pair, q_stride);
    mix_channels(d_q, q_stride, k, k_stride, packed, dim, tokens);
    pack_square(packed, mixing, dim, false);
    float* d_k = gradients.of(1) + p.offset(pair, k_stride);
    mix_channels(d_k, k_stride, q, q_stride, packed, dim, tokens);
    if (p.options.normalize) {
      pull_back(d_q, q, q_stride, pull);
      pull_back(d_k, k, k_stride, pull + dim);
    }
    return d_factor;
  }

  /// With c = cosines and d_c = factor * d_s: d_q = k mixing^T - q pull_q, where mixing_ij = d_c_ij / (|q_i| |k_j|) and
  /// pull_i = sum_j d_c_ij c_ij / |q_i|^2 holds the norm; likewise d_k. Returns sum d_s c.
  float through_norms(int64_t pair, const float* d_s, float* mixing, float* pull) const {
    const int64_t dim = problem.dim();
    const float* cosines = scores.cosines.f32() + pair * problem.square();
    const float* norms = scores.norms.f32() + pair * 2 * dim;
    const float factor = problem.factor(pair);
    std::fill_n(pull, 2 * dim, 0.0f);
    double sum = 0.0;
    for (int64_t i = 0; i < dim; ++i)
      for (int64_t j = 0; j < dim; ++j) {
        const int64_t at = i * dim + j;
        const float held = d_s[at] * cosines[at];
        sum += static_cast<double>(held);
        mixing[at] = factor * d_s[at] / norms[i] / norms[dim + j];
        pull[i] += factor * held;
        pull[dim + j] += factor * held;
      }
    for (int64_t i = 0; i < 2 * dim; ++i) pull[i] = norms[i] > kSmallestNorm ? pull[i] / norms[i] / norms[i] : 0.0f;
    return static_cast<float>(sum);
  }

  void pull_back(float* d_x, const float* x, int64_t stride, const float* pull) const {
    for (int64_t n = 0; n < problem.tokens; ++n)
      for (int64_t i = 0; i < problem.dim(); ++i) d_x[n * stride + i] -= pull[i] * x[n * stride + i];
  }
};

}  // namespace

Var channel_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                      const ChannelAttentionOptions& options) {
  StageTimer timer(ctx.profile, "channel_attention");
  const ChannelProblem p(q, k, v, options);
  const int64_t dim = p.dim(), packed = (packed_square(dim) + 15) / 16 * 16;
  const ChannelScores scores = channel_scores(ctx, p);
  const Tensor mixing = ctx.arena.empty({p.pairs(), packed});
  parallel_for(p.pairs(), [&](int64_t pair) {
    pack_square(mixing.f32() + pair * packed, scores.probs.f32() + pair * p.square(), dim, true);
  });
  Tensor out = ctx.arena.empty({p.batch, p.tokens, p.width()});
  const int64_t parts = p.token_parts(), v_stride = ChannelProblem::stride(p.v);
  parallel_for(p.pairs() * parts, [&](int64_t index) {
    const int64_t pair = index / parts;
    const Range range = part_range(p.tokens, parts, index % parts);
    mix_channels(out.f32() + p.offset(pair, p.width()) + range.begin * p.width(), p.width(),
                 p.head(p.v, pair) + range.begin * v_stride, v_stride, mixing.f32() + pair * packed, dim,
                 range.end - range.begin);
  });
  if (ctx.costs) {
    const double values = static_cast<double>(out.numel());
    ctx.costs->add_cost(ctx.scope(), "channel_attention", 4.0 * values * static_cast<double>(dim), 16.0 * values);
  }
  if (!recording(ctx, {&q.tokens, &k.tokens, &v.tokens, &options.temperature})) return out;
  return ctx.tape->record(std::move(out), {q.tokens, k.tokens, v.tokens, options.temperature},
                          ChannelRecord{p, scores});
}

Tensor channel_attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k,
                               const ChannelAttentionOptions& options) {
  const ChannelProblem p(q, k, k, options);
  return channel_scores(ctx, p).probs.view({p.batch, options.heads, options.head_dim, options.head_dim});
}

}  // namespace vit
