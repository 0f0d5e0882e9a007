#include "detection/detr.h"

#include <algorithm>

#include "detection/query_references.h"
#include "detection/reference.h"
#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/models/backbone_node.h"
#include "vit/models/build.h"
#include "vit/nn/layout.h"

namespace detection {

using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

constexpr float kNormEps = 1e-5f;

DetrLayerOptions layer_options(const DetrConfig& config, bool decoder) {
  return {.dim = config.d_model,
          .heads = decoder ? config.decoder_attention_heads : config.encoder_attention_heads,
          .ffn_dim = decoder ? config.decoder_ffn_dim : config.encoder_ffn_dim,
          .activation = config.activation_function,
          .pre_norm = config.pre_norm,
          .dropout = config.dropout,
          .activation_dropout = config.activation_dropout,
          .attention_dropout = config.attention_dropout};
}

size_t used_map(const vit::Backbone& backbone, const DetrConfig& config) {
  const auto last = static_cast<int64_t>(backbone.features().size()) - 1;
  return vit::wanted_maps(backbone, {config.backbone_map.value_or(last)}).front();
}

/// Which cells of a map are picture, boolean [B, cells]; undefined where all of them are. Errors: a mask that is none.
Tensor picture_cells(const DetectionInput& input, const vit::Grid& grid) {
  const Tensor& mask = input.pixel_mask;
  if (!mask.defined()) return {};
  const vit::Shape expected = {input.images.size(0), input.images.size(2), input.images.size(3)};
  vit::check(mask.dtype() == vit::DType::i64 && mask.shape() == expected, "detr: the pixel mask must be i64 ", expected,
             ", got ", name_of(mask.dtype()), " ", mask.shape());
  const int64_t* begin = mask.data<int64_t>();
  if (std::all_of(begin, begin + mask.numel(), [](int64_t pixel) { return pixel != 0; })) return {};
  const Tensor cells = cell_mask(mask, grid);
  for (int64_t b = 0; b < cells.size(0); ++b) {
    const bool* row = cells.data<bool>() + b * grid.count();
    vit::check(std::any_of(row, row + grid.count(), [](bool cell) { return cell; }), "detr: the pixel mask of image ",
               b, " leaves no cell of the feature map");
  }
  return cells;
}

/// For observers: i64 [B, height, width].
Tensor observed_mask(const Tensor& picture, int64_t batch, const vit::Grid& grid) {
  Tensor mask = Tensor::empty({batch, grid.height, grid.width}, vit::DType::i64);
  for (int64_t i = 0; i < mask.numel(); ++i)
    mask.data<int64_t>()[i] = !picture.defined() || picture.data<bool>()[i] ? 1 : 0;
  return mask;
}

vit::AttentionMasks hide_padding(const Tensor& picture) {
  if (!picture.defined()) return {};
  Tensor padding = Tensor::empty(picture.shape(), vit::DType::boolean);
  std::transform(picture.data<bool>(), picture.data<bool>() + picture.numel(), padding.data<bool>(),
                 [](bool cell) { return !cell; });
  return {.key_padding = padding};
}

}  // namespace

const std::vector<std::pair<PositionEmbedding, std::string>>& enum_names(PositionEmbedding) {
  static const std::vector<std::pair<PositionEmbedding, std::string>> names = {{PositionEmbedding::sine, "sine"},
                                                                               {PositionEmbedding::learned, "learned"}};
  return names;
}

Detr::Detr(const DetrConfig& config, const std::string& name)
    : config_(config),
      backbone_(vit::build_backbone(config.backbone, config.img_size, "a detector")),
      map_(used_map(*backbone_, config)),
      input_projection_({.in_channels = backbone_->features()[map_].channels, .out_channels = config.d_model}),
      decoder_norm_(vit::NormKind::layer_norm, config.d_model, kNormEps),
      // Softmax has no prior: all classes start alike.
      class_head_(config.d_model, config.num_classes + 1, 0.5),
      box_head_({.inputs = config.d_model, .hidden = config.d_model}) {
  info_ = {name, config.img_size, backbone_->info().input_channels, config.num_classes};
  add_module("backbone", *backbone_);
  add_positions();
  add_module("input_projection", input_projection_);
  add_parameter("query_position_embeddings.weight", query_position_embeddings_, {config.num_queries, config.d_model},
                vit::Init::normal(1.0f));
  add_layers();
  add_module("class_labels_classifier", class_head_);
  add_module("bbox_predictor", box_head_);
}

void Detr::add_positions() {
  const bool learned = config_.position_embedding_type == PositionEmbedding::learned;
  if (config_.d_model % (learned ? 2 : 4) != 0)
    vit::fail_usage("d_model ", config_.d_model, " must be divisible by ", learned ? 2 : 4,
                    ": half of it is for the rows' positions, half for the columns'");
  if (learned) add_module("position_embedding", learned_positions_.emplace(config_.d_model));
}

void Detr::add_layers() {
  for (int64_t i = 0; i < config_.encoder_layers; ++i)
    add_module(vit::str("encoder.layers.", i), encoder_layers_.emplace_back(layer_options(config_, /*decoder=*/false)));
  if (config_.pre_norm)
    add_module("encoder.layernorm", encoder_norm_.emplace(vit::NormKind::layer_norm, config_.d_model, kNormEps));
  for (int64_t i = 0; i < config_.decoder_layers; ++i)
    add_module(vit::str("decoder.layers.", i), decoder_layers_.emplace_back(layer_options(config_, /*decoder=*/true)));
  add_module("decoder.layernorm", decoder_norm_);
}

Var Detr::cell_positions(Context& ctx, const vit::Grid& grid, const Tensor& picture) const {
  if (!learned_positions_) return sine_positions(grid, picture, {.dim = config_.d_model});
  return learned_positions_->forward(ctx, grid);
}

DetrMemory Detr::encode(Context& ctx, const DetectionInput& input) const {
  Var map;
  {
    Scope scope(ctx, "backbone");
    map = backbone_->forward_maps(ctx, input.images, {map_}).front();
  }
  const int64_t batch = map.size(0);
  const vit::Grid grid{map.size(1), map.size(2)};
  const Tensor picture = picture_cells(input, grid);
  const Var positions = cell_positions(ctx, grid, picture);
  ctx.observe("feature_map", map.value());
  if (ctx.wants("feature_mask")) ctx.observe("feature_mask", observed_mask(picture, batch, grid));
  if (ctx.wants("positions")) {
    const Var each = vit::add(ctx, Tensor::zeros({batch, 1, 1}), positions);
    ctx.observe("positions", each.value().view({batch, grid.height, grid.width, config_.d_model}));
  }
  Scope scope(ctx, "encoder");
  vit::observe_layout(ctx, 0, grid);
  Var x = vit::reshape(ctx, input_projection_.forward(ctx, map), {batch, grid.count(), config_.d_model});
  ctx.observe("input", x.value());
  const vit::AttentionMasks masks = hide_padding(picture);
  for (size_t i = 0; i < encoder_layers_.size(); ++i) {
    Scope layer(ctx, "layers", static_cast<int64_t>(i));
    x = encoder_layers_[i].forward(ctx, x, positions, masks);
    ctx.observe("", x.value());
  }
  if (encoder_norm_) x = encoder_norm_->forward(ctx, x);
  x = vit::observed(ctx, "", x);
  return {x, vit::add(ctx, x, positions), masks};
}

DetectionLevel Detr::predict(Context& ctx, const Var& queries) const {
  DetectionLevel level;
  {
    Scope scope(ctx, "class_labels_classifier");
    level.logits = class_head_.forward(ctx, queries);
  }
  Scope scope(ctx, "bbox_predictor");
  level.boxes = vit::activate(ctx, box_head_.forward(ctx, queries), vit::Activation::sigmoid);
  return level;
}

std::vector<DetectionLevel> Detr::decode(Context& ctx, const DetrMemory& memory, bool all_levels) const {
  const Var positions = vit::reshape(ctx, query_position_embeddings_.value, {1, config_.num_queries, config_.d_model});
  Var x = Tensor::zeros({memory.values.size(0), config_.num_queries, config_.d_model});
  std::vector<Var> answers;
  {
    Scope scope(ctx, "decoder");
    ctx.observe("hidden.0", x.value());
    for (size_t i = 0; i < decoder_layers_.size(); ++i) {
      const bool last = i + 1 == decoder_layers_.size();
      {
        Scope layer(ctx, "layers", static_cast<int64_t>(i));
        x = decoder_layers_[i].forward(ctx, x, positions, memory);
      }
      const bool is_normed = config_.norm_between_layers;
      if (is_normed) x = decoder_norm_.forward(ctx, x);
      if (!last) ctx.observe(vit::str("hidden.", i + 1), x.value());
      if (last || all_levels) answers.push_back(is_normed && !last ? x : decoder_norm_.forward(ctx, x));
    }
    ctx.observe(vit::str("hidden.", decoder_layers_.size()), answers.back().value());
    ctx.observe("", answers.back().value());
  }
  std::vector<DetectionLevel> levels;
  for (const Var& answer : answers) levels.push_back(predict(ctx, answer));
  return levels;
}

DetectionOutput Detr::detect(Context& ctx, const DetectionInput& input) const {
  const DetrMemory memory = encode(ctx, input);
  return {.levels = decode(ctx, memory, input.all_levels)};
}

const std::map<std::string, vit::ReferenceOutput>& Detr::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = [] {
    std::map<std::string, vit::ReferenceOutput> all = {
        {"backbone_last", {"feature_map", /*nchw=*/true}},
        {"backbone_mask", "feature_mask"},
        {"position_embedding", {"positions", true}},
        {"encoder_last_hidden_state", "encoder"},
        {"encoder_hidden_states.0", "encoder.input"},
        {"encoder_hidden_states.{i+1}", "encoder.layers.{i}"},
        {"encoder_attentions.{i}", "encoder.layers.{i}.self_attn.probs"},
        {"decoder_hidden_states.{i}", "decoder.hidden.{i}"},
        {"decoder_attentions.{i}", "decoder.layers.{i}.self_attn.probs"},
        {"cross_attentions.{i}", "decoder.layers.{i}.encoder_attn.probs"},
        {"last_hidden_state", "decoder"}};
    all.insert(output_reference_names().begin(), output_reference_names().end());
    return all;
  }();
  return names;
}

QueryAttention Detr::query_attention(int64_t layer) const {
  return {.module = vit::str("decoder.layers.", layer, ".encoder_attn"), .layout = "encoder.layout"};
}

vit::ConfigNode Detr::describe() const {
  return vit::write_config(config_)
      .with("backbone", backbone_->describe())
      .with("type", vit::ConfigNode::make_scalar("detr", true));
}

void Detr::set_training(const vit::TrainingOptions& options) { backbone_->set_training(options); }

std::vector<std::string> Detr::replace_head(int64_t num_classes) {
  if (num_classes < 1) vit::fail_usage(info_.name, ": a detector needs at least one class, got ", num_classes);
  config_.num_classes = info_.num_classes = num_classes;
  class_head_.replace(num_classes + 1);
  return {"class_labels_classifier.weight", "class_labels_classifier.bias"};
}

void Detr::set_input_size(int64_t height, int64_t width) {
  backbone_->set_input_size(height, width);
  config_.img_size = info_.input_size = {height, width};
}

namespace {

[[maybe_unused]] const bool kRegistered =
    vit::model_registry().add("detr", [](const vit::ConfigNode& options, const std::string& name) {
      return std::make_unique<Detr>(vit::read_config<DetrConfig>(options), name);
    });

}  // namespace

}  // namespace detection
