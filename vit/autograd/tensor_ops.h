// Ops on tensors of any rank: what a mechanism is composed of where no fused op exists. Each has a gradient. Shapes
// follow NumPy; a negative axis counts from the end. See ops.h for the coarse ones (add and multiply broadcast, too).
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/ops.h"

namespace vit {

// ---- elementwise, broadcasting ----

Var subtract(Context& ctx, const Var& a, const Var& b);
Var divide(Context& ctx, const Var& a, const Var& b);

Var exp(Context& ctx, const Var& x);
Var log(Context& ctx, const Var& x);
Var square(Context& ctx, const Var& x);
Var sqrt(Context& ctx, const Var& x);
Var reciprocal(Context& ctx, const Var& x);
/// elu(x) + 1: exp(x) below zero, x + 1 above (Katharopoulos et al. 2020, eq. 7).
Var elu_plus_one(Context& ctx, const Var& x);
/// x + value.
Var shift(Context& ctx, const Var& x, float value);

// ---- matrix products ----

struct MatmulOptions {
  bool transpose_a = false, transpose_b = false;
  float scale = 1.0f;  ///< factor on the product
};

/// a [..., M, K] b [..., K, N] -> [..., M, N], per matrix; leading axes broadcast. Both factors are data: nothing is
/// packed ahead. Errors: shapes do not match.
Var matmul(Context& ctx, const Var& a, const Var& b, const MatmulOptions& options = {});

/// Columns of tokens as heads of their own: [B, N, *] -> [B, H, N, D].
Var split_heads(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim);
/// Back again: [B, H, N, D] -> [B, N, H * D].
Var merge_heads(Context& ctx, const Var& x);

// ---- reductions ----

/// Over the given axes; they stay as 1 with `keep`. An empty list is all axes.
Var sum(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep = false);
Var mean(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep = false);
/// Maximum; equal maxima share its gradient evenly, as torch.amax does.
Var amax(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep = false);
/// Softmax along any axis.
Var softmax(Context& ctx, const Var& x, int64_t axis);
/// x / max(|x|_2, eps) along an axis: torch.nn.functional.normalize.
Var l2_normalize(Context& ctx, const Var& x, int64_t axis, float eps = 1e-12f);

// ---- moves ----

/// Axes in another order: y.size(i) == x.size(order[i]).
Var permute(Context& ctx, const Var& x, const std::vector<int64_t>& order);
/// Pieces one after the other along an axis. Errors: none, other extents differ.
Var concat(Context& ctx, const std::vector<Var>& pieces, int64_t axis);
/// Entries [begin, end) of an axis.
Var slice(Context& ctx, const Var& x, int64_t axis, int64_t begin, int64_t end);

/// Tokens by number: x [B, N, C], index i64 [M] (for every sample) or [B, M] -> [B, M, C]. -1 stands for `filler` [C],
/// or zeros where that is undefined. Errors: another index outside [0, N).
Var gather_tokens(Context& ctx, const Var& x, const Tensor& index, const Var& filler = {});
/// The sum of the tokens that go to each place: x [B, M, C], index i64 [M] or [B, M] -> [B, N, C]; -1 goes nowhere.
Var scatter_tokens(Context& ctx, const Var& x, const Tensor& index, int64_t tokens);

}  // namespace vit
