#include "detection/rt_detr.h"

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

HybridEncoderOptions encoder_options(const RtDetrConfig& config) {
  return {.dim = config.encoder_hidden_dim,
          .maps = config.backbone_maps.size(),
          .attended = config.encode_proj_layers,
          .layers = config.encoder_layers,
          .heads = config.encoder_attention_heads,
          .ffn_dim = config.encoder_ffn_dim,
          .ffn_activation = config.encoder_activation_function,
          .normalize_before = config.normalize_before,
          .row_major_positions = config.row_major_positions,
          .temperature = config.positional_encoding_temperature,
          .csp_blocks = config.csp_blocks,
          .hidden_expansion = config.hidden_expansion,
          .activation = config.activation_function,
          .norm = {.eps = config.batch_norm_eps},
          .layer_norm_eps = config.layer_norm_eps,
          .dropout = config.dropout,
          .activation_dropout = config.activation_dropout};
}

TransformerLayerOptions layer_options(const RtDetrConfig& config) {
  return {.dim = config.d_model,
          .heads = config.decoder_attention_heads,
          .ffn_dim = config.decoder_ffn_dim,
          .levels = config.num_feature_levels,
          .points = config.decoder_n_points,
          .activation = config.decoder_activation_function,
          .norm_eps = config.layer_norm_eps,
          .dropout = config.dropout,
          .attention_dropout = config.attention_dropout,
          .activation_dropout = config.activation_dropout};
}

const RtDetrConfig& validated(const RtDetrConfig& config) {
  config.validate();
  return config;
}

/// Levels of the first `count` queries, or of those after them.
std::vector<DetectionLevel> queries_of(Context& ctx, const std::vector<DetectionLevel>& levels, int64_t begin,
                                       int64_t end) {
  std::vector<DetectionLevel> part;
  for (const DetectionLevel& level : levels)
    part.push_back({vit::slice_tokens(ctx, level.logits, begin, end), vit::slice_tokens(ctx, level.boxes, begin, end)});
  return part;
}

/// Width and height of the picture as shares of the padded image: [B, 1, 4]; undefined without a mask.
Tensor picture_shares(const DetectionInput& input) {
  if (!input.pixel_mask.defined()) return {};
  const Var& images = input.images;
  vit::check(input.pixel_mask.dtype() == vit::DType::i64 &&
                 input.pixel_mask.shape() == vit::Shape({images.size(0), images.size(2), images.size(3)}),
             "rt_detr: the pixel mask must be i64 ", vit::Shape({images.size(0), images.size(2), images.size(3)}),
             ", got ", input.pixel_mask.shape());
  const Tensor ratios = valid_ratios(input.pixel_mask, {{images.size(2), images.size(3)}});
  Tensor shares = Tensor::empty({images.size(0), 1, 4});
  for (int64_t i = 0; i < shares.numel(); ++i) {
    shares.f32()[i] = ratios.f32()[i / 4 * 2 + i % 2];
    vit::check(shares.f32()[i] > 0.0f, "rt_detr: the pixel mask of image ", i / 4, " has no picture at its corner");
  }
  return shares;
}

/// Boxes as shares of the picture.
void rescale(Context& ctx, std::vector<DetectionLevel>& levels, const Tensor& shares) {
  for (DetectionLevel& level : levels) level.boxes = vit::divide(ctx, level.boxes, shares);
}

}  // namespace

void RtDetrConfig::validate() const {
  if (num_feature_levels < static_cast<int64_t>(backbone_maps.size()))
    vit::fail_usage("num_feature_levels ", num_feature_levels, " must be at least the ", backbone_maps.size(),
                    " maps of `backbone_maps`");
  if (initializer_bias_prior_prob >= 1.0) vit::fail_usage("initializer_bias_prior_prob must be below 1");
}

RtDetr::RtDetr(const RtDetrConfig& config, const std::string& name, std::unique_ptr<vit::Backbone> backbone)
    : config_(validated(config)),
      backbone_(backbone ? std::move(backbone) : vit::build_backbone(config.backbone, config.img_size, "a detector")),
      wanted_maps_(vit::wanted_maps(*backbone_, config.backbone_maps)),
      encoder_(encoder_options(config)),
      enc_output_(config.d_model, config.d_model, true, xavier_init(config.d_model, config.d_model)),
      enc_output_norm_(vit::NormKind::layer_norm, config.d_model, config.layer_norm_eps),
      enc_score_head_(config.d_model, config.num_classes, config.initializer_bias_prior_prob),
      enc_bbox_head_({.inputs = config.d_model, .hidden = config.d_model, .zero_last = true}),
      query_pos_head_({.inputs = 4, .hidden = 2 * config.d_model, .outputs = config.d_model, .layers = 2}) {
  info_ = {name, config.img_size, backbone_->info().input_channels, config.num_classes};
  add_module("backbone", *backbone_);
  add_projections();
  add_heads();
}

void RtDetr::add_projections() {
  const auto project = [](int64_t inputs, int64_t outputs, bool halve, float eps) {
    vit::Conv2d::Options conv = vit::unbiased(
        inputs, outputs,
        halve ? vit::Conv2dOptions{.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1} : vit::Conv2dOptions{});
    conv.torch_init = true;
    return vit::ConvNormOptions{.conv = conv, .conv_name = "0", .norm_name = "1", .norm = {.eps = eps}};
  };
  const std::vector<vit::FeatureInfo> infos = backbone_->features();
  for (size_t i = 0; i < wanted_maps_.size(); ++i)
    add_module(vit::str("encoder_input_proj.", i),
               encoder_input_proj_.emplace_back(project(infos[wanted_maps_[i]].channels, config_.encoder_hidden_dim,
                                                        /*halve=*/false, vit::BatchNormOptions{}.eps)));
  add_module("encoder", encoder_);
  for (int64_t i = 0; i < config_.num_feature_levels; ++i) {
    const auto maps = static_cast<int64_t>(wanted_maps_.size());
    const int64_t inputs = i <= maps ? config_.encoder_hidden_dim : config_.d_model;
    add_module(vit::str("decoder_input_proj.", i),
               decoder_input_proj_.emplace_back(project(inputs, config_.d_model, i >= maps, config_.batch_norm_eps)));
  }
}

void RtDetr::add_heads() {
  if (config_.num_denoising > 0)
    add_module("denoising_class_embed", denoising_class_embed_.emplace(config_.num_classes, config_.d_model));
  if (config_.learn_initial_query)
    add_parameter("weight_embedding.weight", weight_embedding_, {config_.num_queries, config_.d_model},
                  xavier_init(config_.num_queries, config_.d_model));
  add_module("enc_output.0", enc_output_);
  add_module("enc_output.1", enc_output_norm_);
  add_module("enc_score_head", enc_score_head_);
  add_module("enc_bbox_head", enc_bbox_head_);
  add_module("decoder.query_pos_head", query_pos_head_);
  for (int64_t i = 0; i < config_.decoder_layers; ++i)
    add_module(vit::str("decoder.layers.", i), decoder_layers_.emplace_back(layer_options(config_)));
  for (int64_t i = 0; i < config_.decoder_layers; ++i) {
    add_module(vit::str("decoder.class_embed.", i),
               class_heads_.emplace_back(config_.d_model, config_.num_classes, config_.initializer_bias_prior_prob));
    add_module(vit::str("decoder.bbox_embed.", i),
               box_heads_.emplace_back(
                   PredictionHeadOptions{.inputs = config_.d_model, .hidden = config_.d_model, .zero_last = true}));
  }
}

const std::map<std::string, vit::ReferenceOutput>& RtDetr::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = [] {
    std::map<std::string, vit::ReferenceOutput> table = output_reference_names();
    table.insert({{"decoder_hidden_states.0", "decoder.input"}, {"decoder_hidden_states.{i+1}", "decoder.layers.{i}"}});
    for (const char* same : {"logits", "pred_boxes", "last_hidden_state", "init_reference_points", "enc_topk_logits",
                             "enc_topk_bboxes", "enc_outputs_class", "enc_outputs_coord_logits",
                             "intermediate_hidden_states", "intermediate_logits", "intermediate_reference_points"})
      table.emplace(same, same);
    return table;
  }();
  return names;
}

vit::ConfigNode RtDetr::describe() const {
  RtDetrConfig config = config_;
  config.backbone = backbone_->describe();
  return vit::write_config(config).with("type", vit::ConfigNode::make_scalar("rt_detr", true));
}

void RtDetr::set_training(const vit::TrainingOptions& options) { backbone_->set_training(options); }

std::vector<std::string> RtDetr::replace_head(int64_t num_classes) {
  config_.num_classes = info_.num_classes = num_classes;
  std::vector<std::string> names{"enc_score_head.weight", "enc_score_head.bias"};
  enc_score_head_.replace(num_classes);
  for (size_t i = 0; i < class_heads_.size(); ++i) {
    class_heads_[i].replace(num_classes);
    for (const char* kind : {".weight", ".bias"}) names.push_back(vit::str("decoder.class_embed.", i, kind));
  }
  if (denoising_class_embed_) {
    denoising_class_embed_->replace(num_classes);
    names.emplace_back("denoising_class_embed.weight");
  }
  return names;
}

void RtDetr::set_input_size(int64_t height, int64_t width) {
  backbone_->set_input_size(height, width);
  config_.img_size = info_.input_size = {height, width};
}

Memory RtDetr::encode(Context& ctx, const Var& images) const {
  std::vector<Var> maps;
  {
    vit::Scope scope(ctx, "backbone");
    maps = backbone_->forward_maps(ctx, images, wanted_maps_);
  }
  for (size_t i = 0; i < maps.size(); ++i) maps[i] = encoder_input_proj_[i].forward(ctx, maps[i]);
  {
    vit::Scope scope(ctx, "encoder");
    maps = encoder_.forward(ctx, std::move(maps));
  }
  std::vector<Var> sources;
  for (size_t i = 0; i < decoder_input_proj_.size(); ++i) {
    // A level beyond the encoder's maps is a strided convolution of the one before.
    const Var& from = i < maps.size() ? maps[i] : i == maps.size() ? maps.back() : sources.back();
    sources.push_back(decoder_input_proj_[i].forward(ctx, from));
  }
  return {.tokens = flatten_maps(ctx, sources), .grids = grids_of(sources)};
}

void RtDetr::observe_proposals(Context& ctx, const Var& output, const Var& logits, const Tensor& anchors) const {
  ctx.observe("enc_outputs_class", logits.value());
  if (ctx.wants("enc_outputs_coord_logits"))
    ctx.observe("enc_outputs_coord_logits", vit::add(ctx, enc_bbox_head_.forward(ctx, output), anchors).value());
}

RtDetr::Queries RtDetr::choose_queries(Context& ctx, const Memory& memory) const {
  const Proposals anchors = cell_proposals(memory.grids, {});
  const Var output =
      enc_output_norm_.forward(ctx, enc_output_.forward(ctx, vit::multiply(ctx, memory.tokens, anchors.valid)));
  const Var logits = enc_score_head_.forward(ctx, output);
  observe_proposals(ctx, output, logits, anchors.boxes);
  const int64_t batch = logits.size(0), cells = logits.size(1), classes = logits.size(2);
  Tensor scores = Tensor::empty({batch, cells});
  for (int64_t i = 0; i < batch * cells; ++i)
    scores.f32()[i] = *std::max_element(logits.value().f32() + i * classes, logits.value().f32() + (i + 1) * classes);
  const Tensor best = best_rows(scores, config_.num_queries);
  // Boxes are only made of the chosen cells.
  const Var chosen = vit::gather_tokens(ctx, output, best);
  Tensor starts = Tensor::empty({batch, config_.num_queries, 4});
  for (int64_t i = 0; i < best.numel(); ++i)
    std::copy_n(anchors.boxes.f32() + 4 * best.data<int64_t>()[i], 4, starts.f32() + 4 * i);
  const Var unbounded = vit::add(ctx, enc_bbox_head_.forward(ctx, chosen), starts);
  ctx.observe("init_reference_points", unbounded.value());
  Queries queries{
      .content = Var(chosen.value()),
      .boxes{},
      .proposal = {vit::gather_tokens(ctx, logits, best), vit::activate(ctx, unbounded, vit::Activation::sigmoid)}};
  queries.boxes = queries.proposal.boxes.value();
  if (config_.learn_initial_query) {
    Tensor every = Tensor::empty({batch, config_.num_queries}, vit::DType::i64);
    for (int64_t i = 0; i < every.numel(); ++i) every.data<int64_t>()[i] = i % config_.num_queries;
    queries.content = vit::embedding(ctx, weight_embedding_.value, every);
  }
  ctx.observe("enc_topk_logits", queries.proposal.logits.value());
  ctx.observe("enc_topk_bboxes", queries.boxes);
  return queries;
}

std::optional<DenoisingQueries> RtDetr::add_denoising(Context& ctx, const DetectionInput& input,
                                                      Queries& queries) const {
  if (!ctx.training || !input.targets || !denoising_class_embed_) return std::nullopt;
  vit::check(static_cast<int64_t>(input.targets->size()) == input.images.size(0), "rt_detr: ", input.images.size(0),
             " images have the targets of ", input.targets->size());
  vit::Rng rng(ctx.seed, ctx.next_random_stream());
  std::optional<DenoisingQueries> noisy = make_denoising_queries(*input.targets,
                                                                 {.queries = config_.num_denoising,
                                                                  .label_noise = config_.label_noise_ratio,
                                                                  .box_noise = config_.box_noise_scale,
                                                                  .num_classes = config_.num_classes,
                                                                  .matched_queries = config_.num_queries},
                                                                 rng);
  if (!noisy) return noisy;
  Var boxes = noisy->boxes;
  if (const Tensor shares = picture_shares(input); shares.defined()) boxes = vit::multiply(ctx, boxes, shares);
  queries.content = vit::concat_tokens(ctx, denoising_class_embed_->forward(ctx, noisy->labels), queries.content);
  queries.boxes = vit::concat_tokens(ctx, boxes, queries.boxes).value();
  queries.mask = noisy->mask;
  return noisy;
}

std::vector<DetectionLevel> RtDetr::decode(Context& ctx, const Memory& memory, const Queries& queries,
                                           bool all_levels) const {
  std::vector<DetectionLevel> levels;
  std::vector<Tensor> states, logits, references;
  Var x = queries.content;
  Tensor boxes = queries.boxes;
  ctx.observe("decoder.input", x.value());
  const bool want_logits = all_levels || ctx.wants("intermediate_logits");
  for (size_t i = 0; i < decoder_layers_.size(); ++i) {
    const bool last = i + 1 == decoder_layers_.size();
    {
      vit::Scope scope(ctx, "decoder.layers", static_cast<int64_t>(i));
      x = decoder_layers_[i].forward(ctx, x, memory,
                                     {.positions = query_pos_head_.forward(ctx, boxes),
                                      .references = spread_references(ctx, boxes, {}, config_.num_feature_levels),
                                      .mask = queries.mask});
      ctx.observe("", x.value());
    }
    const Var refined = refine_boxes(ctx, box_heads_[i].forward(ctx, x), inverse_sigmoid(boxes));
    boxes = refined.value();
    if (last || want_logits) levels.push_back({class_heads_[i].forward(ctx, x), refined});
    states.push_back(x.value());
    references.push_back(boxes);
    if (want_logits) logits.push_back(levels.back().logits.value());
  }
  ctx.observe("last_hidden_state", x.value());
  if (ctx.wants("intermediate_logits")) ctx.observe("intermediate_logits", stack_levels(ctx, logits));
  if (ctx.wants("intermediate_reference_points"))
    ctx.observe("intermediate_reference_points", stack_levels(ctx, references));
  if (ctx.wants("intermediate_hidden_states")) ctx.observe("intermediate_hidden_states", stack_levels(ctx, states));
  return levels;
}

DetectionOutput RtDetr::detect(Context& ctx, const DetectionInput& input) const {
  const Memory memory = encode(ctx, input.images);
  Queries queries = choose_queries(ctx, memory);
  const std::optional<DenoisingQueries> noisy = add_denoising(ctx, input, queries);
  std::vector<DetectionLevel> levels = decode(ctx, memory, queries, input.all_levels);
  DetectionOutput output;
  std::vector<DetectionLevel> proposals{queries.proposal};
  if (const Tensor shares = picture_shares(input); shares.defined()) {
    rescale(ctx, levels, shares);
    rescale(ctx, proposals, shares);
  }
  output.proposals = proposals.front();
  if (noisy) {
    const int64_t first = noisy->labels.size(1);
    output.denoising = {queries_of(ctx, levels, 0, first), noisy->matches, noisy->groups};
    levels = queries_of(ctx, levels, first, first + config_.num_queries);
  }
  output.levels = std::move(levels);
  return output;
}

namespace {

std::unique_ptr<vit::ImageModel> build_rt_detr(const vit::ConfigNode& options, const std::string& name) {
  return std::make_unique<RtDetr>(vit::read_config<RtDetrConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = vit::model_registry().add("rt_detr", build_rt_detr);

}  // namespace

}  // namespace detection
