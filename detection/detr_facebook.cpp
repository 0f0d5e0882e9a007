// Checkpoints of facebookresearch/detr, written as safetensors with their own tensor names. Their authors have no
// config.json; ours needs `{"architecture": "facebook_detr"}` and has the arguments of their main.py where they differ
// from its defaults. Dimensions are read from the tensors, which know them best.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "detection/checkpoint_backbone.h"
#include "detection/detr.h"
#include "vit/io/json.h"
#include "vit/models/build.h"

namespace detection {

namespace {

constexpr char kBackbone[] = "backbone.0.body.";

/// Extents and presence of tensors, or the arguments where no tensors are at hand.
class Facts {
 public:
  Facts(const vit::JsonObject& json, const vit::Weights* weights) : json_(json), weights_(weights) {}

  bool has(const std::string& tensor, bool fallback) const { return weights_ ? weights_->contains(tensor) : fallback; }
  int64_t extent(const std::string& tensor, int axis, const std::string& argument, int64_t fallback) const {
    if (!weights_) return json_.get_int(argument, fallback, {1, 1 << 18});
    const vit::TensorInfo* info = weights_->find(tensor);
    if (!info || info->shape.rank() != 2)
      vit::fail_usage(weights_->path().string(), ": no matrix ", tensor,
                      "; is this a checkpoint of facebookresearch/detr?");
    return info->shape[axis];
  }
  /// Layers of a stack.
  int64_t layers(const std::string& stack, const std::string& argument) const {
    if (!weights_) return json_.get_int(argument, 6, {0, 256});
    int64_t count = 0;
    while (weights_->contains(vit::str("transformer.", stack, ".layers.", count, ".linear1.weight"))) ++count;
    return count;
  }

 private:
  const vit::JsonObject& json_;
  const vit::Weights* weights_;
};

DetrConfig read_detr(const vit::JsonObject& json, const vit::Weights* weights) {
  const Facts facts(json, weights);
  DetrConfig config;
  config.num_queries = facts.extent("query_embed.weight", 0, "num_queries", 100);
  config.d_model = facts.extent("query_embed.weight", 1, "hidden_dim", 256);
  config.num_classes = facts.extent("class_embed.weight", 0, "num_classes", 91) - (weights ? 1 : 0);
  if (config.num_classes < 1) vit::fail_usage(json.where(), ": class_embed has no class beside \"no object\"");
  config.encoder_layers = facts.layers("encoder", "enc_layers");
  config.decoder_layers = facts.layers("decoder", "dec_layers");
  config.decoder_ffn_dim = facts.extent("transformer.decoder.layers.0.linear1.weight", 0, "dim_feedforward", 2048);
  config.encoder_ffn_dim = config.decoder_ffn_dim;
  config.encoder_attention_heads = config.decoder_attention_heads = json.get_int("nheads", 8, {1, 1024});
  config.pre_norm = facts.has("transformer.encoder.norm.weight", json.get_bool("pre_norm", false));
  const std::string positions = json.get_string("position_embedding", "sine");
  if (positions != "sine" && positions != "v2" && positions != "learned" && positions != "v3")
    json.refuse("position_embedding", "'sine' or 'learned'");
  const bool learned = facts.has("backbone.1.row_embed.weight", positions == "learned" || positions == "v3");
  config.position_embedding_type = learned ? PositionEmbedding::learned : PositionEmbedding::sine;
  // There one argument is for all three places.
  const auto dropout = static_cast<float>(json.get_double("dropout", 0.1, {0.0, 0.99}));
  config.dropout = config.attention_dropout = config.activation_dropout = dropout;
  return config;
}

/// Parts of our names and what is called there; the first that fits is taken. In the encoder the MLP's norm is the
/// second, in the decoder the third.
const std::vector<std::pair<std::string, std::string>>& renamed(bool decoder) {
  static const std::vector<std::pair<std::string, std::string>> common = {
      {"class_labels_classifier.", "class_embed."},
      {"bbox_predictor.", "bbox_embed."},
      {"input_projection.", "input_proj."},
      {"query_position_embeddings.", "query_embed."},
      {"position_embedding.row_embeddings.", "backbone.1.row_embed."},
      {"position_embedding.column_embeddings.", "backbone.1.col_embed."},
      {".layernorm.", ".norm."},
      {".self_attn_layer_norm.", ".norm1."},
      {".encoder_attn_layer_norm.", ".norm2."},
      {".encoder_attn.", ".multihead_attn."},
      {".fc1.", ".linear1."},
      {".fc2.", ".linear2."}};
  static const auto with_norm = [](const std::string& norm) {
    auto all = common;
    all.emplace_back(".final_layer_norm.", norm);
    return all;
  };
  static const auto encoder_names = with_norm(".norm2."), decoder_names = with_norm(".norm3.");
  return decoder ? decoder_names : encoder_names;
}

std::string theirs(std::string name) {
  const bool decoder = name.starts_with("decoder.");
  const std::string stack = decoder || name.starts_with("encoder.") ? "transformer." : "";
  for (const auto& [ours, their] : renamed(decoder))
    if (const size_t at = name.find(ours); at != std::string::npos) return stack + name.replace(at, ours.size(), their);
  return stack + name;
}

vit::ModelPlan plan_facebook_detr(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  DetrConfig config = read_detr(json, checkpoint.weights);
  const nlohmann::json named{{"backbone", json.get_string("backbone", "resnet50")}};
  const CheckpointBackbone own = read_checkpoint_backbone(vit::JsonObject(named, checkpoint.where), checkpoint.weights,
                                                          {.prefix = kBackbone,
                                                           .out_indices = {4},
                                                           .dilation = json.get_bool("dilation", false),
                                                           .img_size = config.img_size});
  config.backbone = own.backbone->describe();
  auto model = std::make_unique<Detr>(config, "facebook_detr");
  vit::KeyMap keys{own.rules, "", {}};
  model->visit_parameters([&](const std::string& name, vit::Parameter&) {
    if (!name.starts_with("backbone.")) keys.rules.push_back({name, {theirs(name)}});
  });
  return {std::move(model), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = vit::timm_registry().add("facebook_detr", plan_facebook_detr);

}  // namespace

}  // namespace detection
