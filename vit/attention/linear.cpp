#include "vit/attention/linear.h"

#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

LinearAttention::LinearAttention(std::string name, FeatureMap features, const AttentionShape& shape,
                                 const LinearAttentionOptions& options)
    : name_(std::move(name)),
      features_(features),
      dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      eps_(options.eps),
      qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  add_module("qkv", qkv_);
  add_module("proj", proj_);
}

Var LinearAttention::features(Context& ctx, const HeadColumns& columns) const {
  const Var x = split_heads(ctx, columns, heads_, head_dim_);
  return features_ == FeatureMap::elu ? elu_plus_one(ctx, x) : activate(ctx, x, Activation::relu);
}

Var LinearAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  refuse_bias(name_, input);
  const Var qkv = qkv_.forward(ctx, x);
  const Var q = features(ctx, {asking_tokens(ctx, qkv, input), 0}), k = features(ctx, {qkv, dim_});
  const Var v = split_heads(ctx, {qkv, 2 * dim_}, heads_, head_dim_);

  const Var summed = matmul(ctx, k, v, {.transpose_a = true});  // [B, H, D, D]
  const Var keys = sum(ctx, k, {2}, true);                      // [B, H, 1, D]
  const Var norm = shift(ctx, matmul(ctx, q, keys, {.transpose_b = true}), eps_);
  if (ctx.wants("probs")) {
    const Var scores = matmul(ctx, q.value(), k.value(), {.transpose_b = true});
    ctx.observe("probs", divide(ctx, scores, norm.value()).value());
  }
  const Var mixed = merge_heads(ctx, divide(ctx, matmul(ctx, q, summed), norm));
  return proj_.forward(ctx, mixed, input.residual);
}

VITKIT_REGISTER_ATTENTION("linear", LinearAttention, .family = AttentionFamily::spatial,
                          .summary = "attention without a softmax, so that keys and values are summed once",
                          .formula = "phi(q) (phi(k)^T v) / (phi(q) phi(k)^T 1), phi(x) = elu(x) + 1, per head",
                          .source = "Katharopoulos et al. 2020, eq. 5 to 7", .complexity = "O(N C D)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
