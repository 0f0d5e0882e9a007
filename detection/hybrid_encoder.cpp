#include "detection/hybrid_encoder.h"

#include <algorithm>
#include <cmath>

#include "vit/autograd/tensor_ops.h"

namespace detection {

using vit::Activation;
using vit::Context;
using vit::Tensor;
using vit::Var;

namespace {

TransformerLayerOptions layer_options(const HybridEncoderOptions& options) {
  return {.dim = options.dim,
          .heads = options.heads,
          .ffn_dim = options.ffn_dim,
          .activation = options.ffn_activation,
          .norm_eps = options.layer_norm_eps,
          .dropout = options.dropout,
          .activation_dropout = options.activation_dropout};
}

vit::ConvNormOptions conv_norm(int64_t inputs, int64_t outputs, const vit::Conv2dOptions& window,
                               const vit::BatchNormOptions& norm) {
  vit::Conv2d::Options conv = vit::unbiased(inputs, outputs, window);
  conv.torch_init = true;
  return {.conv = conv, .conv_name = "conv", .norm_name = "norm", .norm = norm};
}

vit::Conv2dOptions three_by_three(int64_t stride) {
  return {.kernel_h = 3, .kernel_w = 3, .stride = stride, .padding = 1};
}

int64_t hidden_channels(const HybridEncoderOptions& options) {
  return static_cast<int64_t>(static_cast<double>(options.dim) * options.hidden_expansion);
}

}  // namespace

Tensor sincos_positions(const vit::Grid& grid, int64_t dim, double temperature, bool row_major) {
  if (dim % 4 != 0) vit::fail_usage("positions of sines and cosines need a width divisible by 4, got ", dim);
  const int64_t quarter = dim / 4;
  Tensor positions = Tensor::empty({1, grid.count(), dim});
  for (int64_t i = 0; i < grid.count(); ++i) {
    // The published order has the column first: it counts through the columns' cells.
    const auto first = static_cast<float>(row_major ? i / grid.width : i / grid.height);
    const auto second = static_cast<float>(row_major ? i % grid.width : i % grid.height);
    float* out = positions.f32() + i * dim;
    for (int64_t k = 0; k < quarter; ++k) {
      const float power = static_cast<float>(k) / static_cast<float>(quarter);
      const float omega = 1.0f / std::pow(static_cast<float>(temperature), power);
      out[k] = std::sin(first * omega);
      out[quarter + k] = std::cos(first * omega);
      out[2 * quarter + k] = std::sin(second * omega);
      out[3 * quarter + k] = std::cos(second * omega);
    }
  }
  return positions;
}

CellAttentionLayer::CellAttentionLayer(const HybridEncoderOptions& options)
    : normalize_before_(options.normalize_before),
      dropout_(options.dropout),
      // The original has dropout in the place of attention dropout here.
      self_attn_({.embed_dim = options.dim, .num_heads = options.heads, .dropout = options.dropout}),
      norm_(vit::NormKind::layer_norm, options.dim, options.layer_norm_eps),
      feed_forward_(layer_options(options)) {
  add_module("self_attn", self_attn_);
  add_module("self_attn_layer_norm", norm_);
  add_module("", feed_forward_);
}

Var CellAttentionLayer::forward(Context& ctx, const Var& x, const Tensor& positions) const {
  const Var value = normalize_before_ ? norm_.forward(ctx, x) : x;
  const Var asking = vit::add(ctx, value, positions);
  const Var mixed = residual_sum(ctx, x, dropout_, [&](const vit::LinearOptions& epilogue) {
    vit::Scope scope(ctx, "self_attn");
    return self_attn_.forward(ctx, asking, asking, value, {}, epilogue);
  });
  return normalize_before_ ? feed_forward_.forward_normalised_first(ctx, mixed)
                           : feed_forward_.forward(ctx, norm_.forward(ctx, mixed));
}

RepVggBlock::RepVggBlock(int64_t channels, Activation activation, const vit::BatchNormOptions& norm)
    : activation_(activation),
      wide_(conv_norm(channels, channels, three_by_three(1), norm).conv),
      narrow_(conv_norm(channels, channels, {}, norm).conv),
      wide_norm_(channels, norm),
      narrow_norm_(channels, norm) {
  // All are this module's own and not children: folding needs them loaded together.
  for (const auto& [part, name] : {std::pair<Module*, const char*>{&wide_, "conv1.conv"},
                                   std::pair<Module*, const char*>{&wide_norm_, "conv1.norm"},
                                   std::pair<Module*, const char*>{&narrow_, "conv2.conv"},
                                   std::pair<Module*, const char*>{&narrow_norm_, "conv2.norm"}})
    for (const auto& [own, parameter] : part->own_parameters())
      add_parameter(vit::dotted(name, own), *parameter, parameter->shape, parameter->init);
}

Var RepVggBlock::forward(Context& ctx, const Var& x, const Var& residual) const {
  if (folded_) return wide_.forward(ctx, x, vit::LinearOptions{.activation = activation_, .residual = residual});
  const Var sum =
      vit::add(ctx, wide_norm_.forward(ctx, wide_.forward(ctx, x)), narrow_norm_.forward(ctx, narrow_.forward(ctx, x)));
  const Var y = vit::activate(ctx, sum, activation_);
  return residual.defined() ? vit::add(ctx, y, residual) : y;
}

void RepVggBlock::prepare() {
  vit::Parameter& wide = *wide_.own_parameters()[0].second;
  vit::Parameter& narrow = *narrow_.own_parameters()[0].second;
  const vit::BatchNorm::Affine wide_affine = wide_norm_.take_affine(), narrow_affine = narrow_norm_.take_affine();
  const int64_t outputs = wide.shape[0], inputs = wide.shape[1], taps = wide.shape[2] * wide.shape[3];
  Tensor kernel = wide.value.value().clone(), shift = Tensor::empty({outputs});
  for (int64_t f = 0; f < outputs; ++f) {
    shift.f32()[f] = wide_affine.shift.f32()[f] + narrow_affine.shift.f32()[f];
    for (int64_t c = 0; c < inputs; ++c) {
      float* taps_fc = kernel.f32() + (f * inputs + c) * taps;
      for (int64_t tap = 0; tap < taps; ++tap) taps_fc[tap] *= wide_affine.scale.f32()[f];
      taps_fc[taps / 2] += narrow.value.value().f32()[f * inputs + c] * narrow_affine.scale.f32()[f];
    }
  }
  wide.value = std::move(kernel);
  narrow.value = {};
  wide_.fold(Tensor::full({outputs}, 1.0f), shift);
  wide_.prepare();
  folded_ = true;
}

CspRepLayer::CspRepLayer(const HybridEncoderOptions& options)
    : activation_(options.activation),
      conv1_(conv_norm(2 * options.dim, hidden_channels(options), {}, options.norm)),
      conv2_(conv_norm(2 * options.dim, hidden_channels(options), {}, options.norm)) {
  add_module("conv1", conv1_);
  add_module("conv2", conv2_);
  for (int64_t i = 0; i < options.csp_blocks; ++i)
    add_module(vit::str("bottlenecks.", i),
               bottlenecks_.emplace_back(hidden_channels(options), options.activation, options.norm));
  if (hidden_channels(options) != options.dim)
    add_module("conv3", conv3_.emplace(conv_norm(hidden_channels(options), options.dim, {}, options.norm)));
}

Var CspRepLayer::forward(Context& ctx, const Var& x) const {
  const Var past = conv2_.forward(ctx, x, activation_);
  Var y = conv1_.forward(ctx, x, activation_);
  for (size_t i = 0; i < bottlenecks_.size(); ++i)
    y = bottlenecks_[i].forward(ctx, y, i + 1 == bottlenecks_.size() ? past : Var());
  return conv3_ ? conv3_->forward(ctx, y, activation_) : y;
}

HybridEncoder::HybridEncoder(const HybridEncoderOptions& options) : options_(options) {
  if (options.csp_blocks < 1 || hidden_channels(options) < 1)
    vit::fail_usage(
        "hybrid encoder: `csp_blocks` must be at least 1 and `hidden_expansion` leave at least one channel");
  for (size_t i = 0; i < options.attended.size(); ++i) {
    if (options.attended[i] < 0 || options.attended[i] >= static_cast<int64_t>(options.maps))
      vit::fail_usage("hybrid encoder: `encode_proj_layers` names map ", options.attended[i], "; there are ",
                      options.maps, " maps, counted from 0");
    std::deque<CellAttentionLayer>& layers = encoders_.emplace_back();
    for (int64_t layer = 0; layer < options.layers; ++layer)
      add_module(vit::str("encoder.", i, ".layers.", layer), layers.emplace_back(options));
  }
  const int64_t dim = options.dim;
  for (size_t i = 0; i + 1 < options.maps; ++i) {
    add_module(vit::str("lateral_convs.", i), lateral_convs_.emplace_back(conv_norm(dim, dim, {}, options.norm)));
    add_module(vit::str("fpn_blocks.", i), fpn_blocks_.emplace_back(options));
  }
  for (size_t i = 0; i + 1 < options.maps; ++i) {
    add_module(vit::str("downsample_convs.", i),
               downsample_convs_.emplace_back(conv_norm(dim, dim, three_by_three(2), options.norm)));
    add_module(vit::str("pan_blocks.", i), pan_blocks_.emplace_back(options));
  }
}

Var HybridEncoder::attend(Context& ctx, size_t encoder, const Var& map) const {
  const vit::Grid grid{map.size(1), map.size(2)};
  const Tensor positions = sincos_positions(grid, options_.dim, options_.temperature, options_.row_major_positions);
  Var tokens = vit::reshape(ctx, map, {map.size(0), grid.count(), map.size(3)});
  for (size_t i = 0; i < encoders_[encoder].size(); ++i) {
    vit::Scope scope(ctx, "layers", static_cast<int64_t>(i));
    tokens = encoders_[encoder][i].forward(ctx, tokens, positions);
  }
  return vit::reshape(ctx, tokens, map.shape());
}

std::vector<Var> HybridEncoder::forward(Context& ctx, std::vector<Var> maps) const {
  vit::check(maps.size() == options_.maps, "hybrid encoder: expected ", options_.maps, " maps, got ", maps.size());
  for (size_t i = 0; i < encoders_.size(); ++i) {
    vit::Scope scope(ctx, "encoder", static_cast<int64_t>(i));
    Var& map = maps[static_cast<size_t>(options_.attended[i])];
    map = attend(ctx, i, map);
  }
  // From coarse to fine; the maps that the way back needs are kept in place.
  for (size_t i = 0; i + 1 < maps.size(); ++i) {
    const size_t fine = maps.size() - 2 - i;
    Var& coarse = maps[fine + 1];
    coarse = lateral_convs_[i].forward(ctx, coarse, options_.activation);
    const Var enlarged = enlarge_map(ctx, coarse, maps[fine].size(1), maps[fine].size(2));
    maps[fine] = fpn_blocks_[i].forward(ctx, vit::concat(ctx, {enlarged, maps[fine]}, -1));
  }
  for (size_t i = 0; i + 1 < maps.size(); ++i) {
    const Var halved = downsample_convs_[i].forward(ctx, maps[i], options_.activation);
    maps[i + 1] = pan_blocks_[i].forward(ctx, vit::concat(ctx, {halved, maps[i + 1]}, -1));
  }
  return maps;
}

Var enlarge_map(Context& ctx, const Var& map, int64_t height, int64_t width) {
  const int64_t rows = map.size(1), cols = map.size(2), channels = map.size(3);
  vit::check(height <= 2 * rows && width <= 2 * cols, "a map of ", rows, " x ", cols, " cannot be enlarged to ", height,
             " x ", width, ": each map must have half the extents of the one before, rounded up");
  Tensor index = Tensor::empty({height * width}, vit::DType::i64);
  for (int64_t i = 0; i < height * width; ++i) index.data<int64_t>()[i] = i / width / 2 * cols + i % width / 2;
  const Var cells = vit::reshape(ctx, map, {map.size(0), rows * cols, channels});
  return vit::reshape(ctx, vit::gather_tokens(ctx, cells, index), {map.size(0), height, width, channels});
}

}  // namespace detection
