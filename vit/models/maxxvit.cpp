#include "vit/models/maxxvit.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <sstream>

#include "vit/autograd/observed.h"
#include "vit/io/safetensors.h"
#include "vit/models/attention_list.h"
#include "vit/models/build.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

/// Whether a stage's first block halves its map by a pooling over 2 x 2 somewhere, which rounds odd extents down, while
/// everything else rounds them up.
bool rounds_down(const MaxxvitConfig& config, const std::string& type) {
  const auto rounds = [](HalvingPool pool) { return pool == HalvingPool::avg2 || pool == HalvingPool::max2; };
  if (type == "T") return rounds(config.transformer.pool_type);
  const MaxxvitConvConfig& conv = config.conv;
  if (conv.block_type == ConvBlockType::convnext) return true;  // its shortcut's
  const bool pools_branch = conv.stride_mode == StrideMode::pool;
  return conv.padding != MapPadding::same &&
         (rounds(conv.pool_type) || (pools_branch && rounds(conv.downsample_pool_type)));
}

}  // namespace

std::vector<std::string> MaxxvitConfig::stage_blocks(size_t stage) const {
  std::istringstream words(block_type[stage]);
  std::vector<std::string> types{std::istream_iterator<std::string>(words), {}};
  if (types.empty()) fail_usage("block_type: stage ", stage, " has no blocks");
  types.resize(static_cast<size_t>(depths[stage]), types.back());
  return types;
}

Grid MaxxvitConfig::map_of(int64_t stage) const {
  Grid map{img_size[0], img_size[1]};
  for (int64_t halvings = stage + 2; halvings > 0; --halvings) map = {(map.height + 1) / 2, (map.width + 1) / 2};
  return map;
}

std::array<int64_t, 2> MaxxvitConfig::window_size() const {
  const int64_t ratio = transformer.partition_ratio;
  return transformer.window_size.value_or(std::array<int64_t, 2>{img_size[0] / ratio, img_size[1] / ratio});
}

std::array<int64_t, 2> MaxxvitConfig::grid_size() const {
  // timm: without a window_size both come from the image.
  return transformer.window_size ? transformer.grid_size.value_or(window_size()) : window_size();
}

void MaxxvitConfig::validate() const {
  const size_t stages = embed_dim.size();
  if (stages == 0 || depths.size() != stages || block_type.size() != stages)
    fail_usage("each stage needs an entry of embed_dim, depths and block_type; there are ", stages, ", ", depths.size(),
               " and ", block_type.size());
  check_map_size(img_size, map_of(0), "cells of the first stage");
  if (conv.block_type == ConvBlockType::mbconv && conv.kernel_size % 2 == 0 && conv.padding != MapPadding::same)
    fail_usage("an even kernel_size of ", conv.kernel_size,
               " makes the map of a convolutional block smaller than its "
               "shortcut's; choose an odd one, or padding: same");
  for (size_t i = 0; i < stages; ++i) {
    const std::string first = stage_blocks(i)[0];
    const Grid map = map_of(static_cast<int64_t>(i) - 1);
    if ((map.height % 2 != 0 || map.width % 2 != 0) && rounds_down(*this, first))
      fail_usage("img_size ", img_size[0], " x ", img_size[1], ": stage ", i, " cannot halve a map of ", map.height,
                 " x ", map.width, "; choose extents that are multiples of ", int64_t{4} << i);
    if (first.ends_with('M') && std::min(window_size()[0], window_size()[1]) < 1)
      fail_usage("img_size ", img_size[0], " x ", img_size[1], " leaves windows nothing: they are its extents by ",
                 transformer.partition_ratio, "; give window_size or a smaller partition_ratio");
  }
}

void Maxxvit::Stage::add(std::unique_ptr<MapBlock> block) {
  add_module("blocks." + std::to_string(blocks.size()), *block);
  blocks.push_back(std::move(block));
}

Maxxvit::Maxxvit(const MaxxvitConfig& config, const std::string& name)
    : config_(config),
      stem_(config.in_chans, config.stem_width, config.stem_bias, config.conv),
      head_({.dim = config.embed_dim.empty() ? 0 : config.embed_dim.back(),
             .num_classes = config.num_classes,
             .pool = config.global_pool,
             .norm = config.head_hidden_size ? std::optional(config.transformer.norm_layer) : std::nullopt,
             .norm_eps = config.transformer.norm_eps,
             .hidden_size = config.head_hidden_size}) {
  config.validate();
  check_attention_list(config.attention, static_cast<int64_t>(config.depths.size()), "stages");
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_module("stem", stem_);
  for (size_t stage = 0; stage < config.embed_dim.size(); ++stage) {
    const std::vector<std::string> types = config.stage_blocks(stage);
    stages_.emplace_back();
    for (size_t i = 0; i < types.size(); ++i) stages_.back().add(make_block(types[i], stage, static_cast<int64_t>(i)));
    add_module("stages." + std::to_string(stage), stages_.back());
  }
  if (!config.head_hidden_size)
    add_module("norm",
               norm_.emplace(config.transformer.norm_layer, config.embed_dim.back(), config.transformer.norm_eps));
  add_module("head", head_);
}

std::unique_ptr<MapBlock> Maxxvit::make_block(const std::string& type, size_t stage, int64_t index) const {
  const int64_t before = stage == 0 ? config_.stem_width[1] : config_.embed_dim[stage - 1];
  const int64_t dim_out = config_.embed_dim[stage];
  return make_map_block(type, {.dim = index == 0 ? before : dim_out,
                               .dim_out = dim_out,
                               .stride = index == 0 ? 2 : 1,
                               .map = config_.map_of(static_cast<int64_t>(stage)),
                               .window = config_.window_size(),
                               .grid = config_.grid_size(),
                               .layer = index,
                               .attention = attention_of(config_.attention, static_cast<int64_t>(stage)),
                               .conv = config_.conv,
                               .transformer = config_.transformer});
}

ConfigNode Maxxvit::describe() const {
  return write_config(config_).with("type", ConfigNode::make_scalar("maxxvit", true));
}

void Maxxvit::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  const int64_t blocks = std::accumulate(config_.depths.begin(), config_.depths.end(), int64_t{0});
  int64_t index = 0;
  for (Stage& stage : stages_)
    for (const auto& block : stage.blocks)
      block->set_dropout(options.proj_drop_rate, options.drop_path_rate * static_cast<float>(index++) /
                                                     static_cast<float>(std::max<int64_t>(1, blocks - 1)));
}

std::vector<std::string> Maxxvit::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  std::vector<std::string> names = head_.replace(num_classes);
  for (std::string& name : names) name = dotted("head", name);
  return names;
}

Var Maxxvit::run_stage(Context& ctx, const Var& x, int64_t stage) const {
  if (stage < 0) {
    Scope scope(ctx, "stem");
    const Var y = stem_.forward(ctx, x);
    ctx.observe("", y.value());
    return dropout(ctx, y, training_.pos_drop_rate);
  }
  Scope scope(ctx, "stages", stage);
  Var y = x;
  const auto& blocks = stages_[static_cast<size_t>(stage)].blocks;
  for (size_t i = 0; i < blocks.size(); ++i) {
    Scope inner_scope(ctx, "blocks", static_cast<int64_t>(i));
    const auto block = [&block = *blocks[i]](Context& inner, const Var& map) { return block.forward(inner, map); };
    y = training_.grad_checkpointing ? checkpoint(ctx, block, y) : block(ctx, y);
    ctx.observe("", y.value());
  }
  return observed(ctx, "", y);
}

Var Maxxvit::forward(Context& ctx, const Var& images) const {
  Var x = images;
  for (int64_t stage = -1; stage < static_cast<int64_t>(stages_.size()); ++stage) x = run_stage(ctx, x, stage);
  if (norm_) {
    Scope scope(ctx, "norm");
    x = norm_->forward(ctx, x);
  }
  ctx.observe("features", x.value());
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, x);
  ctx.observe("logits", logits.value());
  return logits;
}

std::vector<FeatureInfo> Maxxvit::features() const {
  std::vector<FeatureInfo> maps = {{"stem", config_.stem_width[1], 2}};
  for (size_t i = 0; i < stages_.size(); ++i)
    maps.push_back({"stages." + std::to_string(i), config_.embed_dim[i], int64_t{4} << i});
  return maps;
}

void Maxxvit::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  Var x = images;
  for (size_t i = 0; i < count; ++i) keep(i, x = run_stage(ctx, x, static_cast<int64_t>(i) - 1));
}

const std::map<std::string, ReferenceOutput>& Maxxvit::reference_names() const {
  static const std::map<std::string, ReferenceOutput> names = {{"hidden.{i}", {"stages.{i}", true}},
                                                               {"features", {"features", true}},
                                                               {"pre_logits", "head.pre_logits"},
                                                               {"output", "head.logits"}};
  return names;
}

void Maxxvit::set_input_size(int64_t height, int64_t width) {
  MaxxvitConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  config_.img_size = info_.input_size = resized.img_size;
  for (size_t stage = 0; stage < stages_.size(); ++stage)
    for (const auto& block : stages_[stage].blocks)
      block->set_extents(config_.map_of(static_cast<int64_t>(stage)), config_.window_size(), config_.grid_size());
}

Tensor Maxxvit::adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const {
  // timm's checkpoint_filter_fn: a 1 x 1 convolution and a linear layer have the same weights.
  if (found.numel() == expected.numel() && found.rank() != expected.rank()) return found.view(expected);
  constexpr std::string_view kTable = "relative_position_bias_table";
  if (!name.ends_with(kTable) || found.rank() != expected.rank() || found.shape() == expected) return found;
  // What the table is for: the window of the block's attention, or the whole map of a transformer block.
  const bool grid = name.find(".attn_grid.") != std::string::npos;
  const bool window = grid || name.find(".attn_block.") != std::string::npos;
  const int64_t stage = std::stoll(name.substr(name.find('.') + 1));
  const Grid map = config_.map_of(stage);
  const std::array<int64_t, 2> whole{map.height, map.width};
  const bool flat = expected.rank() == 2;
  if (flat ? found.size(1) != expected[1] : found.size(0) != expected[0]) return found;
  const int64_t side = std::llround(std::sqrt(static_cast<double>(found.size(0))));
  if (flat && (side * side != found.size(0) || side % 2 == 0)) return found;  // what window it is for is not known
  if (!flat && (found.size(1) % 2 == 0 || found.size(2) % 2 == 0)) return found;
  return resample_window_bias(to_f32(found), grid ? config_.grid_size() : window ? config_.window_size() : whole);
}

namespace {

std::unique_ptr<ImageModel> build_maxxvit(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Maxxvit>(read_config<MaxxvitConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const char* name : {"coatnet", "maxvit"}) model_registry().add(name, build_maxxvit);
  return model_registry().add("maxxvit", build_maxxvit);
}();

}  // namespace

}  // namespace vit
