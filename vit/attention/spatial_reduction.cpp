// Spatial-reduction attention (Wang et al. 2021, "Pyramid vision transformer", section 3.3; Wang et al. 2022, "PVT v2",
// section 3.2): queries are all tokens, keys and values those of a map made smaller, by a strided convolution or, in
// PVT v2's linear form, by averages over 7 x 7 areas. timm's models/pvt_v2.py, which ignores rows and columns that fill
// no area, and cannot do maps that are smaller than one; here zeros fill that.
//
// Prefix tokens are keys of their own, not reduced, and look at everything. An observer is shown the share of a reduced
// token in equal parts on the tokens it was made from.
#include <algorithm>
#include <cmath>

#include "vit/attention/map_shares.h"
#include "vit/attention/memory.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/conv2d.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

namespace {

constexpr int64_t kPooledSide = 7;  // of PVT v2's linear form

struct SpatialReductionOptions {
  int64_t sr_ratio = 2;
  bool linear = false;
  bool qkv_bias = true;
  bool proj_bias = true;
  float norm_eps = 1e-5f;

  template <class V>
  void visit_fields(V& v) {
    v("sr_ratio", sr_ratio, "Height and width of the areas that become one key; 1: no reduction.", between(1, 64));
    v("linear", linear, "PVT v2-Li: averages over 7 x 7 areas of the map, whatever its size, in place of sr_ratio.");
    v("qkv_bias", qkv_bias, "Biases of the query and of the key and value projections.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
    v("norm_eps", norm_eps, "Epsilon of the norm after the reduction.", above(0));
  }
};

/// Averages over blocks of `ratio`, whose rest at the end is ignored; what is shorter is one block.
Tensor block_average(int64_t length, int64_t ratio) {
  const int64_t blocks = std::max<int64_t>(1, length / ratio), size = std::min(length, ratio);
  const Tensor shares = Tensor::zeros({blocks, length});
  for (int64_t i = 0; i < blocks * size; ++i) shares.f32()[i / size * length + i] = 1.0f / static_cast<float>(size);
  return shares;
}

}  // namespace

/// Parameters: q.*, kv.*, sr.*, norm.* (the last two where something is reduced), proj.*.
class SpatialReductionAttention : public Attention {
 public:
  using Options = SpatialReductionOptions;

  SpatialReductionAttention(const AttentionShape& shape, const SpatialReductionOptions& options)
      : options_(options),
        dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        q_(shape.dim, shape.dim, options.qkv_bias),
        kv_(shape.dim, 2 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("q", q_);
    add_module("kv", kv_);
    if (options.linear || options.sr_ratio > 1) {
      const int64_t side = options.linear ? 1 : options.sr_ratio;
      const Conv2dOptions conv{.kernel_h = side, .kernel_w = side, .stride = side};
      add_module("sr", *(sr_ = std::make_unique<Conv2d>(Conv2d::Options{dim_, dim_, conv, /*bias=*/true})));
      add_module("norm", *(norm_ = std::make_unique<Norm>(NormKind::layer_norm, dim_, options.norm_eps)));
    }
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var asking = input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
    const Var q = q_.forward(ctx, asking);
    const Var kv = kv_.forward(ctx, reduced(ctx, x, input));
    const AttentionOptions options{.heads = heads_,
                                   .head_dim = head_dim_,
                                   .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                                   .bias = input.bias};
    check(!sr_ || !input.bias.defined(),
          "attention 'spatial_reduction' takes no bias between all tokens, because its keys are others");
    if (ctx.wants("probs"))
      ctx.observe("probs", over_tokens(ctx, attention_probs(ctx, {q, 0}, {kv, 0}, options), input));
    if (ctx.wants("scores"))
      ctx.observe("scores", over_tokens(ctx, attention_scores(ctx, {q, 0}, {kv, 0}, options), input));
    return proj_.forward(ctx, attention(ctx, {q, 0}, {kv, 0}, {kv, dim_}, options), input.residual);
  }

 private:
  Tensor shares(const Grid& grid) const {
    if (options_.linear)
      return map_shares(adaptive_average(grid.height, kPooledSide), adaptive_average(grid.width, kPooledSide));
    return map_shares(block_average(grid.height, options_.sr_ratio), block_average(grid.width, options_.sr_ratio));
  }

  /// What keys and values are made from: prefix tokens and the smaller map, [B, P + M, C].
  Var reduced(Context& ctx, const Var& x, const AttentionInput& input) const {
    if (!sr_) return x;
    const int64_t prefix = input.prefix_tokens, batch = x.size(0);
    const Var patches = prefix > 0 ? slice_tokens(ctx, x, prefix, x.size(1)) : x;
    Var map;
    if (options_.linear) {
      const Var pooled = matmul(ctx, shares(input.grid), patches);
      map = sr_->forward(ctx, reshape(ctx, pooled, {batch, kPooledSide, kPooledSide, dim_}));
    } else {
      const auto [height, width] = input.grid;
      map = reshape(ctx, patches, {batch, height, width, dim_});
      // A map that is smaller than the convolution's window has zeros beside it.
      const Border rest{.bottom = std::max<int64_t>(0, options_.sr_ratio - height),
                        .right = std::max<int64_t>(0, options_.sr_ratio - width)};
      if (rest.bottom > 0 || rest.right > 0) map = pad_map(ctx, map, rest);
      map = sr_->forward(ctx, map);
    }
    map = norm_->forward(ctx, reshape(ctx, map, {batch, map.size(1) * map.size(2), dim_}));
    if (options_.linear) map = activate(ctx, map, Activation::gelu);
    return prefix > 0 ? concat_tokens(ctx, slice_tokens(ctx, x, 0, prefix), map) : map;
  }

  /// Numbers per key [B, H, N, P + M], each in equal parts on the tokens that the key was made from: [B, H, N, P + N].
  Tensor over_tokens(Context& ctx, const Tensor& per_key, const AttentionInput& input) const {
    if (!sr_) return per_key;
    const int64_t prefix = input.prefix_tokens;
    const Var spread = matmul(ctx, slice(ctx, per_key, 3, prefix, per_key.size(3)), shares(input.grid));
    return (prefix > 0 ? concat(ctx, {slice(ctx, per_key, 3, 0, prefix), spread}, 3) : spread).value();
  }

  SpatialReductionOptions options_;
  int64_t dim_, heads_, head_dim_;
  Linear q_, kv_;
  std::unique_ptr<Conv2d> sr_;
  std::unique_ptr<Norm> norm_;
  Linear proj_;
};

VITKIT_REGISTER_ATTENTION("spatial_reduction", SpatialReductionAttention, .family = AttentionFamily::spatial,
                          .summary = "PVT: tokens look at a map made smaller by a strided convolution or by pooling",
                          .formula = "softmax(q k^T / sqrt(D)) v, k and v of norm(conv(x)), per head",
                          .source = "Wang et al. 2021 (PVT), section 3.3; Wang et al. 2022 (PVT v2), section 3.2",
                          .complexity = "O(N^2 C / r^2)", .needs_grid = true);

}  // namespace vit
