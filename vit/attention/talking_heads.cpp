// Talking-heads attention (Shazeer et al. 2020, section 3; CaiT's TalkingHeadAttn in timm): linear maps between the
// heads, of the scores before the softmax (proj_l) and of the weights after it (proj_w).
#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

struct TalkingHeadsOptions {
  bool qkv_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
  }
};

/// A linear map between heads. Its weight is the left factor of a product, so it is not packed as Linear's is.
struct HeadMap : Module {
  explicit HeadMap(int64_t heads) {
    add_parameter("weight", weight, {heads, heads}, Init::truncated_normal(0.02f));
    add_parameter("bias", bias, {heads}, Init::zeros());
  }

  /// x [B, H, Nq, Nk] -> the same shape, without the bias.
  Var mix(Context& ctx, const Var& x) const {
    const Var flat = reshape(ctx, x, {x.size(0), x.size(1), x.size(2) * x.size(3)});
    return reshape(ctx, matmul(ctx, weight.value, flat), x.shape());
  }
  /// [H, 1, 1]
  Var bias_per_head(Context& ctx) const { return reshape(ctx, bias.value, {bias.shape[0], 1, 1}); }

  Parameter weight, bias;
};

/// "scores" and "probs" are those of the softmax, after proj_l and before proj_w.
class TalkingHeadsAttention : public Attention {
 public:
  using Options = TalkingHeadsOptions;
  /// Errors (usage): dim is not divisible by num_heads.
  TalkingHeadsAttention(const AttentionShape& shape, const TalkingHeadsOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_l_(shape.num_heads),
        proj_w_(shape.num_heads),
        proj_(shape.dim, shape.dim) {
    add_module("qkv", qkv_);
    add_module("proj_l", proj_l_);
    add_module("proj_w", proj_w_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var qkv = qkv_.forward(ctx, x);
    if (input.keys) *input.keys = {qkv, dim_};
    const Var asking = input.wanted_tokens > 0 ? slice_tokens(ctx, qkv, 0, input.wanted_tokens) : qkv;
    const Var q = split_heads(ctx, {asking, 0}, heads_, head_dim_);
    const Var k = split_heads(ctx, {qkv, dim_}, heads_, head_dim_);
    const Var v = split_heads(ctx, {qkv, 2 * dim_}, heads_, head_dim_);

    const Var probs = observed(ctx, "probs", softmax(ctx, scores(ctx, q, k, input.bias)));
    // The bias of proj_w adds the same to all weights of a head: (W + b 1) v = W v + b sum(v), cheaper at the values.
    const Var shared = multiply(ctx, proj_w_.bias_per_head(ctx), sum(ctx, v, {2}, true));
    const Var mixed = add(ctx, matmul(ctx, proj_w_.mix(ctx, probs), v), shared);
    return proj_.forward(ctx, merge_heads(ctx, mixed), input.residual);
  }

 private:
  Var scores(Context& ctx, const Var& q, const Var& k, Var bias) const {
    const float factor = 1.0f / std::sqrt(static_cast<float>(head_dim_));
    const Var products = matmul(ctx, q, k, {.transpose_b = true, .scale = factor});
    Var mapped = add(ctx, proj_l_.mix(ctx, products), proj_l_.bias_per_head(ctx));
    if (bias.defined()) {
      if (bias.size(-2) > q.size(2)) bias = slice(ctx, bias, -2, 0, q.size(2));
      mapped = add(ctx, mapped, bias);
    }
    ctx.observe("scores", mapped.value());
    return mapped;
  }

  int64_t dim_, heads_, head_dim_;
  Linear qkv_;
  HeadMap proj_l_, proj_w_;
  Linear proj_;
};

VITKIT_REGISTER_ATTENTION("talking_heads", TalkingHeadsAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention whose heads are mixed before and after the softmax",
                          .formula = "P_w softmax(P_l q k^T / sqrt(D)) v, P_l and P_w maps between heads",
                          .source = "Shazeer et al. 2020, section 3; Touvron et al. 2021 (CaiT)",
                          .complexity = "O(N^2 (C + H^2))", .offers_keys = true, .equivariance = Equivariance::tokens);

}  // namespace

}  // namespace vit
