#include "vit/models/cait.h"

#include <algorithm>

#include "vit/models/attention_list.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

BlockOptions block_options(const CaitConfig& config, double mlp_ratio) {
  return {.dim = config.embed_dim,
          .norm_eps = config.norm_eps,
          .init_values = config.init_values,
          .own_scales = true,
          .mlp = {.dim = config.embed_dim,
                  .hidden = static_cast<int64_t>(static_cast<double>(config.embed_dim) * mlp_ratio)}};
}

}  // namespace

void CaitConfig::validate() const {
  if (embed_dim % num_heads != 0) fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
  if (grid().count() < 1)
    fail_usage("img_size ", img_size[0], " x ", img_size[1], " is smaller than a patch of ", patch_size, " x ",
               patch_size);
  check_map_size(img_size, grid(), str("patches of ", patch_size, " x ", patch_size));
  for (const double ratio : {mlp_ratio, mlp_ratio_token_only})
    if (static_cast<double>(embed_dim) * ratio < 1.0)
      fail_usage("an mlp_ratio of ", ratio, " leaves the MLP no hidden channel");
  if (global_pool != Pool::token && global_pool != Pool::avg) fail_usage("global_pool must be 'token' or 'avg'");
}

Cait::Cait(const CaitConfig& config, const std::string& name)
    : config_(config),
      patch_embed_({.channels = config.in_chans,
                    .dim = config.embed_dim,
                    .patch_h = config.patch_size,
                    .patch_w = config.patch_size}),
      norm_(NormKind::layer_norm, config.embed_dim, config.norm_eps),
      head_({.dim = config.embed_dim, .num_classes = config.num_classes, .pool = config.global_pool}) {
  config.validate();
  check_attention_list(config.attention, config.depth, "depth");
  check_attention_list(config.attention_token_only, config.depth_token_only, "depth_token_only");
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  const int64_t dim = config.embed_dim;
  add_parameter("cls_token", cls_token_, {1, 1, dim}, Init::truncated_normal(0.02f));
  add_parameter("pos_embed", pos_embed_, {1, config.grid().count(), dim}, Init::truncated_normal(0.02f));
  add_module("patch_embed", patch_embed_);
  AttentionShape shape{.dim = dim, .num_heads = config.num_heads, .grid = config.grid()};
  for (shape.layer = 0; shape.layer < config.depth; ++shape.layer)
    add_module(
        "blocks." + std::to_string(shape.layer),
        blocks_.emplace_back(block_options(config, config.mlp_ratio),
                             build_attention(attention_of(config.attention, shape.layer), shape, "talking_heads")));
  shape.prefix_tokens = 1;
  for (shape.layer = 0; shape.layer < config.depth_token_only; ++shape.layer)
    add_module("blocks_token_only." + std::to_string(shape.layer),
               blocks_token_only_.emplace_back(
                   block_options(config, config.mlp_ratio_token_only),
                   build_attention(attention_of(config.attention_token_only, shape.layer), shape, "class_attention")));
  add_module("norm", norm_);
  add_module("", head_);
}

ConfigNode Cait::describe() const { return write_config(config_).with("type", ConfigNode::make_scalar("cait", true)); }

void Cait::set_training(const TrainingOptions& options) {
  training_ = options;
  head_.set_dropout(options.drop_rate);
  // As timm: every block over the patches drops its branches alike, and those of the class token drop nothing.
  for (Block& block : blocks_)
    block.set_dropout({.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate});
}

std::vector<std::string> Cait::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  return head_.replace(num_classes);
}

Var Cait::embed(Context& ctx, const Var& images, Grid& grid) const {
  Scope scope(ctx, "patch_embed");
  const Var patches = patch_embed_.forward(ctx, images);
  grid = {images.size(2) / config_.patch_size, images.size(3) / config_.patch_size};
  const Grid native = config_.grid();
  Var table = pos_embed_.value;
  if (!(grid == native))
    table = resample_grid(ctx, table, 0, native.height, native.width, grid.height, grid.width,
                          Interpolation::bicubic_antialias);
  ctx.observe("pos_embed", table.value());
  return join_tokens(ctx, {}, patches, table);
}

Var Cait::run_block(Context& ctx, size_t index, const Var& x, const Grid& grid) const {
  Scope scope(ctx, "blocks", static_cast<int64_t>(index));
  const auto block = [&block = blocks_[index], grid](Context& inner, const Var& tokens) {
    return block.forward(inner, tokens, {.grid = grid});
  };
  const Var y = training_.grad_checkpointing ? checkpoint(ctx, block, x) : block(ctx, x);
  ctx.observe("", y.value());
  return y;
}

// Section 3: the class token is not there while the patches are worked on, and then alone changes.
Var Cait::collect(Context& ctx, const Var& patches, const Grid& grid) const {
  Var cls = cls_token_.value;
  for (size_t i = 0; i < blocks_token_only_.size(); ++i) {
    Scope scope(ctx, "blocks_token_only", static_cast<int64_t>(i));
    cls = blocks_token_only_[i].forward(ctx, concat_tokens(ctx, cls, patches),
                                        {.grid = grid, .prefix_tokens = 1, .wanted_tokens = 1});
    ctx.observe("", cls.value());
  }
  return cls;
}

Var Cait::run(Context& ctx, const Var& images, bool class_only) const {
  Grid grid;
  Var x = embed(ctx, images, grid);
  ctx.observe("embeddings", x.value());
  x = dropout(ctx, x, training_.pos_drop_rate);
  for (size_t i = 0; i < blocks_.size(); ++i) x = run_block(ctx, i, x, grid);
  const Var cls = collect(ctx, x, grid);
  // Without blocks of its own the class token has no batch yet.
  const bool alone = class_only && !blocks_token_only_.empty();
  Scope scope(ctx, "norm");
  return norm_.forward(ctx, alone ? cls : concat_tokens(ctx, cls, x));
}

Var Cait::forward_features(Context& ctx, const Var& images) const { return run(ctx, images, false); }

Var Cait::forward(Context& ctx, const Var& images) const {
  // An observer sees every token.
  const Var tokens = run(ctx, images, !ctx.observer && head_.wanted_tokens() == 1);
  ctx.observe("features", tokens.value());
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, tokens);
  ctx.observe("logits", logits.value());
  return logits;
}

std::vector<FeatureInfo> Cait::features() const {
  std::vector<FeatureInfo> maps;
  for (size_t i = 0; i < blocks_.size(); ++i)
    maps.push_back({"blocks." + std::to_string(i), config_.embed_dim, config_.patch_size});
  return maps;
}

void Cait::run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const {
  Grid grid;
  Var x = dropout(ctx, embed(ctx, images, grid), training_.pos_drop_rate);
  for (size_t i = 0; i < count; ++i) {
    x = run_block(ctx, i, x, grid);
    keep(i, reshape(ctx, x, {x.size(0), grid.height, grid.width, config_.embed_dim}));
  }
}

const std::map<std::string, ReferenceOutput>& Cait::reference_names() const {
  static const std::map<std::string, ReferenceOutput> names = {
      {"hidden.{i}", "blocks.{i}"}, {"attn.{i}", "blocks.{i}.attn.probs"}, {"pos_embed", "patch_embed.pos_embed"},
      {"features", "features"},     {"pre_logits", "head.pre_logits"},     {"output", "head.logits"}};
  return names;
}

void Cait::set_input_size(int64_t height, int64_t width) {
  CaitConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  const Grid from = config_.grid(), to = resized.grid();
  check(pos_embed_.value.defined(), "set_input_size: the position table is not loaded");
  if (!(from == to)) {
    Context ctx;
    pos_embed_.value = resample_grid(ctx, pos_embed_.value, 0, from.height, from.width, to.height, to.width,
                                     Interpolation::bicubic_antialias);
    pos_embed_.shape = pos_embed_.value.shape();
  }
  config_.img_size = info_.input_size = resized.img_size;
  for (std::deque<Block>* blocks : {&blocks_, &blocks_token_only_})
    for (Block& block : *blocks) block.set_grid(to);
}

}  // namespace vit
