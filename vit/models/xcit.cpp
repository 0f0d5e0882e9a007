#include "vit/models/xcit.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vit/models/attention_list.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

constexpr int64_t kFrequencies = 32;  ///< features of each coordinate
constexpr double kTemperature = 10000.0;

int64_t stem_layers(int64_t patch_size) { return patch_size == 16 ? 4 : 3; }

/// Sines and cosines of the vertical, then of the horizontal position, [1, height * width, 64].
Tensor fourier_features(Grid grid) {
  Tensor features = Tensor::empty({1, grid.count(), 2 * kFrequencies});
  const auto wave = [](int64_t position, int64_t extent, int64_t i) {
    const float angle = static_cast<float>(position + 1) / (static_cast<float>(extent) + 1e-6f) *
                        static_cast<float>(2.0 * std::numbers::pi);
    const double slowness =
        std::pow(kTemperature, 2.0 * static_cast<double>(i / 2) / static_cast<double>(kFrequencies));
    const float turn = angle / static_cast<float>(slowness);
    return i % 2 == 0 ? std::sin(turn) : std::cos(turn);
  };
  for (int64_t n = 0; n < grid.count(); ++n)
    for (int64_t i = 0; i < kFrequencies; ++i) {
      float* row = features.f32() + n * 2 * kFrequencies;
      row[i] = wave(n / grid.width, grid.height, i);
      row[kFrequencies + i] = wave(n % grid.width, grid.width, i);
    }
  return features;
}

}  // namespace

void XcitConfig::validate() const {
  if (patch_size != 8 && patch_size != 16) fail_usage("patch_size must be 8 or 16, got ", patch_size);
  if (embed_dim % num_heads != 0) fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
  check_map_size(img_size, grid(), str("patches of ", patch_size, " x ", patch_size));
  if (static_cast<double>(embed_dim) * mlp_ratio < 1.0)
    fail_usage("an mlp_ratio of ", mlp_ratio, " leaves the MLP no hidden channel");
  if (global_pool != Pool::token && global_pool != Pool::avg) fail_usage("global_pool must be 'token' or 'avg'");
}

Grid XcitConfig::grid() const {
  const auto halved = [&](int64_t extent) {
    for (int64_t i = 0; i < stem_layers(patch_size); ++i) extent = (extent + 1) / 2;
    return extent;
  };
  return {halved(img_size[0]), halved(img_size[1])};
}

FourierPositions::FourierPositions(int64_t dim, Grid grid) : dim_(dim), grid_(grid) {
  add_parameter("token_projection.weight", weight_, {dim, 2 * kFrequencies, 1, 1}, Init::truncated_normal(0.02f));
  add_parameter("token_projection.bias", bias_, {dim}, Init::zeros());
}

Var FourierPositions::project(Context& ctx, Grid grid) const {
  const PackedWeight unpacked;
  const Var rows = reshape(ctx, weight_.value, {dim_, 2 * kFrequencies});
  return linear(ctx, fourier_features(grid), {rows, unpacked}, bias_.value);
}

Var FourierPositions::forward(Context& ctx, Grid grid) const {
  return table_.defined() && grid == grid_ ? Var(table_) : project(ctx, grid);
}

void FourierPositions::prepare() {
  Context ctx;
  table_ = project(ctx, grid_).value().clone();
}

void FourierPositions::set_grid(Grid grid) {
  grid_ = grid;
  if (table_.defined()) prepare();
}

Xcit::Xcit(const XcitConfig& config, const std::string& name)
    : config_(config),
      norm_(NormKind::layer_norm, config.embed_dim, config.norm_eps),
      head_({.dim = config.embed_dim, .num_classes = config.num_classes, .pool = config.global_pool}) {
  config.validate();
  check_attention_list(config.attention, config.depth, "depth");
  check_attention_list(config.cls_attention, config.cls_attn_layers, "cls_attn_layers");
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_parameter("cls_token", cls_token_, {1, 1, config.embed_dim}, Init::truncated_normal(0.02f));
  add_stem();
  if (config.use_pos_embed) add_module("pos_embed", pos_embed_.emplace(config.embed_dim, config.grid()));
  const XcitBlockOptions options{
      .dim = config.embed_dim,
      .mlp_hidden = static_cast<int64_t>(static_cast<double>(config.embed_dim) * config.mlp_ratio),
      .norm_eps = config.norm_eps,
      .eta = config.eta,
      .tokens_norm = config.tokens_norm};
  AttentionShape shape{.dim = config.embed_dim, .num_heads = config.num_heads, .grid = config.grid()};
  for (shape.layer = 0; shape.layer < config.depth; ++shape.layer)
    add_module(str("blocks.", shape.layer),
               blocks_.emplace_back(
                   options, build_attention(attention_of(config.attention, shape.layer), shape, "cross_covariance")));
  shape.prefix_tokens = 1;
  for (shape.layer = 0; shape.layer < config.cls_attn_layers; ++shape.layer)
    add_module(str("cls_attn_blocks.", shape.layer),
               cls_blocks_.emplace_back(options, build_attention(attention_of(config.cls_attention, shape.layer), shape,
                                                                 "class_attention")));
  add_module("norm", norm_);
  add_module("", head_);
}

// Convolutions that halve the map and double the channels, GELU between them (section 3.3).
void Xcit::add_stem() {
  const int64_t layers = stem_layers(config_.patch_size);
  const Conv2dOptions halving{.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1};
  int64_t inputs = config_.in_chans;
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t outputs = config_.embed_dim >> (layers - 1 - i);
    const ConvNormOptions options{.conv = unbiased(inputs, outputs, halving), .conv_name = "0", .norm_name = "1"};
    add_module(str("patch_embed.proj.", 2 * i), stem_.emplace_back(options));
    inputs = outputs;
  }
}

ConfigNode Xcit::describe() const { return write_config(config_).with("type", ConfigNode::make_scalar("xcit", true)); }

void Xcit::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  // As timm: every block over the patches drops its branches alike, and those of the class token keep theirs.
  for (XcitBlock& block : blocks_)
    block.set_dropout({.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate});
  for (XcitClassBlock& block : cls_blocks_) block.set_dropout(options.proj_drop_rate);
}

std::vector<std::string> Xcit::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  return head_.replace(num_classes);
}

Var Xcit::embed(Context& ctx, const Var& images, Grid& grid) const {
  check(images.value().rank() == 4 && images.size(1) == config_.in_chans, info_.name, ": expected images [B, ",
        config_.in_chans, ", height, width], got ", images.shape());
  Scope scope(ctx, "patch_embed");
  Var x = channels_last(ctx, images);
  for (size_t i = 0; i < stem_.size(); ++i)
    x = stem_[i].forward(ctx, x, i + 1 < stem_.size() ? Activation::gelu : Activation::none);
  grid = {x.size(1), x.size(2)};
  x = reshape(ctx, x, {x.size(0), grid.count(), config_.embed_dim});
  if (pos_embed_) x = add(ctx, x, pos_embed_->forward(ctx, grid));
  return dropout(ctx, x, training_.pos_drop_rate);
}

Var Xcit::run_block(Context& ctx, size_t index, const Var& x, Grid grid) const {
  Scope scope(ctx, "blocks", static_cast<int64_t>(index));
  const auto block = [&block = blocks_[index], grid](Context& inner, const Var& tokens) {
    return block.forward(inner, tokens, grid);
  };
  const Var y = training_.grad_checkpointing ? checkpoint(ctx, block, x) : block(ctx, x);
  ctx.observe("", y.value());
  return y;
}

Var Xcit::run(Context& ctx, const Var& images, bool class_only) const {
  Grid grid;
  Var x = embed(ctx, images, grid);
  ctx.observe("embeddings", x.value());
  for (size_t i = 0; i < blocks_.size(); ++i) x = run_block(ctx, i, x, grid);
  x = concat_tokens(ctx, cls_token_.value, x);
  for (size_t i = 0; i < cls_blocks_.size(); ++i) {
    Scope scope(ctx, "cls_attn_blocks", static_cast<int64_t>(i));
    x = cls_blocks_[i].forward(ctx, x, grid, class_only && i + 1 == cls_blocks_.size());
    ctx.observe("", x.value());
  }
  Scope scope(ctx, "norm");
  return norm_.forward(ctx, x);
}

Var Xcit::forward_features(Context& ctx, const Var& images) const { return run(ctx, images, false); }

Var Xcit::forward(Context& ctx, const Var& images) const {
  // An observer sees every token.
  const Var tokens = run(ctx, images, !ctx.observer && head_.wanted_tokens() == 1);
  ctx.observe("features", tokens.value());
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, tokens);
  ctx.observe("logits", logits.value());
  return logits;
}

std::vector<FeatureInfo> Xcit::features() const {
  std::vector<FeatureInfo> maps;
  for (size_t i = 0; i < blocks_.size(); ++i)
    maps.push_back({str("blocks.", i), config_.embed_dim, config_.patch_size});
  return maps;
}

void Xcit::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  Grid grid;
  Var x = embed(ctx, images, grid);
  for (size_t i = 0; i < count; ++i) {
    x = run_block(ctx, i, x, grid);
    keep(i, reshape(ctx, x, {x.size(0), grid.height, grid.width, config_.embed_dim}));
  }
}

const std::map<std::string, ReferenceOutput>& Xcit::reference_names() const {
  static const std::map<std::string, ReferenceOutput> names = {{"hidden.{i}", "blocks.{i}"},
                                                               {"features", "features"},
                                                               {"pre_logits", "head.pre_logits"},
                                                               {"output", "head.logits"}};
  return names;
}

void Xcit::set_input_size(int64_t height, int64_t width) {
  if (height < 1 || width < 1) fail_usage(info_.name, ": images of ", height, " x ", width, " are not possible");
  XcitConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  config_.img_size = info_.input_size = resized.img_size;
  const Grid grid = config_.grid();
  if (pos_embed_) pos_embed_->set_grid(grid);
  for (XcitBlock& block : blocks_) block.set_grid(grid);
  for (XcitClassBlock& block : cls_blocks_) block.set_grid(grid);
}

}  // namespace vit
