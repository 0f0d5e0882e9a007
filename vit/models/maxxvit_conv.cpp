// The convolutional parts of CoAtNet and MaxViT.
#include <cmath>
#include <limits>

#include "vit/attention/eca.h"
#include "vit/attention/squeeze_excite.h"
#include "vit/models/maxxvit_blocks.h"

namespace vit {

const std::vector<std::pair<ConvBlockType, std::string>>& enum_names(ConvBlockType) {
  static const std::vector<std::pair<ConvBlockType, std::string>> names = {{ConvBlockType::mbconv, "mbconv"},
                                                                           {ConvBlockType::convnext, "convnext"}};
  return names;
}

const std::vector<std::pair<StrideMode, std::string>>& enum_names(StrideMode) {
  static const std::vector<std::pair<StrideMode, std::string>> names = {
      {StrideMode::pool, "pool"}, {StrideMode::pointwise, "1x1"}, {StrideMode::depthwise, "dw"}};
  return names;
}

const std::vector<std::pair<HalvingPool, std::string>>& enum_names(HalvingPool) {
  static const std::vector<std::pair<HalvingPool, std::string>> names = {
      {HalvingPool::max, "max"}, {HalvingPool::max2, "max2"}, {HalvingPool::avg, "avg"}, {HalvingPool::avg2, "avg2"}};
  return names;
}

const std::vector<std::pair<MapPadding, std::string>>& enum_names(MapPadding) {
  static const std::vector<std::pair<MapPadding, std::string>> names = {{MapPadding::symmetric, ""},
                                                                        {MapPadding::same, "same"}};
  return names;
}

namespace {

constexpr int64_t kConvNextKernel = 7;

/// TensorFlow's "same": the border that makes the result ceil(extent / stride), the odd row or column at the end.
Var pad_same(Context& ctx, const Var& x, int64_t kernel, int64_t stride, float value) {
  const auto missing = [&](int64_t extent) {
    return std::max<int64_t>(0, ((extent + stride - 1) / stride - 1) * stride + kernel - extent);
  };
  const int64_t rows = missing(x.size(1)), cols = missing(x.size(2));
  if (rows == 0 && cols == 0) return x;
  return pad_map(ctx, x, {rows / 2, cols / 2, rows - rows / 2, cols - cols / 2}, value);
}

bool is_max(HalvingPool pool) { return pool == HalvingPool::max || pool == HalvingPool::max2; }

int64_t pool_kernel(HalvingPool pool) { return pool == HalvingPool::max || pool == HalvingPool::avg ? 3 : 2; }

int64_t groups_of(int64_t group_size, int64_t channels) {
  if (group_size == 0) return 1;
  if (channels % group_size != 0) fail_usage("group_size ", group_size, " does not divide a width of ", channels);
  return channels / group_size;
}

/// The channel attention of an inverted bottleneck of `width` channels; null: none.
std::unique_ptr<Attention> channel_attention_of(const MaxxvitConvConfig& config, int64_t width, int64_t base) {
  const AttentionShape shape{.dim = width};
  if (config.attn_layer == "none") return nullptr;
  if (config.attn_layer == "ese")
    return std::make_unique<EffectiveSqueezeExcite>(shape, EffectiveSqueezeExciteOptions{});
  if (config.attn_layer == "eca") return std::make_unique<Eca>(shape, EcaOptions{});
  SqueezeExciteOptions options;
  options.act_layer = config.attn_act_layer;
  const auto narrow = static_cast<int64_t>(config.attn_ratio * static_cast<double>(base));
  if (narrow > 0) options.width.rd_channels = narrow;
  return std::make_unique<SqueezeExcite>(shape, options);
}

}  // namespace

Downsample::Downsample(const Options& options) : options_(options) {
  if (options.dim == options.dim_out) return;
  add_module("expand",
             expand_.emplace(Conv2d::Options{options.dim, options.dim_out, /*conv=*/{}, /*bias=*/options.bias}));
}

Var Downsample::forward(Context& ctx, const Var& x) const {
  const bool max = is_max(options_.pool);
  PoolOptions pool{.kernel = pool_kernel(options_.pool), .stride = 2, .count_include_pad = false};
  Var y = x;
  if (options_.padding == MapPadding::same)
    y = pad_same(ctx, x, pool.kernel, pool.stride, max ? -std::numeric_limits<float>::infinity() : 0.0f);
  else
    pool.padding = pool.kernel / 3;
  y = max ? max_pool2d(ctx, y, pool) : avg_pool2d(ctx, y, pool);
  return expand_ ? expand_->forward(ctx, y) : y;
}

MapConv::MapConv(int64_t kernel, int64_t stride, MapPadding kind, int64_t groups)
    : conv{.kernel_h = kernel, .kernel_w = kernel, .stride = stride, .groups = groups}, padding(kind) {
  // A stride of 1 and an odd kernel: both kinds are the same.
  if (stride == 1 && kernel % 2 == 1) padding = MapPadding::symmetric;
  if (padding == MapPadding::symmetric) conv.padding = (stride - 1 + kernel - 1) / 2;
}

Var MapConv::pad(Context& ctx, const Var& x) const {
  return padding == MapPadding::same ? pad_same(ctx, x, conv.kernel_h, conv.stride, 0.0f) : x;
}

NormedConv::NormedConv(const MapConv& conv, const Options& options) : padded_(conv) {
  const Conv2d::Options convolution{options.in_channels, options.out_channels, conv.conv, options.bias};
  if (options.norm == MapNormKind::batch_norm) {
    add_module("", folding_.emplace(ConvNormOptions{.conv = convolution,
                                                    .conv_name = options.conv_name,
                                                    .norm_name = options.norm_name,
                                                    .norm = {.eps = options.norm_eps}}));
  } else {
    add_module(options.conv_name, conv_.emplace(convolution));
    add_module(options.norm_name, norm_.emplace(options.norm, options.out_channels, options.norm_eps));
  }
}

Var NormedConv::forward(Context& ctx, const Var& x, Activation activation) const {
  const Var padded = padded_.pad(ctx, x);
  if (folding_) return folding_->forward(ctx, padded, activation);
  return activate(ctx, norm_->forward(ctx, conv_->forward(ctx, padded)), activation);
}

MapStem::MapStem(int64_t in_channels, const std::array<int64_t, 2>& widths, bool bias, const MaxxvitConvConfig& config)
    : activation_(config.act_layer),
      first_(MapConv(3, 2, config.padding), {.in_channels = in_channels,
                                             .out_channels = widths[0],
                                             .bias = bias,
                                             .conv_name = "conv1",
                                             .norm_name = "norm1",
                                             .norm = config.norm(),
                                             .norm_eps = config.eps()}),
      padded_(3, 1, config.padding),
      conv2_(Conv2d::Options{widths[0], widths[1], padded_.conv, bias}) {
  add_module("", first_);
  add_module("conv2", conv2_);
}

Var MapStem::forward(Context& ctx, const Var& image) const {
  const Var y = first_.forward(ctx, channels_last(ctx, image), activation_);
  return conv2_.forward(ctx, padded_.pad(ctx, y));
}

Var Branch::add(Context& ctx, const Var& kept, const Var& gamma,
                const std::function<Var(const LinearOptions&)>& branch) const {
  if (!ctx.training || (proj_drop == 0.0f && drop_path == 0.0f)) return branch({.gamma = gamma, .residual = kept});
  // What is dropped is the branch, so the skip connection is added afterwards.
  return vit::drop_path(ctx, kept, dropout(ctx, branch({.gamma = gamma}), proj_drop), drop_path);
}

namespace {

/// Norm, 1 x 1 convolution, 3 x 3 convolution by groups, channel attention, 1 x 1 convolution: timm's MbConvBlock.
class MbConvBlock : public MapBlock {
 public:
  explicit MbConvBlock(const MapBlockOptions& options)
      : config_(options.conv),
        width_(make_divisible(
            static_cast<double>(config_.expand_output ? options.dim_out : options.dim) * config_.expand_ratio, 8)),
        pre_norm_(config_.norm(), options.dim, config_.eps()),
        conv1_(MapConv(1, stride(options, StrideMode::pointwise), MapPadding::symmetric),
               normed(options.dim, "conv1_1x1", "norm1")),
        padded2_(config_.kernel_size, stride(options, StrideMode::depthwise), config_.padding,
                 groups_of(config_.group_size, width_)),
        conv3_(Conv2d::Options{width_, options.dim_out, /*conv=*/{}, config_.output_bias}) {
    const bool halves = options.stride == 2;
    if (!halves && options.dim != options.dim_out)
      fail_usage("an inverted bottleneck that keeps the map must keep its width, got ", options.dim, " and ",
                 options.dim_out);
    if (halves)
      add_module("shortcut", shortcut_.emplace(Downsample::Options{options.dim, options.dim_out, config_.pool_type,
                                                                   config_.padding, config_.output_bias}));
    add_module("pre_norm", pre_norm_);
    if (halves && config_.stride_mode == StrideMode::pool)
      down_.emplace(Downsample::Options{options.dim, options.dim, config_.downsample_pool_type, config_.padding});
    add_module("", conv1_);
    attention_ = channel_attention_of(config_, width_, config_.expand_output ? options.dim_out : width_);
    if (config_.attn_early && attention_) {
      add_module("conv2_kxk", conv2_.emplace(unbiased(width_, width_, padded2_.conv)));
      add_module("se_early", *attention_);
      add_module("norm2", norm2_.emplace(config_.norm(), width_, config_.eps()));
    } else {
      add_module("", conv2_norm_.emplace(padded2_, normed(width_, "conv2_kxk", "norm2")));
      if (attention_) add_module("se", *attention_);
    }
    add_module("conv3_1x1", conv3_);
  }

  Var forward(Context& ctx, const Var& x) const override {
    const Var kept = shortcut_ ? shortcut_->forward(ctx, x) : x;
    Var y = pre_norm_.forward(ctx, x);
    if (config_.pre_norm_act) y = activate(ctx, y, config_.act_layer);
    if (down_) y = down_->forward(ctx, y);
    y = conv1_.forward(ctx, y, config_.act_layer);
    if (conv2_) {
      y = gated(ctx, conv2_->forward(ctx, padded2_.pad(ctx, y)), "se_early");
      y = activate(ctx, norm2_->forward(ctx, y), config_.act_layer);
    } else {
      y = gated(ctx, conv2_norm_->forward(ctx, y, config_.act_layer), "se");
    }
    return branch_.add(ctx, kept, {}, [&](const LinearOptions& skip) { return conv3_.forward(ctx, y, skip); });
  }

  void set_dropout(float, float drop_path) override { branch_.drop_path = drop_path; }
  void set_extents(const Grid&, const std::array<int64_t, 2>&, const std::array<int64_t, 2>&) override {}

 private:
  int64_t stride(const MapBlockOptions& options, StrideMode mode) const {
    return config_.stride_mode == mode ? options.stride : 1;
  }
  NormedConv::Options normed(int64_t inputs, const char* conv_name, const char* norm_name) const {
    return {.in_channels = inputs,
            .out_channels = width_,
            .conv_name = conv_name,
            .norm_name = norm_name,
            .norm = config_.norm(),
            .norm_eps = config_.eps()};
  }
  Var gated(Context& ctx, const Var& x, const char* name) const {
    if (!attention_) return x;
    Scope scope(ctx, name);
    const Grid grid{x.size(1), x.size(2)};
    const Var tokens = reshape(ctx, x, {x.size(0), grid.count(), x.size(3)});
    return reshape(ctx, attention_->forward(ctx, tokens, {.grid = grid}), x.shape());
  }

  MaxxvitConvConfig config_;
  int64_t width_;
  std::optional<Downsample> shortcut_, down_;
  MapNorm pre_norm_;
  NormedConv conv1_;
  MapConv padded2_;
  std::optional<NormedConv> conv2_norm_;  // or, with early attention between them, the two alone
  std::optional<Conv2d> conv2_;
  std::optional<MapNorm> norm2_;
  std::unique_ptr<Attention> attention_;
  Conv2d conv3_;
  Branch branch_;
};

/// Depthwise convolution, norm, MLP: timm's ConvNeXtBlock.
class ConvNextBlock : public MapBlock {
 public:
  explicit ConvNextBlock(const MapBlockOptions& options)
      : config_(options.conv),
        padded_(kConvNextKernel, config_.stride_mode == StrideMode::pool ? 1 : options.stride, MapPadding::symmetric,
                options.dim),
        conv_(Conv2d::Options{options.dim, options.dim_out, padded_.conv, config_.output_bias}),
        norm_(config_.norm(), options.dim_out, config_.eps()),
        mlp_({.dim = options.dim_out,
              .hidden = static_cast<int64_t>(config_.expand_ratio * static_cast<double>(options.dim_out)),
              .activation = config_.act_layer,
              .bias = config_.output_bias}) {
    if (config_.stride_mode == StrideMode::pointwise)
      fail_usage("stride_mode '1x1' is not for ConvNeXt blocks; choose pool or dw");
    if (options.stride == 2)
      add_module("shortcut", shortcut_.emplace(Downsample::Options{.dim = options.dim, .dim_out = options.dim_out}));
    else if (options.dim != options.dim_out)
      add_module("shortcut",
                 widen_.emplace(Conv2d::Options{options.dim, options.dim_out, /*conv=*/{}, config_.output_bias}));
    if (options.stride == 2 && config_.stride_mode == StrideMode::pool)
      down_.emplace(Downsample::Options{options.dim, options.dim, config_.downsample_pool_type});
    add_module("conv_dw", conv_);
    add_module("norm", norm_);
    add_module("mlp", mlp_);
    if (config_.init_values) add_module("ls", scale_.emplace(options.dim_out, *config_.init_values));
  }

  Var forward(Context& ctx, const Var& x) const override {
    Var kept = x;
    if (shortcut_) kept = shortcut_->forward(ctx, x);
    if (widen_) kept = widen_->forward(ctx, x);
    const Var y = norm_.forward(ctx, conv_.forward(ctx, down_ ? down_->forward(ctx, x) : x));
    return branch_.add(ctx, kept, scale_ ? scale_->gamma.value : Var(),
                       [&](const LinearOptions& skip) { return mlp_.forward(ctx, y, skip); });
  }

  void set_dropout(float, float drop_path) override { branch_.drop_path = drop_path; }
  void set_extents(const Grid&, const std::array<int64_t, 2>&, const std::array<int64_t, 2>&) override {}

 private:
  MaxxvitConvConfig config_;
  MapConv padded_;
  std::optional<Downsample> shortcut_, down_;
  std::optional<Conv2d> widen_;
  Conv2d conv_;
  MapNorm norm_;
  Mlp mlp_;
  std::optional<ChannelScale> scale_;
  Branch branch_;
};

}  // namespace

std::unique_ptr<MapBlock> make_conv_block(const MapBlockOptions& options) {
  if (options.conv.block_type == ConvBlockType::convnext) return std::make_unique<ConvNextBlock>(options);
  return std::make_unique<MbConvBlock>(options);
}

}  // namespace vit
