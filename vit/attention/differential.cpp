// Differential attention (Ye et al. 2024, "Differential transformer", section 2.1; timm's DiffAttention): the
// difference of two softmax maps, which cancels what both see everywhere.
//
// The two maps of head h are those of the halves of its queries and keys. A query with zeros in one half has the other
// half's scores, so both maps are plain attention with heads of the full width and values in one piece.
#include <array>
#include <cmath>
#include <utility>

#include "vit/autograd/tensor_ops.h"
#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

namespace {

struct DifferentialOptions {
  bool qkv_bias = true;
  NormKind qk_norm = NormKind::identity;
  NormKind scale_norm = NormKind::identity;
  float norm_eps = 1e-6f;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("qk_norm", qk_norm, "Normalises the halves of queries and keys, per head, before their product.");
    v("scale_norm", scale_norm, "Normalises all heads' output before the last projection.");
    v("norm_eps", norm_eps, "Epsilon of these norms.", above(0));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// timm's epsilon of the norm of each head.
constexpr float kSubNormEps = 1e-5f;

/// "probs" are the differences: their rows add up to 1 - lambda, and some are negative. There are no "scores", which
/// each of the two maps has of its own.
class DifferentialAttention : public Attention {
 public:
  using Options = DifferentialOptions;
  /// Errors (usage): the heads have no two halves.
  DifferentialAttention(const AttentionShape& shape, const DifferentialOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(shape.dim / std::max<int64_t>(1, shape.num_heads)),
        lambda_init_(0.8f - 0.6f * std::exp(-0.3f * static_cast<float>(shape.layer))),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        q_norm_(options.qk_norm, head_dim_ / 2, options.norm_eps),
        k_norm_(options.qk_norm, head_dim_ / 2, options.norm_eps),
        norm_(options.scale_norm, shape.dim, options.norm_eps),
        proj_(shape.dim, shape.dim, options.proj_bias),
        sub_norm_(NormKind::rms_norm, head_dim_, kSubNormEps) {
    if (heads_ <= 0 || dim_ % (2 * heads_) != 0)
      fail_usage("dim ", dim_, " must be divisible by 2 * num_heads = ", 2 * heads_);
    for (auto [name, parameter] : {std::pair{"lambda_q1", &lambda_q1_}, std::pair{"lambda_k1", &lambda_k1_},
                                   std::pair{"lambda_q2", &lambda_q2_}, std::pair{"lambda_k2", &lambda_k2_}})
      add_parameter(name, *parameter, {head_dim_ / 2}, Init::normal(0.1f));
    add_module("qkv", qkv_);
    add_module("q_norm", q_norm_);
    add_module("k_norm", k_norm_);
    add_module("norm", norm_);
    add_module("proj", proj_);
    add_module("sub_norm", sub_norm_);
    for (const int64_t half : {0, 1}) masks_[static_cast<size_t>(half)] = half_mask(half);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    Var qkv = qkv_.forward(ctx, x);
    qkv = q_norm_.forward_heads(ctx, {qkv, 0}, 2 * heads_);
    qkv = k_norm_.forward_heads(ctx, {qkv, dim_}, 2 * heads_);
    const int64_t asking = input.wanted_tokens > 0 ? input.wanted_tokens : x.size(1);
    const Var q = slice_features(ctx, asking < x.size(1) ? slice_tokens(ctx, qkv, 0, asking) : qkv, 0, dim_);
    const HeadColumns q1{scale_channels(ctx, q, masks_[0])}, q2{scale_channels(ctx, q, masks_[1])};
    const HeadColumns k{qkv, dim_}, v{qkv, 2 * dim_};
    if (input.keys) *input.keys = k;
    const AttentionOptions options{.heads = heads_,
                                   .head_dim = head_dim_,
                                   .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_ / 2)),
                                   .bias = input.bias};
    const Var weight = lambda(ctx);
    if (ctx.wants("probs"))
      ctx.observe(
          "probs",
          difference(ctx, attention_probs(ctx, q1, k, options), attention_probs(ctx, q2, k, options), weight).value());
    Var y = difference(ctx, attention(ctx, q1, k, v, options), attention(ctx, q2, k, v, options), weight);
    y = scale(ctx, sub_norm_.forward_heads(ctx, {y}, heads_), 1.0f - lambda_init_);
    return proj_.forward(ctx, norm_.forward(ctx, y), input.residual);
  }

 private:
  /// Ones for one half of each head's channels, zeros for the other: [C].
  Tensor half_mask(int64_t half) const {
    Tensor mask = Tensor::zeros({dim_});
    const int64_t width = head_dim_ / 2;
    for (int64_t c = 0; c < dim_; ++c) mask.f32()[c] = c / width % 2 == half ? 1.0f : 0.0f;
    return mask;
  }

  /// exp(q1 . k1) - exp(q2 . k2) + lambda_init, [1] (eq. 2).
  Var lambda(Context& ctx) const {
    const auto power = [&](const Parameter& q, const Parameter& k) {
      return exp(ctx, sum(ctx, multiply(ctx, q.value, k.value), {0}, true));
    };
    return shift(ctx, subtract(ctx, power(lambda_q1_, lambda_k1_), power(lambda_q2_, lambda_k2_)), lambda_init_);
  }

  static Var difference(Context& ctx, const Var& a, const Var& b, const Var& weight) {
    return subtract(ctx, a, multiply(ctx, b, weight));
  }

  int64_t dim_, heads_, head_dim_;
  float lambda_init_;
  Parameter lambda_q1_, lambda_k1_, lambda_q2_, lambda_k2_;
  Linear qkv_;
  Norm q_norm_, k_norm_, norm_;
  Linear proj_;
  Norm sub_norm_;
  std::array<Tensor, 2> masks_;
};

VITKIT_REGISTER_ATTENTION("differential", DifferentialAttention, .family = AttentionFamily::spatial,
                          .summary = "the difference of two self-attentions, which cancels what both see everywhere",
                          .formula = "(softmax(q1 k1^T / sqrt(D/2)) - lambda softmax(q2 k2^T / sqrt(D/2))) v",
                          .source = "Ye et al. 2024, section 2.1", .complexity = "O(N^2 C)", .offers_keys = true,
                          .equivariance = Equivariance::tokens);

}  // namespace

}  // namespace vit
