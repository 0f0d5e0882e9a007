#include "vit/attention/attention_weights.h"

#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

Var WeightsSource::told_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                                  const AttentionOptions& options) const {
  if (!is_heard(ctx)) return observed_attention(ctx, q, k, v, options);
  const Var queries = split_heads(ctx, q, options.heads, options.head_dim);
  const Var keys = split_heads(ctx, k, options.heads, options.head_dim);
  Var scores = matmul(ctx, queries, keys, {.transpose_b = true, .scale = options.scale});
  if (options.bias.defined()) scores = add(ctx, scores, options.bias);
  ctx.observe("scores", scores.value());
  const Var weights = observed(ctx, "probs", softmax(ctx, scores));
  weights_listener_(weights);
  return merge_heads(ctx, matmul(ctx, weights, split_heads(ctx, v, options.heads, options.head_dim)));
}

}  // namespace vit
