#include "vit/nn/patch_dropout.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "vit/autograd/tensor_ops.h"
#include "vit/core/rng.h"

namespace vit {

Var patch_dropout(Context& ctx, const Var& x, int64_t prefix_tokens, const PatchDropoutOptions& options) {
  check(0.0f <= options.rate && options.rate < 1.0f, "patch_dropout: the rate must be in [0, 1), got ", options.rate);
  const int64_t batch = x.size(0), patches = x.size(1) - prefix_tokens;
  if (!ctx.training || options.rate == 0.0f || patches < 1) return x;
  const int64_t kept = std::max<int64_t>(1, static_cast<int64_t>(static_cast<float>(patches) * (1.0f - options.rate)));
  const Tensor index = Tensor::empty({batch, prefix_tokens + kept}, DType::i64);
  Rng rng(ctx.seed, ctx.next_random_stream());
  std::vector<int64_t> order(static_cast<size_t>(patches));
  for (int64_t b = 0; b < batch; ++b) {
    int64_t* index_b = index.data<int64_t>() + b * (prefix_tokens + kept);
    std::iota(index_b, index_b + prefix_tokens, int64_t{0});
    std::iota(order.begin(), order.end(), prefix_tokens);
    // The first steps of a shuffle (Fisher, Yates) draw without repetition.
    for (int64_t i = 0; i < kept; ++i) {
      const auto other = i + static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(patches - i));
      std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(other)]);
    }
    if (options.ordered) std::sort(order.begin(), order.begin() + kept);
    std::copy_n(order.begin(), kept, index_b + prefix_tokens);
  }
  return gather_tokens(ctx, x, index);
}

}  // namespace vit
