#include "vit/attention/memory.h"

#include "vit/autograd/tensor_ops.h"

namespace vit {

Var memory_of(const Var& x, const AttentionInput& input, int64_t memory_dim) {
  if (memory_dim == 0) return x;
  const Var& memory = input.memory;
  check(memory.defined(), "attention: this mechanism was built for a memory of width ", memory_dim,
        " and was given none");
  check(memory.value().rank() == 3 && memory.size(0) == x.size(0) && memory.size(2) == memory_dim,
        "attention: the memory must be [", x.size(0), ", M, ", memory_dim, "], got ", memory.shape());
  return memory;
}

Var memory_bias(Context& ctx, const AttentionInput& input, const Var& memory) {
  if (!input.memory_mask.defined()) return input.bias;
  const Tensor& mask = input.memory_mask;
  check(mask.shape() == Shape({memory.size(0), memory.size(1)}), "attention: the memory's mask must be ",
        Shape({memory.size(0), memory.size(1)}), ", got ", mask.shape());
  const Var hidden = mask.view({mask.size(0), 1, 1, mask.size(1)});
  return input.bias.defined() ? add(ctx, hidden, input.bias) : hidden;
}

Var with_memory_bias(Context& ctx, const Var& scores, const AttentionInput& input, const Var& memory) {
  Var bias = memory_bias(ctx, input, memory);
  if (!bias.defined()) return scores;
  const int64_t heads = bias.size(-3), rows = bias.size(-2);
  if (heads != 1) fail_usage("attention: a bias of ", heads, " heads, and this mechanism has one");
  if (rows > scores.size(2)) bias = slice(ctx, bias, -2, 0, scores.size(2));
  return add(ctx, scores, bias);
}

Var asking_tokens(Context& ctx, const Var& x, const AttentionInput& input) {
  return input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
}

Var repeat_for_batch(Context& ctx, const Var& x, int64_t batch) { return add(ctx, x, Tensor::zeros({batch, 1, 1})); }

int64_t head_dim_of(const AttentionShape& shape) {
  if (shape.num_heads <= 0 || shape.dim % shape.num_heads != 0)
    fail_usage("dim ", shape.dim, " must be divisible by num_heads ", shape.num_heads);
  return shape.dim / shape.num_heads;
}

void refuse_bias(const std::string& mechanism, const AttentionInput& input) {
  if (input.bias.defined())
    fail_usage("attention '", mechanism, "' has no scores that a position bias could be added to; choose 'self'");
}

}  // namespace vit
