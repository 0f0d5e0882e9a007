// Weighted means of tokens that are merged into one.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"

namespace vit {

/// y_g = sum of w_n x_n / sum of w_n over the tokens n that go to place g: x [B, N, C], place i64 [B, N] in [0, count),
/// weights f32 [B, N], positive, without a gradient -> [B, count, C]. A token that is alone is copied. Errors: shapes
/// do not match, a place outside [0, count), or one without a token.
Var merge_tokens(Context& ctx, const Var& x, const Tensor& place, const Tensor& weights, int64_t count);

}  // namespace vit
