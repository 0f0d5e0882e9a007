#include "detection/deformable_detr.h"

#include <algorithm>
#include <limits>

#include "detection/query_references.h"
#include "detection/reference.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/models/backbone_node.h"
#include "vit/models/build.h"

namespace detection {

using vit::Context;
using vit::Tensor;
using vit::Var;

namespace {

constexpr int64_t kNormGroups = 32;

TransformerLayerOptions encoder_options(const DeformableDetrConfig& config) {
  return {.dim = config.d_model,
          .heads = config.encoder_attention_heads,
          .ffn_dim = config.encoder_ffn_dim,
          .levels = config.num_feature_levels,
          .points = config.encoder_n_points,
          .activation = config.activation_function,
          .dropout = config.dropout,
          .attention_dropout = config.attention_dropout,
          .activation_dropout = config.activation_dropout};
}

TransformerLayerOptions decoder_options(const DeformableDetrConfig& config) {
  TransformerLayerOptions options = encoder_options(config);
  options.heads = config.decoder_attention_heads;
  options.ffn_dim = config.decoder_ffn_dim;
  options.points = config.decoder_n_points;
  return options;
}

const DeformableDetrConfig& validated(const DeformableDetrConfig& config) {
  config.validate();
  return config;
}

/// The mask, where it hides anything. Errors: another shape than the images'.
Tensor padding_of(const DetectionInput& input) {
  const Tensor& mask = input.pixel_mask;
  if (!mask.defined()) return {};
  const vit::Shape expected{input.images.size(0), input.images.size(2), input.images.size(3)};
  vit::check(mask.dtype() == vit::DType::i64 && mask.shape() == expected,
             "deformable_detr: the pixel mask must be i64 ", expected, ", got ", mask.shape());
  const auto pixels = mask.span<int64_t>();
  const bool padded = std::any_of(pixels.begin(), pixels.end(), [](int64_t pixel) { return pixel == 0; });
  return padded ? mask : Tensor();
}

/// Masks of all cells, one map after the other: f32 [B, M], -inf where there is no picture.
Tensor memory_mask(const Tensor& pixel_mask, const std::vector<vit::Grid>& grids) {
  int64_t cells = 0, first = 0;
  for (const vit::Grid& grid : grids) cells += grid.count();
  Tensor mask = Tensor::zeros({pixel_mask.size(0), cells});
  for (const vit::Grid& grid : grids) {
    const Tensor seen = cell_mask(pixel_mask, grid);
    for (int64_t i = 0; i < seen.numel(); ++i)
      if (!seen.data<bool>()[i])
        mask.f32()[i / grid.count() * cells + first + i % grid.count()] = -std::numeric_limits<float>::infinity();
    first += grid.count();
  }
  return mask;
}

/// Where the encoder's cells look from: their own centres as shares of the picture, in every map: [B or 1, M, L, 2].
Tensor cell_references(const std::vector<vit::Grid>& grids, const Tensor& ratios) {
  const int64_t batch = ratios.defined() ? ratios.size(0) : 1, levels = static_cast<int64_t>(grids.size());
  int64_t cells = 0;
  for (const vit::Grid& grid : grids) cells += grid.count();
  Tensor references = Tensor::empty({batch, cells, levels, 2});
  float* out = references.f32();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t l = 0; l < levels; ++l) {
      const vit::Grid& grid = grids[static_cast<size_t>(l)];
      const auto ratio = [&](int64_t level, int64_t axis) {
        return ratios.defined() ? ratios.f32()[(b * levels + level) * 2 + axis] : 1.0f;
      };
      for (int64_t i = 0; i < grid.count(); ++i) {
        const int64_t row = i / grid.width, col = i % grid.width;
        const float x = (static_cast<float>(col) + 0.5f) / (ratio(l, 0) * static_cast<float>(grid.width));
        const float y = (static_cast<float>(row) + 0.5f) / (ratio(l, 1) * static_cast<float>(grid.height));
        for (int64_t level = 0; level < levels; ++level) {
          *out++ = x * ratio(level, 0);
          *out++ = y * ratio(level, 1);
        }
      }
    }
  return references;
}

}  // namespace

const std::vector<std::pair<PositionKind, std::string>>& enum_names(PositionKind) {
  static const std::vector<std::pair<PositionKind, std::string>> names = {{PositionKind::sine, "sine"},
                                                                          {PositionKind::learned, "learned"}};
  return names;
}

void DeformableDetrConfig::validate() const {
  if (two_stage && !with_box_refine) vit::fail_usage("two_stage needs with_box_refine");
  if (d_model % kNormGroups != 0)
    vit::fail_usage("d_model ", d_model, " must be a multiple of ", kNormGroups, ", the groups of its norms");
  if (num_feature_levels < static_cast<int64_t>(backbone_maps.size()))
    vit::fail_usage("num_feature_levels ", num_feature_levels, " must be at least the ", backbone_maps.size(),
                    " maps of `backbone_maps`");
  if (initializer_bias_prior_prob >= 1.0) vit::fail_usage("initializer_bias_prior_prob must be below 1");
}

DeformableDetr::InputProjection::InputProjection(int64_t inputs, int64_t outputs, bool halve)
    : conv({.in_channels = inputs,
            .out_channels = outputs,
            .conv = halve ? vit::Conv2dOptions{.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1}
                          : vit::Conv2dOptions{},
            .torch_init = true}),
      norm(kNormGroups, outputs) {
  add_module("0", conv);
  add_module("1", norm);
}

Var DeformableDetr::InputProjection::forward(Context& ctx, const Var& map) const {
  return norm.forward(ctx, conv.forward(ctx, map));
}

DeformableDetr::TwoStage::TwoStage(int64_t dim)
    : enc_output(dim, dim, true, xavier_init(dim, dim)),
      pos_trans(2 * dim, 2 * dim, true, xavier_init(2 * dim, 2 * dim)),
      enc_output_norm(vit::NormKind::layer_norm, dim, 1e-5f),
      pos_trans_norm(vit::NormKind::layer_norm, 2 * dim, 1e-5f) {
  add_module("enc_output", enc_output);
  add_module("enc_output_norm", enc_output_norm);
  add_module("pos_trans", pos_trans);
  add_module("pos_trans_norm", pos_trans_norm);
}

DeformableDetr::LearnedQueries::LearnedQueries(int64_t queries, int64_t dim)
    : reference_points(dim, 2, true, xavier_init(dim, 2)) {
  add_parameter("query_position_embeddings.weight", embeddings, {queries, 2 * dim}, vit::Init::normal(1.0f));
  add_module("reference_points", reference_points);
}

DeformableDetr::DeformableDetr(const DeformableDetrConfig& config, const std::string& name,
                               std::unique_ptr<vit::Backbone> backbone)
    : config_(validated(config)),
      backbone_(backbone ? std::move(backbone) : vit::build_backbone(config.backbone, config.img_size, "a detector")),
      wanted_maps_(vit::wanted_maps(*backbone_, config.backbone_maps)) {
  info_ = {name, config.img_size, backbone_->info().input_channels, config.num_classes};
  const int64_t dim = config.d_model, levels = config.num_feature_levels;
  add_module("backbone", *backbone_);
  if (config.position_embedding_type == PositionKind::learned)
    add_module("position_embedding", learned_positions_.emplace(dim));
  const std::vector<vit::FeatureInfo> infos = backbone_->features();
  const auto maps = static_cast<int64_t>(wanted_maps_.size());
  for (int64_t i = 0; i < levels; ++i) {
    const int64_t inputs = i > maps ? dim : infos[wanted_maps_[static_cast<size_t>(std::min(i, maps - 1))]].channels;
    add_module(vit::str("input_proj.", i), input_proj_.emplace_back(inputs, dim, i >= maps));
  }
  add_parameter("level_embed", level_embed_, {levels, dim}, vit::Init::normal(1.0f));
  for (int64_t i = 0; i < config.encoder_layers; ++i)
    add_module(vit::str("encoder.layers.", i), encoder_layers_.emplace_back(encoder_options(config)));
  if (config.two_stage)
    add_module("", two_stage_.emplace(dim));
  else
    add_module("", learned_.emplace(config.num_queries, dim));
  for (int64_t i = 0; i < config.decoder_layers; ++i)
    add_module(vit::str("decoder.layers.", i), decoder_layers_.emplace_back(decoder_options(config)));
  for (int64_t i = 0; i < config.heads(); ++i) {
    add_module(vit::str("class_embed.", i),
               class_heads_.emplace_back(dim, config.num_classes, config.initializer_bias_prior_prob));
    add_module(vit::str("bbox_embed.", i),
               box_heads_.emplace_back(PredictionHeadOptions{.inputs = dim, .hidden = dim, .zero_last = true}));
  }
}

int64_t DeformableDetr::num_queries() const {
  return config_.two_stage ? config_.two_stage_num_proposals : config_.num_queries;
}

const std::map<std::string, vit::ReferenceOutput>& DeformableDetr::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = [] {
    std::map<std::string, vit::ReferenceOutput> table = output_reference_names();
    table.insert({{"decoder_hidden_states.0", "decoder.input"},
                  {"decoder_hidden_states.{i+1}", "decoder.layers.{i}"},
                  {"encoder_hidden_states.0", "encoder.input"},
                  {"encoder_hidden_states.{i+1}", "encoder.layers.{i}"}});
    for (const char* same : {"last_hidden_state", "encoder_last_hidden_state", "init_reference_points",
                             "intermediate_hidden_states", "intermediate_reference_points", "enc_outputs_class"})
      table.emplace(same, same);
    return table;
  }();
  return names;
}

vit::ConfigNode DeformableDetr::describe() const {
  DeformableDetrConfig config = config_;
  config.backbone = backbone_->describe();
  return vit::write_config(config).with("type", vit::ConfigNode::make_scalar("deformable_detr", true));
}

void DeformableDetr::set_training(const vit::TrainingOptions& options) { backbone_->set_training(options); }

std::vector<std::string> DeformableDetr::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  std::vector<std::string> names;
  for (size_t i = 0; i < class_heads_.size(); ++i) {
    class_heads_[i].replace(num_classes);
    for (const char* kind : {".weight", ".bias"}) names.push_back(vit::str("class_embed.", i, kind));
  }
  return names;
}

void DeformableDetr::set_input_size(int64_t height, int64_t width) {
  backbone_->set_input_size(height, width);
  config_.img_size = info_.input_size = {height, width};
}

Var DeformableDetr::positions_of(Context& ctx, const std::vector<vit::Grid>& grids, const Tensor& pixel_mask) const {
  std::vector<Var> levels;
  for (size_t l = 0; l < grids.size(); ++l) {
    const vit::Grid& grid = grids[l];
    Tensor mask;
    if (pixel_mask.defined()) {
      mask = cell_mask(pixel_mask, grid);
    } else {
      mask = Tensor::empty({1, grid.count()}, vit::DType::boolean);
      std::fill_n(mask.data<bool>(), mask.numel(), true);
    }
    const Var places = learned_positions_ ? learned_positions_->forward(ctx, grid)
                                          : Var(sine_positions(grid, mask, {.dim = config_.d_model, .offset = 0.5f}));
    const auto level = static_cast<int64_t>(l);
    levels.push_back(vit::add(ctx, places, vit::slice_rows(ctx, level_embed_.value, level, level + 1)));
  }
  return levels.size() == 1 ? levels[0] : vit::concat(ctx, levels, 1);
}

DeformableDetr::Scene DeformableDetr::look_at(Context& ctx, const DetectionInput& input) const {
  std::vector<Var> maps, sources;
  {
    vit::Scope scope(ctx, "backbone");
    maps = backbone_->forward_maps(ctx, input.images, wanted_maps_);
  }
  for (size_t i = 0; i < input_proj_.size(); ++i) {
    // A level beyond the backbone's maps is a strided convolution of its last, then of the level before.
    const Var& from = i < maps.size() ? maps[i] : i == maps.size() ? maps.back() : sources.back();
    sources.push_back(input_proj_[i].forward(ctx, from));
  }
  Scene scene{.memory = {.tokens = flatten_maps(ctx, sources), .grids = grids_of(sources)},
              .pixel_mask = padding_of(input),
              .ratios{},
              .positions{}};
  if (scene.pixel_mask.defined()) {
    scene.ratios = valid_ratios(scene.pixel_mask, scene.memory.grids);
    scene.memory.mask = memory_mask(scene.pixel_mask, scene.memory.grids);
  }
  scene.positions = positions_of(ctx, scene.memory.grids, scene.pixel_mask);
  return scene;
}

void DeformableDetr::encode(Context& ctx, Scene& scene) const {
  const Tensor references = cell_references(scene.memory.grids, scene.ratios);
  scene.memory.tokens = vit::dropout(ctx, scene.memory.tokens, config_.dropout);
  ctx.observe("encoder.input", scene.memory.tokens.value());
  for (size_t i = 0; i < encoder_layers_.size(); ++i) {
    vit::Scope scope(ctx, "encoder.layers", static_cast<int64_t>(i));
    scene.memory.tokens = encoder_layers_[i].forward(ctx, scene.memory, scene.positions, references);
    ctx.observe("", scene.memory.tokens.value());
  }
  ctx.observe("encoder_last_hidden_state", scene.memory.tokens.value());
}

DeformableDetr::Queries DeformableDetr::learned_queries(Context& ctx, int64_t batch) const {
  const int64_t dim = config_.d_model;
  Tensor every = Tensor::empty({batch, config_.num_queries}, vit::DType::i64);
  for (int64_t i = 0; i < every.numel(); ++i) every.data<int64_t>()[i] = i % config_.num_queries;
  const Var both = vit::embedding(ctx, learned_->embeddings.value, every);
  const Var positions = vit::slice_features(ctx, both, 0, dim);
  return {.content = vit::slice_features(ctx, both, dim, 2 * dim),
          .positions = positions,
          .start = learned_->reference_points.forward(ctx, positions)};
}

DeformableDetr::Queries DeformableDetr::proposed_queries(Context& ctx, const Scene& scene, bool all_proposals,
                                                         DetectionOutput& output) const {
  const Proposals cells = cell_proposals(scene.memory.grids, scene.pixel_mask);
  const Var useful = vit::multiply(ctx, scene.memory.tokens, cells.valid);
  const Var asked = two_stage_->enc_output_norm.forward(ctx, two_stage_->enc_output.forward(ctx, useful));
  const Var logits = class_heads_.back().forward(ctx, asked);
  ctx.observe("enc_outputs_class", logits.value());
  const int64_t batch = logits.size(0), count = logits.size(1), classes = logits.size(2);
  Tensor scores = Tensor::empty({batch, count});
  for (int64_t i = 0; i < scores.numel(); ++i) scores.f32()[i] = logits.value().f32()[i * classes];
  const Tensor best = best_rows(scores, config_.two_stage_num_proposals);
  // What the decoder starts from has no gradient; only the proposals' own loss trains the boxes of the cells.
  Context apart;
  const Tensor chosen = vit::gather_tokens(apart, Var(asked.value()), best).value();
  Tensor boxes = box_heads_.back().forward(apart, chosen).value().clone();
  for (int64_t i = 0; i < boxes.numel(); ++i) {
    const int64_t b = cells.boxes.size(0) == 1 ? 0 : i / 4 / best.size(1);
    boxes.f32()[i] += cells.boxes.f32()[(b * count + best.data<int64_t>()[i / 4]) * 4 + i % 4];
  }
  if (all_proposals) {
    const Var all = vit::add(ctx, box_heads_.back().forward(ctx, asked), cells.boxes);
    output.proposals = DetectionLevel{logits, vit::activate(ctx, all, vit::Activation::sigmoid)};
    output.proposals_without_class = true;
  }
  const int64_t dim = config_.d_model;
  const Var both =
      two_stage_->pos_trans_norm.forward(ctx, two_stage_->pos_trans.forward(ctx, box_positions(boxes, dim)));
  const Tensor shares = vit::activate(apart, boxes, vit::Activation::sigmoid).value();
  return {.content = vit::slice_features(ctx, both, dim, 2 * dim),
          .positions = vit::slice_features(ctx, both, 0, dim),
          .start = inverse_sigmoid(shares)};
}

void DeformableDetr::decode(Context& ctx, const Scene& scene, const Queries& queries, bool all_levels,
                            DetectionOutput& output) const {
  Var x = queries.content, start = queries.start;
  Var reference = vit::activate(ctx, start, vit::Activation::sigmoid);
  ctx.observe("init_reference_points", reference.value());
  ctx.observe("decoder.input", x.value());
  std::vector<Tensor> states, references;
  for (size_t i = 0; i < decoder_layers_.size(); ++i) {
    {
      vit::Scope scope(ctx, "decoder.layers", static_cast<int64_t>(i));
      x = decoder_layers_[i].forward(
          ctx, x, scene.memory,
          {.positions = queries.positions,
           .references = spread_references(ctx, reference, scene.ratios, config_.num_feature_levels)});
      ctx.observe("", x.value());
    }
    const bool answers = all_levels || i + 1 == decoder_layers_.size();
    Var boxes;
    if (answers || config_.with_box_refine) boxes = refine_boxes(ctx, box_heads_[head_of(i)].forward(ctx, x), start);
    if (answers) output.levels.push_back({class_heads_[head_of(i)].forward(ctx, x), boxes});
    if (config_.with_box_refine) {
      reference = Var(boxes.value());
      start = inverse_sigmoid(boxes.value());
    }
    states.push_back(x.value());
    references.push_back(reference.value());
  }
  ctx.observe("last_hidden_state", x.value());
  if (ctx.wants("intermediate_reference_points"))
    ctx.observe("intermediate_reference_points", stack_levels(ctx, references));
  if (ctx.wants("intermediate_hidden_states")) ctx.observe("intermediate_hidden_states", stack_levels(ctx, states));
}

DetectionOutput DeformableDetr::detect(Context& ctx, const DetectionInput& input) const {
  Scene scene = look_at(ctx, input);
  encode(ctx, scene);
  DetectionOutput output;
  const Queries queries = config_.two_stage ? proposed_queries(ctx, scene, input.all_levels, output)
                                            : learned_queries(ctx, input.images.size(0));
  decode(ctx, scene, queries, input.all_levels, output);
  return output;
}

namespace {

std::unique_ptr<vit::ImageModel> build_deformable_detr(const vit::ConfigNode& options, const std::string& name) {
  return std::make_unique<DeformableDetr>(vit::read_config<DeformableDetrConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = vit::model_registry().add("deformable_detr", build_deformable_detr);

}  // namespace

}  // namespace detection
