// Hugging Face's `detr` -> DetrConfig, and its tensor names. Defaults are those of DetrConfig in transformers, because
// config.json omits what equals them.
#include "detection/checkpoint_backbone.h"
#include "detection/detr.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace detection {

namespace {

constexpr int64_t kWidest = 1 << 16;

DetrConfig read_detr(const vit::JsonObject& json) {
  const vit::JsonRange<double> share{0.0, 0.99};
  DetrConfig config;
  config.num_classes = vit::hugging_face_label_count(json);
  config.num_queries = json.get_int("num_queries", config.num_queries, {1, 1 << 14});
  config.d_model = json.get_int("d_model", config.d_model, {4, 1 << 14});
  config.encoder_layers = json.get_int("encoder_layers", config.encoder_layers, {0, 256});
  config.encoder_attention_heads = json.get_int("encoder_attention_heads", config.encoder_attention_heads, {1, 1024});
  config.encoder_ffn_dim = json.get_int("encoder_ffn_dim", config.encoder_ffn_dim, {1, kWidest});
  config.decoder_layers = json.get_int("decoder_layers", config.decoder_layers, {1, 256});
  config.decoder_attention_heads = json.get_int("decoder_attention_heads", config.decoder_attention_heads, {1, 1024});
  config.decoder_ffn_dim = json.get_int("decoder_ffn_dim", config.decoder_ffn_dim, {1, kWidest});
  config.activation_function =
      vit::activation_of(json.get_string("activation_function", "relu"), json.where("activation_function"));
  const std::string positions = json.get_string("position_embedding_type", "sine");
  if (positions != "sine" && positions != "learned") json.refuse("position_embedding_type", "'sine' or 'learned'");
  config.position_embedding_type = positions == "sine" ? PositionEmbedding::sine : PositionEmbedding::learned;
  // With auxiliary losses transformers feeds each layer what the last norm made of the one before.
  config.norm_between_layers = json.get_bool("auxiliary_loss", false);
  config.dropout = static_cast<float>(json.get_double("dropout", 0.1, share));
  config.attention_dropout = static_cast<float>(json.get_double("attention_dropout", 0.0, share));
  config.activation_dropout = static_cast<float>(json.get_double("activation_dropout", 0.0, share));
  return config;
}

/// What a tensor that is not the backbone's is called.
std::vector<std::string> theirs(const std::string& ours) {
  if (ours.starts_with("class_labels_classifier.") || ours.starts_with("bbox_predictor.")) return {ours};
  if (ours.starts_with("position_embedding.")) return {"model.backbone." + ours};
  const size_t packed = ours.find("in_proj_");
  if (packed == std::string::npos) return {"model." + ours};
  const std::string module = "model." + ours.substr(0, packed),
                    kind = ours.substr(packed + std::string("in_proj_").size());
  return {module + "q_proj." + kind, module + "k_proj." + kind, module + "v_proj." + kind};
}

vit::ModelPlan plan_detr(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  DetrConfig config = read_detr(json);
  const CheckpointBackbone own = read_checkpoint_backbone(json, checkpoint.weights,
                                                          {.prefix = "model.backbone.conv_encoder.model.",
                                                           .out_indices = {1, 2, 3, 4},
                                                           .dilation = json.get_bool("dilation", false),
                                                           .img_size = config.img_size});
  config.backbone = own.backbone->describe();
  config.backbone_map = own.maps.back();
  auto model = std::make_unique<Detr>(config, "detr");
  vit::KeyMap keys{own.rules, "", {}};
  model->visit_parameters([&](const std::string& name, vit::Parameter&) {
    if (!name.starts_with("backbone.")) keys.rules.push_back({name, theirs(name)});
  });
  return {std::move(model), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("detr", plan_detr);

}  // namespace

}  // namespace detection
