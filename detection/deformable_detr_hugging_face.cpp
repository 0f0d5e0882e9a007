// Hugging Face's `deformable_detr` -> DeformableDetrConfig, and the names of its tensors. Defaults are those of
// DeformableDetrConfig in transformers, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "detection/checkpoint_backbone.h"
#include "detection/checkpoint_names.h"
#include "detection/deformable_detr.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace detection {

namespace {

constexpr vit::IntRange kWidth{1, 1 << 16}, kCount{1, 1 << 14};

DeformableDetrConfig read_deformable_detr(const vit::JsonObject& json) {
  DeformableDetrConfig config;
  config.num_classes = vit::hugging_face_label_count(json);
  config.d_model = json.get_int("d_model", 256, kWidth);
  config.num_feature_levels = json.get_int("num_feature_levels", 4, {1, 64});
  config.encoder_layers = json.get_int("encoder_layers", 6, {1, 64});
  config.encoder_ffn_dim = json.get_int("encoder_ffn_dim", 1024, kWidth);
  config.encoder_attention_heads = json.get_int("encoder_attention_heads", 8, kCount);
  config.encoder_n_points = json.get_int("encoder_n_points", 4, {1, 1024});
  config.decoder_layers = json.get_int("decoder_layers", 6, {1, 64});
  config.decoder_ffn_dim = json.get_int("decoder_ffn_dim", 1024, kWidth);
  config.decoder_attention_heads = json.get_int("decoder_attention_heads", 8, kCount);
  config.decoder_n_points = json.get_int("decoder_n_points", 4, {1, 1024});
  config.activation_function =
      vit::activation_of(json.get_string("activation_function", "relu"), json.where("activation_function"));
  const vit::DoubleRange share{0.0, 0.99};
  config.dropout = static_cast<float>(json.get_double("dropout", 0.1, share));
  config.attention_dropout = static_cast<float>(json.get_double("attention_dropout", 0.0, share));
  config.activation_dropout = static_cast<float>(json.get_double("activation_dropout", 0.0, share));
  const std::string positions = json.get_string("position_embedding_type", "sine");
  if (positions != "sine" && positions != "learned") json.refuse("position_embedding_type", "'sine' or 'learned'");
  config.position_embedding_type = positions == "sine" ? PositionKind::sine : PositionKind::learned;
  config.num_queries = json.get_int("num_queries", 300, kCount);
  config.with_box_refine = json.get_bool("with_box_refine", false);
  config.two_stage = json.get_bool("two_stage", false);
  config.two_stage_num_proposals = json.get_int("two_stage_num_proposals", 300, kCount);
  return config;
}

/// Names of a head's copies: "class_embed.0.weight" may be in the file under any of them.
std::vector<std::string> copies_of(const std::string& ours, const DeformableDetrConfig& config) {
  std::vector<std::string> names{ours, "model.decoder." + ours};
  if (config.with_box_refine) return names;
  const size_t number = ours.find('.') + 1;  // one head, once per layer
  for (int64_t i = 1; i < config.decoder_layers; ++i)
    names.push_back(ours.substr(0, number) + std::to_string(i) + ours.substr(number + 1));
  return names;
}

vit::ModelPlan plan_deformable_detr(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  DeformableDetrConfig config = read_deformable_detr(json);
  CheckpointBackbone own = read_checkpoint_backbone(
      json, checkpoint.weights,
      {.prefix = "model.backbone.conv_encoder.model.",
       .out_indices = config.num_feature_levels > 1 ? std::vector<int64_t>{2, 3, 4} : std::vector<int64_t>{4},
       .dilation = json.get_bool("dilation", false),
       .img_size = config.img_size});
  config.backbone_maps = own.maps;
  auto model = std::make_unique<DeformableDetr>(config, "deformable_detr", std::move(own.backbone));
  vit::KeyMap keys{own.rules, "", {}};
  model->visit_parameters([&](const std::string& name, vit::Parameter&) {
    if (name.starts_with("backbone.")) return;
    if (name.starts_with("class_embed.") || name.starts_with("bbox_embed."))
      keys.rules.push_back(first_of_copies(name, copies_of(name, config), checkpoint.weights, keys.ignored));
    else if (name.starts_with("position_embedding."))
      keys.rules.push_back({name, {"model.backbone." + name}});
    else
      keys.rules.push_back(stacked_projections(name, "model."));
  });
  return {std::move(model), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("deformable_detr", plan_deformable_detr);

}  // namespace

}  // namespace detection
