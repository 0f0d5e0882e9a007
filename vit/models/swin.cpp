#include "vit/models/swin.h"

#include <algorithm>

#include "vit/attention/window.h"
#include "vit/autograd/map_ops.h"
#include "vit/io/safetensors.h"
#include "vit/models/attention_list.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

BlockOptions block_options(const SwinConfig& config, int64_t stage) {
  const int64_t dim = config.dim(stage);
  return {.dim = dim,
          .norm_eps = config.norm_eps,
          .mlp = {.dim = dim,
                  .hidden = static_cast<int64_t>(static_cast<double>(dim) * config.mlp_ratio),
                  .activation = config.act}};
}

/// The window of a stage: one for all, or an entry of a list; two numbers are a height and a width.
ConfigNode window_of(const SwinConfig& config, int64_t stage) {
  const ConfigNode& node = config.window_size;
  if (!node.is_list()) return node;
  const std::vector<ConfigNode> items = node.items();
  if (items.size() == 2 && !items[0].is_list() && !items[1].is_list()) return node;
  if (items.size() != config.depths.size())
    node.refuse(
        str("expected a window for each of ", config.stages(), " stages, or [height, width]; got ", items.size()));
  return items[static_cast<size_t>(stage)];
}

std::map<std::string, ReferenceOutput> names_of(const SwinConfig& config) {
  if (config.dialect == Dialect::timm)
    return {{"hidden.{i}", "layers.{i}"},
            {"features", "features"},
            {"pre_logits", "head.pre_logits"},
            {"output", "head.logits"}};
  const std::string last = std::to_string(config.stages() - 1), end = std::to_string(config.stages());
  const std::string tokens = "layers." + last + ".tokens", map = "layers." + last;
  return {{"embeddings", "embeddings"},
          {"hidden_states.0", "embeddings"},
          {"hidden_states." + end, {tokens.c_str()}},
          {"hidden_states.{i}", "layers.{i}.downsample"},
          {"reshaped_hidden_states.0", {"embeddings.map", true}},
          {"reshaped_hidden_states." + end, {map.c_str(), true}},
          {"reshaped_hidden_states.{i}", {"layers.{i}.downsample.map", true}},
          {"last_hidden_state", "features.tokens"},
          {"pooler_output", "head.pre_logits"},
          {"logits", "head.logits"}};
}

const SwinConfig& validated(const SwinConfig& config) {
  config.validate();
  check_attention_list(config.attention, config.stages(), "the number of stages");
  return config;
}

/// Offers tokens under a name, and as the map [B, height, width, C] that they form under another.
void observe_map(Context& ctx, const char* tokens_name, const char* map_name, const Var& tokens, const Grid& grid) {
  ctx.observe(tokens_name, tokens.value());
  if (ctx.wants(map_name))
    ctx.observe(map_name, tokens.value().view({tokens.size(0), grid.height, grid.width, tokens.size(2)}));
}

}  // namespace

void SwinConfig::validate() const {
  if (depths.empty() || depths.size() > 8 || depths.size() != num_heads.size())
    fail_usage("depths and num_heads must be as long as there are stages (1 to 8), got ", depths.size(), " and ",
               num_heads.size());
  if (dim(stages() - 1) > (1 << 16)) fail_usage("the last stage's width of ", dim(stages() - 1), " is too large");
  for (int64_t stage = 0; stage < stages(); ++stage) {
    const int64_t heads = num_heads[static_cast<size_t>(stage)];
    if (dim(stage) % heads != 0)
      fail_usage("stage ", stage, ": its width of ", dim(stage), " must be divisible by num_heads ", heads);
  }
  if (static_cast<double>(embed_dim) * mlp_ratio < 1.0)
    fail_usage("an mlp_ratio of ", mlp_ratio, " leaves the MLP no hidden channel");
  check_map_size(img_size, grid(0), str("patches of ", patch_size, " x ", patch_size));
  if (grid(stages() - 1).count() == 0)
    fail_usage("img_size ", img_size[0], " x ", img_size[1], " is too small for patches of ", patch_size, " and ",
               stages(), " stages");
}

ConfigNode SwinConfig::attention_of_stage(int64_t stage) const {
  const ConfigNode node = attention_of(attention, stage);
  const TypedConfig chosen = split_type(node, "window");
  if (chosen.type != "window") return node;
  WindowAttentionOptions options;
  options.window = window_of(*this, stage);
  options.always_partition = always_partition;
  options.rule = dialect == Dialect::timm ? WindowRule::timm : WindowRule::hugging_face;
  options.qkv_bias = qkv_bias;
  // What is refused later is refused at the mechanism's place.
  ConfigNode own = chosen.options.is_null() ? ConfigNode::make_map(node.place()) : chosen.options;
  const ConfigNode defaults = write_config(options);
  for (const std::string& key : defaults.keys())
    if (!own.has(key)) own = own.with(key, defaults.get(key));
  return own.with("type", ConfigNode::make_scalar("window", true));
}

SwinStage::SwinStage(const SwinConfig& config, int64_t stage) {
  if (stage > 0)
    add_module("downsample", downsample_.emplace(config.dim(stage - 1), config.dim(stage), config.reducing_norm_eps()));
  for (int64_t i = 0; i < config.depths[static_cast<size_t>(stage)]; ++i) {
    auto attention =
        build_attention(config.attention_of_stage(stage), {.dim = config.dim(stage),
                                                           .num_heads = config.num_heads[static_cast<size_t>(stage)],
                                                           .grid = config.grid(stage),
                                                           .layer = i});
    add_module("blocks." + std::to_string(i), blocks_.emplace_back(block_options(config, stage), std::move(attention)));
  }
}

Var SwinStage::forward(Context& ctx, const Var& x, Grid& grid, bool grad_checkpointing) const {
  Var y = x;
  if (downsample_) {
    Scope scope(ctx, "downsample");
    y = downsample_->forward(ctx, x, grid);
    observe_map(ctx, "", "map", y, grid);
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Scope scope(ctx, "blocks", static_cast<int64_t>(i));
    const auto block = [&block = blocks_[i], grid](Context& inner, const Var& tokens) {
      return block.forward(inner, tokens, {.grid = grid});
    };
    y = grad_checkpointing ? checkpoint(ctx, block, y) : block(ctx, y);
    ctx.observe("", y.value());
  }
  return y;
}

Swin::Embed::Embed(const SwinConfig& config)
    : proj({.channels = config.in_chans,
            .dim = config.embed_dim,
            .patch_h = config.patch_size,
            .patch_w = config.patch_size}),
      norm(NormKind::layer_norm, config.embed_dim, config.reducing_norm_eps()) {
  add_module("", proj);
  add_module("norm", norm);
}

Swin::Swin(const SwinConfig& config, const std::string& name)
    : config_(validated(config)),
      patch_embed_(config),
      norm_(NormKind::layer_norm, config.dim(config.stages() - 1), config.norm_eps),
      head_({.dim = config.dim(config.stages() - 1), .num_classes = config.num_classes}),
      reference_names_(names_of(config)) {
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_module("patch_embed", patch_embed_);
  if (config.ape)
    add_parameter("absolute_pos_embed", absolute_pos_embed_, {1, config.grid(0).count(), config.embed_dim},
                  Init::truncated_normal(0.02f));
  for (int64_t i = 0; i < config.stages(); ++i)
    add_module("layers." + std::to_string(i), layers_.emplace_back(config, i));
  add_module("norm", norm_);
  add_module("head", head_);
}

ConfigNode Swin::describe() const { return write_config(config_).with("type", ConfigNode::make_scalar("swin", true)); }

void Swin::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  int64_t blocks = 0, at = 0;
  for (const int64_t depth : config_.depths) blocks += depth;
  const auto last = static_cast<float>(std::max<int64_t>(1, blocks - 1));
  for (SwinStage& stage : layers_)
    for (Block& block : stage.blocks())
      block.set_dropout(
          {.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate * static_cast<float>(at++) / last});
}

std::vector<std::string> Swin::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  std::vector<std::string> names = head_.replace(num_classes);
  for (std::string& name : names) name = "head." + name;
  return names;
}

Var Swin::embed(Context& ctx, const Var& images, Grid& grid) const {
  Scope scope(ctx, "patch_embed");
  const int64_t patch = config_.patch_size;
  Var whole = images;
  check(images.value().rank() == 4, "swin: expected images [B, ", config_.in_chans, ", height, width], got ",
        images.shape());
  const int64_t bottom = (patch - images.size(2) % patch) % patch, right = (patch - images.size(3) % patch) % patch;
  if (config_.dialect == Dialect::hugging_face && bottom + right > 0) {
    // timm leaves out what fills no patch, Hugging Face fills it up with zeros. Each plane is a map of one channel.
    const Var planes = reshape(ctx, images, {images.size(0) * images.size(1), images.size(2), images.size(3), 1});
    whole = reshape(ctx, pad_map(ctx, planes, {.bottom = bottom, .right = right}),
                    {images.size(0), images.size(1), images.size(2) + bottom, images.size(3) + right});
  }
  grid = {whole.size(2) / patch, whole.size(3) / patch};
  check(grid.count() > 0, "swin: images of ", images.size(2), " x ", images.size(3), " hold no patch of ", patch);
  Var x = patch_embed_.norm.forward(ctx, patch_embed_.proj.forward(ctx, whole));
  if (!config_.ape) return x;
  const Grid native = config_.grid(0);
  Var table = absolute_pos_embed_.value;
  if (!(grid == native))
    table = resample_grid(ctx, table, 0, native.height, native.width, grid.height, grid.width, Interpolation::bicubic);
  return add(ctx, x, table);
}

Var Swin::run(Context& ctx, const Var& images, size_t count, Grid& grid, std::vector<Var>* maps) const {
  Var x = embed(ctx, images, grid);
  observe_map(ctx, "embeddings", "embeddings.map", x, grid);
  x = dropout(ctx, x, training_.pos_drop_rate);
  for (size_t i = 0; i < count; ++i) {
    Scope scope(ctx, "layers", static_cast<int64_t>(i));
    x = layers_[i].forward(ctx, x, grid, training_.grad_checkpointing);
    observe_map(ctx, "tokens", "", x, grid);
    if (maps) maps->push_back(reshape(ctx, x, {x.size(0), grid.height, grid.width, x.size(2)}));
  }
  return x;
}

Var Swin::forward(Context& ctx, const Var& images) const {
  Grid grid;
  const Var tokens = run(ctx, images, layers_.size(), grid, nullptr);
  const Var features = [&] {
    Scope scope(ctx, "norm");
    return norm_.forward(ctx, tokens);
  }();
  observe_map(ctx, "features.tokens", "features", features, grid);
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, features);
  ctx.observe("logits", logits.value());
  return logits;
}

std::vector<FeatureInfo> Swin::features() const {
  std::vector<FeatureInfo> all;
  for (int64_t i = 0; i < config_.stages(); ++i)
    all.push_back({"layers." + std::to_string(i), config_.dim(i), config_.patch_size << i});
  return all;
}

void Swin::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  Grid grid;
  std::vector<Var> maps;
  run(ctx, images, count, grid, &maps);
  for (size_t i = 0; i < maps.size(); ++i) keep(i, maps[i]);
}

void Swin::set_input_size(int64_t height, int64_t width) {
  SwinConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  check(!config_.ape || absolute_pos_embed_.value.defined(), "set_input_size: the position table is not loaded");
  if (const Grid from = config_.grid(0), to = resized.grid(0); config_.ape && !(from == to)) {
    Context ctx;
    absolute_pos_embed_.value = resample_grid(ctx, absolute_pos_embed_.value, 0, from.height, from.width, to.height,
                                              to.width, Interpolation::bicubic);
    absolute_pos_embed_.shape = absolute_pos_embed_.value.shape();
  }
  for (size_t i = 0; i < layers_.size(); ++i)
    for (Block& block : layers_[i].blocks()) block.set_grid(resized.grid(static_cast<int64_t>(i)));
  config_.img_size = info_.input_size = resized.img_size;
}

Tensor Swin::adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const {
  // timm's checkpoint_filter_fn: biases of a checkpoint with other windows are resampled. Hugging Face has none of it.
  const bool table = name.starts_with("layers.") && name.ends_with(".relative_position_bias_table");
  if (!table || config_.dialect != Dialect::timm || found.rank() != 2 || found.size(1) != expected[1]) return found;
  const int64_t stage = std::stoll(name.substr(7));
  const TypedConfig mechanism = split_type(config_.attention_of_stage(stage));
  if (mechanism.type != "window") return found;
  const WindowAttention window({.dim = config_.dim(stage), .num_heads = expected[1], .grid = config_.grid(stage)},
                               read_config<WindowAttentionOptions>(mechanism.options));
  return resample_window_bias(to_f32(found), window.window());
}

}  // namespace vit
