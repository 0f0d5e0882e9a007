#include "vit/models/resnet.h"

#include <algorithm>
#include <numeric>

#include "vit/autograd/map_ops.h"
#include "vit/autograd/observed.h"
#include "vit/models/attention_list.h"
#include "vit/models/build.h"

namespace vit {

const std::vector<std::pair<ResNetStem, std::string>>& enum_names(ResNetStem) {
  static const std::vector<std::pair<ResNetStem, std::string>> names = {
      {ResNetStem::plain, "plain"}, {ResNetStem::deep, "deep"}, {ResNetStem::deep_tiered, "deep_tiered"}};
  return names;
}

void ResNetConfig::validate() const {
  if (layers.empty() || layers.size() != channels.size())
    fail_usage("`layers` has ", layers.size(), " entries and `channels` ", channels.size(), "; each stage needs both");
  if (block == ResNetBlockKind::basic && (cardinality != 1 || base_width != 64))
    fail_usage("cardinality and base_width belong to bottlenecks; a basic block has none");
  if (block == ResNetBlockKind::basic && downsample_in_bottleneck)
    fail_usage("downsample_in_bottleneck needs bottlenecks");
  if (down_kernel_size != 1 && down_kernel_size != 3) fail_usage("down_kernel_size must be 1 or 3");
  if (aa && replace_stem_pool) fail_usage("aa and replace_stem_pool do not go together");
  if (stem_type == ResNetStem::deep_tiered && stem_width < 4)
    fail_usage("a tiered stem needs a stem_width of 4 or more");
  for (size_t s = 0; s < layers.size(); ++s) {
    if (stage_width(s) < 1)
      fail_usage("stage ", s, " has bottlenecks of no channels: ", channels[s], " channels * base_width ", base_width,
                 " / 64, rounded down; raise one of the two");
    const int64_t first = stage_width(s) / block_reduce_first;
    if (first < 1)
      fail_usage("block_reduce_first ", block_reduce_first, " leaves the first convolution of stage ", s,
                 " no output: it has ", stage_width(s), " without it");
    if (first % cardinality != 0)
      fail_usage("cardinality ", cardinality, " does not divide the ", first,
                 " channels that the first convolution of "
                 "stage ",
                 s, " leaves; choose another block_reduce_first");
  }
}

int64_t ResNetConfig::stage_width(size_t stage) const {
  return block == ResNetBlockKind::basic ? channels[stage] : channels[stage] * base_width / 64 * cardinality;
}

int64_t ResNetConfig::stem_outputs() const {
  if (stem_channels) return *stem_channels;
  return stem_type == ResNetStem::plain ? 64 : 2 * stem_width;
}

bool ResNetConfig::averages_shortcut(size_t stage) const {
  const int64_t inputs = stage == 0 ? stem_outputs() : stage_outputs(stage - 1);
  return avg_down && !(project_first && inputs == stage_outputs(stage));
}

ConfigNode ResNetConfig::stage_attention(size_t stage) const {
  const ConfigNode node = attention_of(attention, static_cast<int64_t>(stage));
  return node.is_scalar() && node.text() == "none" ? ConfigNode() : node;
}

namespace {

constexpr int64_t kAttentionHead = 32;  ///< channels of a head, for mechanisms that have heads

int64_t halved(int64_t extent) { return (extent + 1) / 2; }

/// Cells after a stride: convolutions round up, means over whole cells down.
Grid strided(const Grid& grid, int64_t stride, bool whole_cells) {
  const int64_t more = whole_cells ? 0 : stride - 1;
  return {(grid.height + more) / stride, (grid.width + more) / stride};
}

}  // namespace

ResNet::ResNet(const ResNetConfig& config, const std::string& name)
    : config_(config),
      head_({.dim = config.layers.empty() || config.channels.empty() ? 0
                                                                     : config.stage_outputs(config.channels.size() - 1),
             .num_classes = config.num_classes,
             .pool = config.global_pool}) {
  config.validate();
  check_attention_list(config.attention, static_cast<int64_t>(config.layers.size()), "stages");
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_stem();
  plan_stages();
  measure_grids();
  int64_t inputs = config.stem_outputs();
  for (size_t s = 0; s < stages_.size(); ++s) {
    add_stage(s, inputs);
    inputs = config.stage_outputs(s);
  }
  add_module("", head_);
  name_references();
}

void ResNet::add_stem() {
  const auto add = [&](int64_t inputs, int64_t outputs, int64_t kernel, int64_t stride, const std::string& conv,
                       const std::string& norm) {
    const Conv2dOptions window{.kernel_h = kernel, .kernel_w = kernel, .stride = stride, .padding = kernel / 2};
    return ConvNormOptions{.conv = unbiased(inputs, outputs, window),
                           .conv_name = conv,
                           .norm_name = norm,
                           .norm = {.eps = config_.norm_eps},
                           .frozen = config_.frozen_norm};
  };
  const int64_t outputs = config_.stem_outputs(), width = config_.stem_width;
  if (config_.stem_type == ResNetStem::plain) {
    add_module("", stem_.emplace_back(add(config_.in_chans, outputs, 7, 2, "conv1", "bn1")));
  } else {
    const int64_t first = config_.stem_type == ResNetStem::deep_tiered ? 3 * (width / 4) : width;
    add_module("", stem_.emplace_back(add(config_.in_chans, first, 3, 2, "conv1.0", "conv1.1")));
    add_module("", stem_.emplace_back(add(first, width, 3, 1, "conv1.3", "conv1.4")));
    add_module("", stem_.emplace_back(add(width, outputs, 3, 1, "conv1.6", "bn1")));
  }
  if (config_.replace_stem_pool)
    add_module("", stem_pool_.emplace(add(outputs, outputs, 3, 2, "maxpool.0", "maxpool.1")));
}

void ResNet::plan_stages() {
  int64_t reduction = 4, dilation = 1, previous = 1;
  for (size_t s = 0; s < config_.layers.size(); ++s) {
    Stage& stage = stages_.emplace_back();
    stage.stride = s > 0 || config_.downsample_in_first_stage ? 2 : 1;
    if (reduction >= config_.output_stride) {
      dilation *= stage.stride;
      stage.stride = 1;
    }
    reduction *= stage.stride;
    stage.reduction = reduction;
    stage.dilation = dilation;
    stage.first_dilation = previous;
    previous = dilation;
  }
}

void ResNet::measure_grids() {
  Grid grid{halved(config_.img_size[0]), halved(config_.img_size[1])};
  grid = strided(grid, 2, config_.aa);
  for (Stage& stage : stages_) stage.grid = grid = strided(grid, stage.stride, config_.aa);
}

void ResNet::add_stage(size_t index, int64_t inputs) {
  Stage& stage = stages_[index];
  const int64_t outputs = config_.stage_outputs(index), width = config_.stage_width(index);
  const ConfigNode mechanism = config_.stage_attention(index);
  for (int64_t i = 0; i < config_.layers[index]; ++i) {
    const ResNetBlockOptions options{.kind = config_.block,
                                     .inputs = i == 0 ? inputs : outputs,
                                     .outputs = outputs,
                                     .first_planes = width / config_.block_reduce_first,
                                     .width = width,
                                     .cardinality = config_.cardinality,
                                     .stride = i == 0 ? stage.stride : 1,
                                     .dilation = stage.dilation,
                                     .first_dilation = i == 0 ? stage.first_dilation : stage.dilation,
                                     .stride_first = config_.downsample_in_bottleneck,
                                     .aa = config_.aa,
                                     .avg_down = config_.averages_shortcut(index),
                                     .project = config_.project_first && i == 0,
                                     .down_kernel_size = config_.down_kernel_size,
                                     .act = config_.act,
                                     .norm = {.eps = config_.norm_eps},
                                     .frozen_norm = config_.frozen_norm,
                                     .zero_init_last = config_.zero_init_last};
    std::unique_ptr<Attention> attention;
    if (!mechanism.is_null())
      attention = build_attention(mechanism, {.dim = outputs,
                                              .num_heads = outputs % kAttentionHead == 0 ? outputs / kAttentionHead : 1,
                                              .grid = stage.grid,
                                              .layer = i});
    add_module(str("layer", index + 1, ".", i), stage.blocks.emplace_back(options, std::move(attention)));
  }
}

void ResNet::name_references() {
  const bool timm = config_.dialect == Dialect::timm;
  for (size_t s = 0; s < stages_.size(); ++s) {
    const std::string ours = str("layer", s + 1);
    reference_names_.emplace(timm ? str("hidden.", s) : str("hidden_states.", s + 1),
                             ReferenceOutput(ours.c_str(), /*nchw=*/true));
  }
  const ReferenceOutput features("features", true);
  if (timm) {
    reference_names_.insert({{"features", features}, {"pre_logits", "pre_logits"}, {"output", "logits"}});
  } else {
    reference_names_.insert({{"hidden_states.0", {"maxpool", true}},
                             {"embedding_output", {"maxpool", true}},
                             {"last_hidden_state", features},
                             {"pooler_output", {"pooler_output", true}},
                             {"logits", "logits"}});
  }
}

ConfigNode ResNet::describe() const {
  return write_config(config_).with("type", ConfigNode::make_scalar("resnet", true));
}

void ResNet::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  const int64_t count = std::accumulate(config_.layers.begin(), config_.layers.end(), int64_t{0});
  const auto last = static_cast<float>(std::max<int64_t>(1, count - 1));
  int64_t i = 0;
  for (Stage& stage : stages_)
    for (ResNetBlock& block : stage.blocks)
      block.set_drop_path(options.drop_path_rate * static_cast<float>(i++) / last);
}

std::vector<std::string> ResNet::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  return head_.replace(num_classes);
}

void ResNet::set_input_size(int64_t height, int64_t width) {
  config_.img_size = info_.input_size = {height, width};
  measure_grids();
  for (Stage& stage : stages_)
    for (ResNetBlock& block : stage.blocks)
      if (block.attention()) block.attention()->set_grid(stage.grid);
}

std::vector<FeatureInfo> ResNet::features() const {
  std::vector<FeatureInfo> infos;
  for (size_t s = 0; s < stages_.size(); ++s)
    infos.push_back({str("layer", s + 1), config_.stage_outputs(s), stages_[s].reduction});
  return infos;
}

Var ResNet::embed(Context& ctx, const Var& images) const {
  check(images.value().rank() == 4 && images.size(1) == config_.in_chans, info_.name, ": expected images [B, ",
        config_.in_chans, ", height, width], got ", images.shape());
  Var x = channels_last(ctx, images);
  for (const ConvNorm& conv : stem_) x = conv.forward(ctx, x, config_.act);
  ctx.observe("act1", x.value());
  if (stem_pool_)
    x = stem_pool_->forward(ctx, x, config_.act);
  else if (config_.aa)
    x = avg_pool2d(ctx, x, {.kernel = 2, .stride = 2});
  else
    x = max_pool2d(ctx, x, {.kernel = 3, .stride = 2, .padding = 1});
  ctx.observe("maxpool", x.value());
  return x;
}

Var ResNet::run_stage(Context& ctx, size_t index, Var x) const {
  const std::string name = str("layer", index + 1);
  const Stage& stage = stages_[index];
  for (size_t i = 0; i < stage.blocks.size(); ++i) {
    Scope scope(ctx, name, static_cast<int64_t>(i));
    const ResNetBlock& block = stage.blocks[i];
    if (training_.grad_checkpointing && ctx.tape)
      x = checkpoint(
          ctx, [&block](Context& inner, const Var& map) { return block.forward(inner, map); }, x);
    else
      x = block.forward(ctx, std::move(x));
    ctx.observe("", x.value());
  }
  return observed(ctx, name, x);
}

void ResNet::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  Var x = embed(ctx, images);
  for (size_t s = 0; s < count; ++s) keep(s, x = run_stage(ctx, s, std::move(x)));
}

Var ResNet::forward(Context& ctx, const Var& images) const {
  Var x = embed(ctx, images);
  for (size_t s = 0; s < stages_.size(); ++s) x = run_stage(ctx, s, std::move(x));
  ctx.observe("features", x.value());
  if (ctx.wants("pooler_output")) {
    const Var tokens = reshape(ctx, x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
    ctx.observe("pooler_output",
                reduce_tokens(ctx, tokens, 0, Reduction::mean).value().view({x.size(0), 1, 1, x.size(3)}));
  }
  const Var logits = head_.forward(ctx, x);
  ctx.observe("logits", logits.value());
  return logits;
}

namespace {

std::unique_ptr<ImageModel> build_resnet(const ConfigNode& options, const std::string& name) {
  return std::make_unique<ResNet>(read_config<ResNetConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = model_registry().add("resnet", build_resnet);

}  // namespace

}  // namespace vit
