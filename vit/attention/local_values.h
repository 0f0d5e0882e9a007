// The local part that mechanisms with few or far keys add: a depthwise convolution of the values.
#pragma once

#include "vit/nn/attention.h"
#include "vit/nn/conv2d.h"

namespace vit {

/// A depthwise convolution of a map of `dim` channels that keeps its extents; `kernel_size` is odd.
Conv2d::Options local_convolution(int64_t dim, int64_t kernel_size);

/// `mixed` [B, T, C], the first T of P + N tokens, plus the convolution of the values of qkv [B, P + N, 3 C]. Prefix
/// tokens are no cells, so they stay as they are.
Var with_local_values(Context& ctx, const Var& mixed, const Conv2d& convolution, const Var& qkv,
                      const AttentionInput& input);

}  // namespace vit
