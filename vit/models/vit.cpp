#include "vit/models/vit.h"

#include <algorithm>
#include <cmath>

#include "vit/io/safetensors.h"
#include "vit/models/attention_list.h"
#include "vit/models/map_size.h"
#include "vit/nn/patch_dropout.h"

namespace vit {

namespace {

BlockOptions block_options(const VitConfig& config) {
  const int64_t hidden = config.mlp_hidden_width();
  return {.dim = config.embed_dim,
          .norm = config.norm,
          .norm_eps = config.norm_eps,
          .init_values = config.init_values,
          .mlp = {.dim = config.embed_dim,
                  .hidden = config.mlp_gated ? hidden / 2 : hidden,
                  .activation = config.act,
                  .gated = config.mlp_gated,
                  .bias = config.mlp_bias,
                  .norm = config.mlp_norm,
                  .norm_eps = config.norm_eps}};
}

ClassifierHeadOptions head_options(const VitConfig& config) {
  return {.dim = config.embed_dim,
          .num_classes = config.num_classes,
          .pool = config.global_pool,
          .prefix_tokens = config.prefix_tokens(),
          .pool_prefix = config.pool_prefix,
          .norm = config.final_norm && config.fc_norm ? config.norm : NormKind::identity,
          .norm_eps = config.norm_eps,
          .distilled = config.distilled && config.distilled_head,
          .num_heads = config.num_heads,
          .attn_pool = {.norm = config.norm,
                        .norm_eps = config.norm_eps,
                        .mlp_ratio = config.mlp_ratio.value_or(4.0),
                        .act = config.act}};
}

NormKind when(bool condition, NormKind kind) { return condition ? kind : NormKind::identity; }

/// What the registry says of a block's mechanism; nothing of a name that it does not know.
const AttentionTraits* traits_of(const ConfigNode& attention, int64_t layer) {
  const std::string name = split_type(attention_of(attention, layer), "self").type;
  return attention_registry().contains(name) ? &attention_registry().find(name).traits : nullptr;
}

/// Errors (usage): a block merges tokens, and the mechanism of one of them cannot work on what is left.
void check_merging(const VitConfig& config, const std::vector<int64_t>& merging) {
  if (std::all_of(merging.begin(), merging.end(), [](int64_t r) { return r == 0; })) return;
  for (int64_t i = 0; i < config.depth; ++i) {
    const AttentionTraits* traits = traits_of(config.attention, i);
    if (!traits || traits->offers_keys) continue;
    config.token_merging.r.refuse(
        str("token_merging needs an attention that works on tokens without a grid and has keys, such as 'self'; block ",
            i, " has '", split_type(attention_of(config.attention, i), "self").type, "'"));
  }
}

}  // namespace

const std::vector<std::pair<PositionPrefix, std::string>>& enum_names(PositionPrefix) {
  static const std::vector<std::pair<PositionPrefix, std::string>> names = {
      {PositionPrefix::all, "all"}, {PositionPrefix::none, "none"}, {PositionPrefix::cls, "cls"}};
  return names;
}

const std::vector<std::pair<Dialect, std::string>>& enum_names(Dialect) {
  static const std::vector<std::pair<Dialect, std::string>> names = {{Dialect::timm, "timm"},
                                                                     {Dialect::hugging_face, "hugging_face"}};
  return names;
}

void VitConfig::validate() const {
  if (embed_dim % num_heads != 0) fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
  if (img_size[0] < patch_size[0] || img_size[1] < patch_size[1])
    fail_usage("img_size ", img_size[0], " x ", img_size[1], " is smaller than a patch of ", patch_size[0], " x ",
               patch_size[1]);
  check_map_size(img_size, grid(), str("patches of ", patch_size[0], " x ", patch_size[1]));
  if (!mlp_hidden && !mlp_ratio) fail_usage("either mlp_ratio or mlp_hidden must be given");
  if (mlp_hidden_width() < 1 || (mlp_gated && mlp_hidden_width() % 2 != 0))
    fail_usage("the MLP's hidden width of ", mlp_hidden_width(), " is not possible");
  if (stem && (stem->patch_size() != patch_size[0] || stem->patch_size() != patch_size[1]))
    fail_usage("the strides of `stem` make patches of ", stem->patch_size(), ", but patch_size is ", patch_size[0],
               " x ", patch_size[1]);
  if (distilled && !class_token) fail_usage("distilled needs class_token");
  if (global_pool == Pool::token && prefix_tokens() == 0) fail_usage("global_pool 'token' needs a class token");
}

int64_t VitConfig::position_prefix_rows() const {
  switch (pos_prefix) {
    case PositionPrefix::all:
      return prefix_tokens();
    case PositionPrefix::none:
      return 0;
    case PositionPrefix::cls:
      return class_token ? 1 : 0;
  }
  fail("vit: invalid pos_prefix");
}

int64_t VitConfig::mlp_hidden_width() const {
  if (mlp_hidden) return *mlp_hidden;
  return static_cast<int64_t>(static_cast<double>(embed_dim) * mlp_ratio.value_or(0.0));
}

Vit::Vit(const VitConfig& config, const std::string& name)
    : config_(config),
      norm_pre_(when(config.pre_norm, config.norm), config.embed_dim, config.norm_eps),
      norm_(when(config.final_norm && !config.fc_norm, config.norm), config.embed_dim, config.norm_eps),
      head_(head_options(config)) {
  config.validate();
  const int64_t dim = config.embed_dim;
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  if (config.class_token) add_parameter("cls_token", cls_token_, {1, 1, dim}, Init::normal(1e-6f));
  if (config.distilled) add_parameter("dist_token", dist_token_, {1, 1, dim}, Init::truncated_normal(0.02f));
  if (config.reg_tokens > 0) add_parameter("reg_token", reg_token_, {1, config.reg_tokens, dim}, Init::normal(1e-6f));
  if (config.pos_embed)
    add_parameter("pos_embed", pos_embed_, {1, config.position_prefix_rows() + config.grid().count(), dim},
                  Init::truncated_normal(0.02f));
  if (config.stem) {
    add_module("patch_embed", stem_.emplace(*config.stem, config.in_chans, dim, config.norm_eps));
  } else {
    add_module("patch_embed", patch_embed_.emplace(PatchEmbed::Options{.channels = config.in_chans,
                                                                       .dim = dim,
                                                                       .patch_h = config.patch_size[0],
                                                                       .patch_w = config.patch_size[1],
                                                                       .bias = config.patch_bias}));
  }
  add_module("norm_pre", norm_pre_);
  check_attention_list(config.attention, config.depth, "depth");
  merging_ = config.token_merging.schedule(config.depth);
  check_merging(config, merging_);
  for (int64_t i = 0; i < config.depth; ++i) {
    auto attention = build_attention(attention_of(config.attention, i), {.dim = dim,
                                                                         .num_heads = config.num_heads,
                                                                         .grid = config.grid(),
                                                                         .prefix_tokens = config.prefix_tokens(),
                                                                         .layer = i});
    add_module("blocks." + std::to_string(i), blocks_.emplace_back(block_options(config), std::move(attention)));
  }
  add_module("norm", norm_);
  if (config.pooler) add_module("pooler", pooler_.emplace(dim, dim));
  add_module("", head_);
}

ConfigNode Vit::describe() const { return write_config(config_).with("type", ConfigNode::make_scalar("vit", true)); }

void Vit::set_training(const TrainingOptions& options) {
  for (int64_t i = 0; options.patch_drop_rate > 0.0f && i < config_.depth; ++i)
    if (traits_of(config_.attention, i)->needs_grid)
      fail_usage(info_.name, ": patch dropout leaves no grid for the attention of block ", i,
                 "; set the rate of patch dropout to 0, or choose an attention without a grid");
  training_ = options;
  head_.set_dropout(options.drop_rate);
  const float last = static_cast<float>(std::max<size_t>(1, blocks_.size() - 1));
  for (size_t i = 0; i < blocks_.size(); ++i)
    blocks_[i].set_dropout(
        {.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate * static_cast<float>(i) / last});
}

std::vector<std::string> Vit::replace_head(int64_t num_classes) {
  if (config_.pooler) fail_usage(info_.name, ": a model with a pooler instead of a head cannot be given classes");
  config_.num_classes = info_.num_classes = num_classes;
  return head_.replace(num_classes);
}

Var Vit::embed(Context& ctx, const Var& images, Grid& grid) const {
  Scope scope(ctx, "patch_embed");
  const Var patches = stem_ ? stem_->forward(ctx, images) : patch_embed_->forward(ctx, images);
  grid = {images.size(2) / config_.patch_size[0], images.size(3) / config_.patch_size[1]};
  Var prefix = cls_token_.value;
  for (const Parameter* token : {&dist_token_, &reg_token_}) {
    if (!token->value.defined()) continue;
    prefix = prefix.defined() ? join_tokens(ctx, prefix, token->value, {}) : token->value;
  }
  if (!config_.pos_embed) return join_tokens(ctx, prefix, patches, {});

  const int64_t rows = config_.position_prefix_rows();
  const Grid native = config_.grid();
  Var table = pos_embed_.value;
  if (grid.height != native.height || grid.width != native.width)
    table = resample_grid(ctx, table, rows, native.height, native.width, grid.height, grid.width,
                          config_.pos_interpolation);
  ctx.observe("pos_embed", table.value());
  if (rows == 0) return join_tokens(ctx, prefix, patches, table);
  const Var covered = add(ctx, slice_tokens(ctx, prefix, 0, rows), slice_tokens(ctx, table, 0, rows));
  if (rows < prefix.size(1))
    prefix = join_tokens(ctx, covered, slice_tokens(ctx, prefix, rows, prefix.size(1)), {});
  else
    prefix = covered;
  return join_tokens(ctx, prefix, patches, slice_tokens(ctx, table, rows, table.size(1)));
}

Var Vit::run_block(Context& ctx, size_t index, const Var& x, AttentionInput input,
                   const std::shared_ptr<MergedTokens>& merged) const {
  Block::Between between;
  if (config_.token_merging.proportional) input.bias = merged->bias(ctx);
  // Where few tokens are wanted no other goes through the MLP anyway.
  if (merging_[index] > 0 && input.wanted_tokens == 0) {
    // Checkpointing runs this again: it starts from what was merged before this block.
    between = [this, index, merged, before = *merged, prefix = input.prefix_tokens](Context& inner, const Var& tokens,
                                                                                    const HeadColumns& keys) {
      *merged = before;
      const TokenMatching matching =
          match_tokens(inner, keys, config_.num_heads, config_.embed_dim / config_.num_heads, prefix, merging_[index]);
      return merge(inner, tokens, matching, *merged);
    };
  }
  const auto block = [&block = blocks_[index], input, between](Context& inner, const Var& tokens) {
    return block.forward(inner, tokens, input, between);
  };
  const Var y = training_.grad_checkpointing ? checkpoint(ctx, block, x) : block(ctx, x);
  if (merged->source.defined()) ctx.observe("merge_source", merged->source);
  return y;
}

Var Vit::run(Context& ctx, const Var& images, int64_t wanted_tokens, MergedTokens& merged) const {
  AttentionInput input{.prefix_tokens = config_.prefix_tokens()};
  Var x = embed(ctx, images, input.grid);
  ctx.observe("embeddings", x.value());
  x = dropout(ctx, x, training_.pos_drop_rate);
  if (ctx.training && training_.patch_drop_rate > 0.0f) {
    x = patch_dropout(ctx, x, input.prefix_tokens, {.rate = training_.patch_drop_rate});
    input.grid = {};
  }
  x = norm_pre_.forward(ctx, x);
  ctx.observe("norm_pre", x.value());
  const auto state = std::make_shared<MergedTokens>();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Scope scope(ctx, "blocks", static_cast<int64_t>(i));
    // The head of a class token reads nothing else of the last block: the other tokens stop at its keys and values.
    if (i + 1 == blocks_.size()) input.wanted_tokens = wanted_tokens;
    x = run_block(ctx, i, x, input, state);
    ctx.observe("", x.value());
  }
  merged = *state;
  Scope scope(ctx, "norm");
  return norm_.forward(ctx, x);
}

Var Vit::forward_features(Context& ctx, const Var& images) const {
  MergedTokens merged;
  return run(ctx, images, 0, merged);
}

std::vector<FeatureInfo> Vit::features() const {
  const bool merges = std::any_of(merging_.begin(), merging_.end(), [](int64_t r) { return r > 0; });
  if (merges || config_.patch_size[0] != config_.patch_size[1]) return {};
  return {{"features", config_.embed_dim, config_.patch_size[0]}};
}

void Vit::run_maps(Context& ctx, const Var& images, size_t /*count*/, const KeepMap& keep) const {
  if (ctx.training && training_.patch_drop_rate > 0.0f)
    fail_usage(info_.name, ": patch dropout leaves no feature map; set its rate to 0 in a backbone");
  const Var tokens = forward_features(ctx, images);
  const int64_t prefix = config_.prefix_tokens();
  const Var patches = prefix > 0 ? slice_tokens(ctx, tokens, prefix, tokens.size(1)) : tokens;
  const Var map = reshape(ctx, patches,
                          {images.size(0), images.size(2) / config_.patch_size[0],
                           images.size(3) / config_.patch_size[1], config_.embed_dim});
  ctx.observe("features", map.value());
  keep(0, map);
}

Var Vit::forward(Context& ctx, const Var& images) const {
  // An observer sees every token of every block.
  MergedTokens merged;
  const Var features = run(ctx, images, ctx.observer ? 0 : head_.wanted_tokens(), merged);
  ctx.observe("features", features.value());
  Scope scope(ctx, "head");
  const Var logits = pooler_ ? pooler_->forward(ctx, select_token(ctx, features, 0), {.activation = Activation::tanh})
                             : head_.forward(ctx, features, merged);
  ctx.observe("logits", logits.value());
  return logits;
}

const std::map<std::string, ReferenceOutput>& Vit::reference_names() const {
  static const std::map<std::string, ReferenceOutput> timm = {
      {"hidden.{i}", "blocks.{i}"},      {"attn.{i}", "blocks.{i}.attn.probs"}, {"pos_embed", "patch_embed.pos_embed"},
      {"features", "features"},          {"pre_logits", "head.pre_logits"},     {"output", "head.logits"},
      {"logits_cls", "head.logits_cls"}, {"logits_dist", "head.logits_dist"}};
  static const std::map<std::string, ReferenceOutput> hugging_face = {{"embeddings", "embeddings"},
                                                                      {"hidden_states.0", "embeddings"},
                                                                      {"hidden_states.{i+1}", "blocks.{i}"},
                                                                      {"attentions.{i}", "blocks.{i}.attn.probs"},
                                                                      {"last_hidden_state", "features"},
                                                                      {"pooler_output", "head.logits"},
                                                                      {"logits", "head.logits"},
                                                                      {"cls_logits", "head.logits_cls"},
                                                                      {"distillation_logits", "head.logits_dist"}};
  return config_.dialect == Dialect::timm ? timm : hugging_face;
}

void Vit::set_input_size(int64_t height, int64_t width) {
  VitConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  const Grid from = config_.grid(), to = resized.grid();
  check(!config_.pos_embed || pos_embed_.value.defined(), "set_input_size: the position table is not loaded");
  if (config_.pos_embed && (from.height != to.height || from.width != to.width)) {
    Context ctx;
    pos_embed_.value = resample_grid(ctx, pos_embed_.value, config_.position_prefix_rows(), from.height, from.width,
                                     to.height, to.width, config_.pos_interpolation);
    pos_embed_.shape = pos_embed_.value.shape();
  }
  config_.img_size = info_.input_size = resized.img_size;
  for (Block& block : blocks_) block.set_grid(to);
}

Tensor Vit::adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const {
  if (name != "pos_embed" || found.rank() != 3 || found.size(0) != 1 || found.size(2) != expected[2] ||
      found.shape() == expected)
    return found;
  // timm's checkpoint_filter_fn: the stored grid is square, and all of it is resampled once.
  const int64_t prefix = config_.position_prefix_rows();
  const int64_t side = std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(0, found.size(1) - prefix))));
  if (side < 1 || side * side + prefix != found.size(1)) return found;
  Context ctx;
  const Grid grid = config_.grid();
  return resample_grid(ctx, to_f32(found), prefix, side, side, grid.height, grid.width, config_.pos_interpolation)
      .value();
}

}  // namespace vit
