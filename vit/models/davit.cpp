#include "vit/models/davit.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "vit/autograd/map_ops.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

constexpr int64_t kStemStride = 4;

int64_t rounded_up(int64_t extent, int64_t multiple) { return (extent + multiple - 1) / multiple * multiple; }

ConfigNode flag(bool value) { return ConfigNode::make_scalar(value ? "true" : "false", false); }

Conv2d::Options stem_conv(const DavitConfig& config) {
  return {.in_channels = config.in_chans,
          .out_channels = config.embed_dims.empty() ? 1 : config.embed_dims[0],
          .conv = {.kernel_h = 7, .kernel_w = 7, .stride = kStemStride, .padding = 3},
          .torch_init = true};
}

/// Even kernels cut the padded map into whole cells; odd ones reach over the border.
Conv2dOptions down_conv(int64_t kernel) {
  return {.kernel_h = kernel, .kernel_w = kernel, .stride = 2, .padding = kernel % 2 == 0 ? 0 : kernel / 2};
}

int64_t down_multiple(int64_t kernel) { return kernel % 2 == 0 ? kernel : 1; }

}  // namespace

void DavitConfig::validate() const {
  if (depths.empty() || depths.size() != embed_dims.size() || depths.size() != num_heads.size())
    fail_usage("`depths` has ", depths.size(), " entries, `embed_dims` ", embed_dims.size(), " and `num_heads` ",
               num_heads.size(), "; each stage needs all three");
  for (size_t s = 0; s < depths.size(); ++s)
    if (embed_dims[s] % num_heads[s] != 0)
      fail_usage("embed_dims ", embed_dims[s], " of stage ", s, " must be divisible by its num_heads ", num_heads[s]);
  if (ffn && static_cast<double>(*std::min_element(embed_dims.begin(), embed_dims.end())) * mlp_ratio < 1.0)
    fail_usage("an mlp_ratio of ", mlp_ratio, " leaves the MLP no hidden channel");
  check_map_size(
      img_size,
      {rounded_up(img_size[0], kStemStride) / kStemStride, rounded_up(img_size[1], kStemStride) / kStemStride},
      str("patches of ", kStemStride, " x ", kStemStride));
}

std::vector<std::pair<std::string, ConfigNode>> DavitConfig::mechanisms() const {
  const ConfigNode bias = flag(qkv_bias);
  const auto typed = [&](const char* type) {
    return ConfigNode::make_map().with("type", ConfigNode::make_scalar(type, true)).with("qkv_bias", bias);
  };
  const ConfigNode spatial = typed("window")
                                 .with("window", ConfigNode::make_scalar(std::to_string(window_size), false))
                                 .with("shift", ConfigNode::make_scalar("0", false))
                                 .with("relative_position_bias", flag(false))
                                 .with("always_partition", flag(true));
  const ConfigNode channel =
      typed("channel_group").with("roles", ConfigNode::make_scalar(channel_attn_v2 ? "q_k" : "k_v", true));
  if (attention.is_null()) return {{"spatial_block", spatial}, {"channel_block", channel}};
  std::vector<std::pair<std::string, ConfigNode>> all;
  for (const ConfigNode& node : attention.is_list() ? attention.items() : std::vector<ConfigNode>{attention}) {
    const std::string type = split_type(node).type;
    all.emplace_back(type + "_block", node.text() == "spatial" ? spatial : node.text() == "channel" ? channel : node);
  }
  if (all.empty()) attention.refuse("a layer needs at least one attention mechanism");
  return all;
}

Davit::Reduce::Reduce(const Conv2d::Options& conv_options, int64_t norm_channels, float eps, bool norm_is_first)
    : conv(conv_options), norm(NormKind::layer_norm, norm_channels, eps), norm_first(norm_is_first) {
  add_module("norm", norm);
  add_module("conv", conv);
}

Var Davit::Reduce::forward(Context& ctx, const Var& x, int64_t multiple) const {
  Var y = norm_first ? norm.forward(ctx, x) : x;
  const int64_t bottom = rounded_up(y.size(1), multiple) - y.size(1),
                right = rounded_up(y.size(2), multiple) - y.size(2);
  if (bottom > 0 || right > 0) y = pad_map(ctx, y, {.bottom = bottom, .right = right});
  y = conv.forward(ctx, y);
  return norm_first ? y : norm.forward(ctx, y);
}

Davit::Davit(const DavitConfig& config, const std::string& name)
    : config_(config),
      stem_(stem_conv(config), stem_conv(config).out_channels, config.norm_eps, /*norm_is_first=*/false),
      norm_pre_(config.head_norm_first ? NormKind::layer_norm : NormKind::identity,
                config.embed_dims.empty() ? 1 : config.embed_dims.back(), config.norm_eps),
      head_({.dim = config.embed_dims.empty() ? 1 : config.embed_dims.back(),
             .num_classes = config.num_classes,
             .pool = config.global_pool,
             .norm = config.head_norm_first ? std::nullopt : std::optional(MapNormKind::layer_norm),
             .norm_eps = config.norm_eps}) {
  config.validate();
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_module("stem", stem_);
  const std::vector<Grid> all = grids();
  for (size_t s = 0; s < config.depths.size(); ++s) add_stage(s, all[s]);
  add_module("norm_pre", norm_pre_);
  add_module("head", head_);
}

void Davit::add_stage(size_t index, Grid grid) {
  Stage& stage = stages_.emplace_back();
  const std::string prefix = str("stages.", index);
  const int64_t dim = config_.embed_dims[index];
  if (index > 0) {
    const int64_t inputs = config_.embed_dims[index - 1];
    add_module(prefix + ".downsample",
               stage.downsample.emplace(Conv2d::Options{.in_channels = inputs,
                                                        .out_channels = dim,
                                                        .conv = down_conv(config_.down_kernel_size),
                                                        .torch_init = true},
                                        inputs, config_.norm_eps, /*norm_is_first=*/true));
  }
  DavitBlockOptions options{.dim = dim,
                            .norm_eps = config_.norm_eps,
                            .position_activation = config_.cpe_act ? Activation::gelu : Activation::none};
  if (config_.ffn) options.mlp_hidden = static_cast<int64_t>(static_cast<double>(dim) * config_.mlp_ratio);
  const std::vector<std::pair<std::string, ConfigNode>> mechanisms = config_.mechanisms();
  for (int64_t layer = 0; layer < config_.depths[index]; ++layer)
    for (size_t turn = 0; turn < mechanisms.size(); ++turn) {
      const auto& [block_name, node] = mechanisms[turn];
      auto attention =
          build_attention(node, {.dim = dim, .num_heads = config_.num_heads[index], .grid = grid, .layer = layer});
      add_module(str(prefix, ".blocks.", layer, ".", config_.named_blocks ? block_name : std::to_string(turn)),
                 stage.blocks.emplace_back(options, std::move(attention)));
    }
}

std::vector<Grid> Davit::grids() const {
  const Conv2dOptions conv = down_conv(config_.down_kernel_size);
  const auto reduced = [&](int64_t extent) {
    const int64_t padded = rounded_up(extent, down_multiple(config_.down_kernel_size));
    return (padded + 2 * conv.padding - conv.kernel_h) / conv.stride + 1;
  };
  std::vector<Grid> all = {{rounded_up(config_.img_size[0], kStemStride) / kStemStride,
                            rounded_up(config_.img_size[1], kStemStride) / kStemStride}};
  while (all.size() < config_.depths.size()) all.push_back({reduced(all.back().height), reduced(all.back().width)});
  return all;
}

std::vector<Var> Davit::run(Context& ctx, const Var& images, size_t count) const {
  check(images.value().rank() == 4 && images.size(1) == config_.in_chans, info_.name, ": expected images [B, ",
        config_.in_chans, ", height, width], got ", images.shape());
  Var x = stem_.forward(ctx, channels_last(ctx, images), kStemStride);
  ctx.observe("stem", x.value());
  std::vector<Var> maps;
  for (size_t s = 0; s < count; ++s) {
    const Stage& stage = stages_[s];
    Scope scope(ctx, "stages", static_cast<int64_t>(s));
    if (stage.downsample) x = stage.downsample->forward(ctx, x, down_multiple(config_.down_kernel_size));
    for (size_t i = 0; i < stage.blocks.size(); ++i) {
      Scope block_scope(ctx, "blocks", static_cast<int64_t>(i));
      const auto block = [&block = stage.blocks[i]](Context& inner, const Var& map) {
        return block.forward(inner, map);
      };
      x = training_.grad_checkpointing ? checkpoint(ctx, block, x) : block(ctx, x);
      ctx.observe("", x.value());
    }
    ctx.observe("", x.value());
    maps.push_back(x);
  }
  return maps;
}

Var Davit::forward(Context& ctx, const Var& images) const {
  Var x = run(ctx, images, stages_.size()).back();
  {
    Scope scope(ctx, "norm_pre");
    x = norm_pre_.forward(ctx, x);
  }
  ctx.observe("features", x.value());
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, x);
  ctx.observe("logits", logits.value());
  return logits;
}

std::vector<FeatureInfo> Davit::features() const {
  std::vector<FeatureInfo> maps;
  for (size_t s = 0; s < stages_.size(); ++s)
    maps.push_back({str("stages.", s), config_.embed_dims[s], kStemStride << s});
  return maps;
}

void Davit::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  const std::vector<Var> maps = run(ctx, images, count);
  for (size_t i = 0; i < maps.size(); ++i) keep(i, maps[i]);
}

ConfigNode Davit::describe() const {
  return write_config(config_).with("type", ConfigNode::make_scalar("davit", true));
}

void Davit::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  const int64_t layers = std::accumulate(config_.depths.begin(), config_.depths.end(), int64_t{0});
  const auto last = static_cast<float>(std::max<int64_t>(1, layers - 1));
  int64_t first = 0;
  for (size_t s = 0; s < stages_.size(); ++s) {
    const auto turns = static_cast<int64_t>(stages_[s].blocks.size()) / std::max<int64_t>(1, config_.depths[s]);
    for (size_t i = 0; i < stages_[s].blocks.size(); ++i) {
      // The blocks of a layer share its rate.
      const auto layer = static_cast<float>(first + static_cast<int64_t>(i) / turns);
      stages_[s].blocks[i].set_dropout(
          {.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate * layer / last});
    }
    first += config_.depths[s];
  }
}

std::vector<std::string> Davit::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  std::vector<std::string> names = head_.replace(num_classes);
  for (std::string& name : names) name = "head." + name;
  return names;
}

const std::map<std::string, ReferenceOutput>& Davit::reference_names() const {
  static const std::map<std::string, ReferenceOutput> names = {{"hidden.{i}", {"stages.{i}", /*nchw=*/true}},
                                                               {"features", {"features", true}},
                                                               {"pre_logits", "head.pre_logits"},
                                                               {"output", "head.logits"}};
  return names;
}

void Davit::set_input_size(int64_t height, int64_t width) {
  if (height < 1 || width < 1) fail_usage(info_.name, ": images of ", height, " x ", width, " are not possible");
  DavitConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  config_.img_size = info_.input_size = resized.img_size;
  const std::vector<Grid> all = grids();
  for (size_t s = 0; s < stages_.size(); ++s)
    for (DavitBlock& block : stages_[s].blocks) block.set_grid(all[s]);
}

}  // namespace vit
