#include "vit/models/timesformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "vit/autograd/tensor_ops.h"
#include "vit/io/half.h"
#include "vit/models/attention_list.h"
#include "vit/models/build.h"
#include "vit/models/map_size.h"

namespace vit {

namespace {

BlockOptions block_options(const TimesformerConfig& config) {
  return {.dim = config.embed_dim,
          .norm_eps = config.norm_eps,
          .mlp = {.dim = config.embed_dim, .hidden = config.mlp_hidden, .activation = config.act}};
}

/// Rows of a table [1, prefix + from, C] at the nearest place of another grid, behind the prefix rows, which stay:
/// torch's interpolate with mode "nearest".
Tensor nearest_rows(const Tensor& table, int64_t prefix, const Grid& from, const Grid& to) {
  const int64_t width = table.size(2);
  Tensor resampled = Tensor::empty({1, prefix + to.count(), width});
  const auto copy = [&](int64_t to_row, int64_t from_row) {
    std::memcpy(resampled.f32() + to_row * width, table.f32() + from_row * width,
                static_cast<size_t>(width) * sizeof(float));
  };
  for (int64_t row = 0; row < prefix; ++row) copy(row, row);
  for (int64_t y = 0; y < to.height; ++y)
    for (int64_t x = 0; x < to.width; ++x)
      copy(prefix + y * to.width + x, prefix + y * from.height / to.height * from.width + x * from.width / to.width);
  return resampled;
}

}  // namespace

const std::vector<std::pair<ClipAttention, std::string>>& enum_names(ClipAttention) {
  static const std::vector<std::pair<ClipAttention, std::string>> names = {
      {ClipAttention::divided_space_time, "divided_space_time"},
      {ClipAttention::space_only, "space_only"},
      {ClipAttention::joint_space_time, "joint_space_time"}};
  return names;
}

void TimesformerConfig::validate() const {
  if (embed_dim % num_heads != 0) fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
  if (img_size[0] % patch_size != 0 || img_size[1] % patch_size != 0)
    fail_usage("patches of ", patch_size, " x ", patch_size, " do not fill a frame of ", img_size[0], " x ",
               img_size[1], "; img_size must be a multiple of patch_size");
  const Grid grid = clip().grid;
  check_map_size({num_frames * img_size[0], img_size[1]}, {num_frames * grid.height, grid.width},
                 str("patches of ", patch_size, " x ", patch_size));
  if (stem && stem->patch_size() != patch_size)
    fail_usage("the strides of `stem` make patches of ", stem->patch_size(), ", but patch_size is ", patch_size);
  if (global_pool != Pool::token && global_pool != Pool::avg) fail_usage("global_pool must be 'token' or 'avg'");
  if (attention_type != ClipAttention::divided_space_time && !temporal_attention.is_null())
    fail_usage("temporal_attention is of attention_type divided_space_time alone");
}

// Vaswani et al. 2017, section 3.5, with frequencies that fit short axes: from half a turn over the whole axis to half
// a turn from one entry to the next. Half of the channels are of time, a quarter each of rows and columns.
Tensor TimesformerConfig::codes() const {
  const ClipGrid extents = clip();
  Tensor table = Tensor::zeros({1, extents.patches(), embed_dim});
  const auto write = [&](float* token, int64_t first, int64_t channels, int64_t place, int64_t extent) {
    const int64_t pairs = channels / 2;
    for (int64_t k = 0; k < pairs; ++k) {
      const double up = pairs > 1 ? static_cast<double>(k) / static_cast<double>(pairs - 1) : 0.0;
      const double frequency =
          std::numbers::pi / static_cast<double>(extent) * std::pow(static_cast<double>(extent), up);
      const double angle = frequency * (static_cast<double>(place) + 0.5);
      token[first + 2 * k] = static_cast<float>(std::sin(angle));
      token[first + 2 * k + 1] = static_cast<float>(std::cos(angle));
    }
  };
  const int64_t places = extents.grid.count(), half = embed_dim / 2, quarter = embed_dim / 4;
  for (int64_t i = 0; i < extents.patches(); ++i) {
    float* token = table.f32() + i * embed_dim;
    write(token, 0, half, i / places, extents.frames);
    write(token, half, quarter, i % places / extents.grid.width, extents.grid.height);
    write(token, half + quarter, quarter, i % extents.grid.width, extents.grid.width);
  }
  return table;
}

Timesformer::Timesformer(const TimesformerConfig& config, const std::string& name)
    : config_(config),
      norm_(NormKind::layer_norm, config.embed_dim, config.norm_eps),
      head_({.dim = config.embed_dim, .num_classes = config.num_classes, .pool = config.global_pool}) {
  config.validate();
  check_attention_list(config.attention, config.depth, "depth");
  check_attention_list(config.temporal_attention, config.depth, "depth");
  info_ = {name, {config.num_frames * config.img_size[0], config.img_size[1]}, config.in_chans, config.num_classes};
  const int64_t dim = config.embed_dim;
  const Init init = Init::truncated_normal(0.02f);
  add_parameter("cls_token", cls_token_, {1, 1, dim}, init);
  add_parameter("pos_embed", pos_embed_, {1, 1 + config.clip().grid.count(), dim}, init);
  if (config.attention_type != ClipAttention::space_only)
    add_parameter("time_embed", time_embed_, {1, config.num_frames, dim}, Init::zeros());
  if (config.stem)
    add_module("patch_embed", stem_.emplace(*config.stem, config.in_chans, dim, config.norm_eps));
  else
    add_module(
        "patch_embed",
        patch_embed_.emplace(PatchEmbed::Options{
            .channels = config.in_chans, .dim = dim, .patch_h = config.patch_size, .patch_w = config.patch_size}));
  for (int64_t i = 0; i < config.depth; ++i) add_block(i);
  add_module("norm", norm_);
  add_module("", head_);
  if (config.sincos) codes_ = config.codes();
}

void Timesformer::add_block(int64_t index) {
  const ClipGrid clip = config_.clip();
  const bool joint = config_.attention_type == ClipAttention::joint_space_time;
  AttentionShape shape{.dim = config_.embed_dim,
                       .num_heads = config_.num_heads,
                       .grid = {joint ? clip.frames * clip.grid.height : clip.grid.height, clip.grid.width},
                       .prefix_tokens = 1,
                       .layer = index};
  auto attention = build_attention(attention_of(config_.attention, index), shape);
  const std::string name = "blocks." + std::to_string(index);
  if (config_.attention_type != ClipAttention::divided_space_time) {
    add_module(name, plain_blocks_.emplace_back(block_options(config_), std::move(attention)));
    return;
  }
  shape.grid = {1, clip.frames};
  shape.prefix_tokens = 0;
  add_module(name, blocks_.emplace_back(block_options(config_), std::move(attention),
                                        build_attention(attention_of(config_.temporal_attention, index), shape),
                                        /*first=*/index == 0));
}

ConfigNode Timesformer::describe() const {
  return write_config(config_).with("type", ConfigNode::make_scalar("timesformer", true));
}

void Timesformer::set_training(const TrainingOptions& options) {
  if (options.patch_drop_rate > 0.0f)
    fail_usage(info_.name, ": patch dropout would leave places without some of their frames; set its rate to 0");
  training_ = options;
  head_.set_dropout(options.drop_rate);
  const float last = static_cast<float>(std::max<int64_t>(1, config_.depth - 1));
  const auto dropout_at = [&](size_t i) {
    return BlockDropout{.proj_drop = options.proj_drop_rate,
                        .drop_path = options.drop_path_rate * static_cast<float>(i) / last};
  };
  for (size_t i = 0; i < blocks_.size(); ++i) blocks_[i].set_dropout(dropout_at(i));
  for (size_t i = 0; i < plain_blocks_.size(); ++i) plain_blocks_[i].set_dropout(dropout_at(i));
}

std::vector<std::string> Timesformer::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  return head_.replace(num_classes);
}

Var Timesformer::embed_patches(Context& ctx, const Var& clips) const {
  if (patch_embed_) return patch_embed_->forward(ctx, clips);
  // Convolutions would reach from one frame of the strip into the next: frames become pictures.
  const int64_t batch = clips.size(0), channels = clips.size(1), frames = config_.num_frames;
  const int64_t height = config_.img_size[0], width = config_.img_size[1];
  const Var apart = permute(ctx, reshape(ctx, clips, {batch, channels, frames, height * width}), {0, 2, 1, 3});
  const Var tokens = stem_->forward(ctx, reshape(ctx, apart, {batch * frames, channels, height, width}));
  return reshape(ctx, tokens, {batch, config_.clip().patches(), config_.embed_dim});
}

// Section 3, "input embedding": place and time have a table each. Patches of the strip come frame after frame.
Var Timesformer::embed(Context& ctx, const Var& clips) const {
  const ClipGrid clip = config_.clip();
  check(clips.value().rank() == 4 && clips.size(2) == info_.input_size[0] && clips.size(3) == info_.input_size[1],
        info_.name, ": expected clips [B, ", config_.in_chans, ", ", config_.num_frames, " * ", config_.img_size[0],
        ", ", config_.img_size[1], "], the frames beneath one another, got ", clips.shape());
  Scope scope(ctx, "patch_embed");
  const Var patches = embed_patches(ctx, clips);
  const int64_t places = clip.grid.count(), dim = config_.embed_dim;
  const Var table = pos_embed_.value;
  const Var cls = add(ctx, cls_token_.value, slice_tokens(ctx, table, 0, 1));
  const Var where = reshape(ctx, slice_tokens(ctx, table, 1, 1 + places), {1, 1, places, dim});
  const Var when = time_embed_.value.defined() ? reshape(ctx, time_embed_.value, {1, clip.frames, 1, dim})
                                               : Var(Tensor::zeros({1, clip.frames, 1, dim}));
  Var codes = reshape(ctx, add(ctx, where, when), {1, clip.patches(), dim});
  if (codes_.defined()) codes = add(ctx, codes, codes_);
  return join_tokens(ctx, cls, patches, codes);
}

Var Timesformer::run_block(Context& ctx, size_t index, const Var& x) const {
  Scope scope(ctx, "blocks", static_cast<int64_t>(index));
  const ClipGrid clip = config_.clip();
  const bool joint = config_.attention_type == ClipAttention::joint_space_time;
  const auto block = [this, index, clip, joint](Context& inner, const Var& tokens) {
    if (!blocks_.empty()) return blocks_[index].forward(inner, tokens, clip);
    const Grid strip{clip.frames * clip.grid.height, clip.grid.width};
    if (joint) return plain_blocks_[index].forward(inner, tokens, {.grid = strip, .prefix_tokens = 1});
    const ObserveWholeClip whole(inner, clip, ClipPart::frames);
    return plain_blocks_[index].forward(inner, whole.until_backward(inner, tokens),
                                        {.grid = clip.grid, .prefix_tokens = 1});
  };
  const Var y = training_.grad_checkpointing ? checkpoint(ctx, block, x) : block(ctx, x);
  ctx.observe("", y.value());
  return y;
}

Var Timesformer::forward_features(Context& ctx, const Var& clips) const {
  const ClipGrid clip = config_.clip();
  const bool by_frame = config_.attention_type == ClipAttention::space_only;
  Var x = embed(ctx, clips);
  ctx.observe("embeddings", x.value());
  x = dropout(ctx, x, training_.pos_drop_rate);
  if (by_frame) x = split_clip(ctx, x, clip, ClipPart::frames);
  for (size_t i = 0; i < static_cast<size_t>(config_.depth); ++i) x = run_block(ctx, i, x);
  if (by_frame) {
    const int64_t tokens = x.size(1), dim = x.size(2);
    x = mean(ctx, reshape(ctx, x, {clips.size(0), clip.frames, tokens * dim}), {1});
    x = reshape(ctx, x, {clips.size(0), tokens, dim});
  }
  Scope scope(ctx, "norm");
  return norm_.forward(ctx, x);
}

Var Timesformer::forward(Context& ctx, const Var& clips) const {
  const Var features = forward_features(ctx, clips);
  ctx.observe("features", features.value());
  Scope scope(ctx, "head");
  const Var logits = head_.forward(ctx, features);
  ctx.observe("logits", logits.value());
  return logits;
}

const std::map<std::string, ReferenceOutput>& Timesformer::reference_names() const {
  static const std::map<std::string, ReferenceOutput> names = {
      {"embeddings", "embeddings"},
      {"hidden.{i}", "blocks.{i}"},
      {"temporal_attentions.{i}", "blocks.{i}.temporal_attn.probs"},
      {"attentions.{i}", "blocks.{i}.attn.probs"},
      {"features", "features"},
      {"logits", "head.logits"}};
  return names;
}

void Timesformer::set_frame_size(int64_t height, int64_t width) {
  TimesformerConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  const Grid from = config_.clip().grid, to = resized.clip().grid;
  check(pos_embed_.value.defined(), "set_input_size: the position table is not loaded");
  if (!(from == to)) {
    pos_embed_.value = nearest_rows(pos_embed_.value.value(), 1, from, to);
    pos_embed_.shape = pos_embed_.value.shape();
  }
  config_.img_size = resized.img_size;
  if (config_.sincos) codes_ = config_.codes();
  info_.input_size = {config_.num_frames * height, width};
  const bool joint = config_.attention_type == ClipAttention::joint_space_time;
  for (SpaceTimeBlock& block : blocks_) block.set_grid(to);
  for (Block& block : plain_blocks_) block.set_grid(joint ? Grid{config_.num_frames * to.height, to.width} : to);
}

Tensor Timesformer::adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const {
  if (found.rank() != 3 || found.size(0) != 1 || found.size(2) != expected[2] || found.shape() == expected)
    return found;
  if (name == "time_embed") return nearest_rows(to_f32(found), 0, {1, found.size(1)}, {1, expected[1]});
  const int64_t side = std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(0, found.size(1) - 1))));
  if (name != "pos_embed" || side < 1 || side * side + 1 != found.size(1)) return found;
  return nearest_rows(to_f32(found), 1, {side, side}, config_.clip().grid);
}

namespace {

std::unique_ptr<ImageModel> build_timesformer(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Timesformer>(read_config<TimesformerConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = model_registry().add("timesformer", build_timesformer);

}  // namespace

}  // namespace vit
