// Hugging Face's `rt_detr` -> RtDetrConfig, and the names of its tensors. Defaults are those of RTDetrConfig in
// transformers, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "detection/checkpoint_backbone.h"
#include "detection/checkpoint_names.h"
#include "detection/rt_detr.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace detection {

namespace {

constexpr vit::IntRange kWidth{1, 1 << 16}, kCount{1, 1 << 14};

void read_encoder(const vit::JsonObject& json, RtDetrConfig& config) {
  const auto activation = [&](const char* key, const char* fallback) {
    return vit::activation_of(json.get_string(key, fallback), json.where(key));
  };
  config.encoder_hidden_dim = json.get_int("encoder_hidden_dim", 256, kWidth);
  config.encoder_layers = json.get_int("encoder_layers", 1, {0, 64});
  config.encoder_ffn_dim = json.get_int("encoder_ffn_dim", 1024, kWidth);
  config.encoder_attention_heads = json.get_int("encoder_attention_heads", 8, kCount);
  config.encode_proj_layers = json.get_ints("encode_proj_layers", {2}, {0, 64});
  config.positional_encoding_temperature = json.get_double("positional_encoding_temperature", 10000.0, {1e-6, 1e12});
  config.row_major_positions = false;
  config.encoder_activation_function = activation("encoder_activation_function", "gelu");
  config.activation_function = activation("activation_function", "silu");
  config.normalize_before = json.get_bool("normalize_before", false);
  config.hidden_expansion = json.get_double("hidden_expansion", 1.0, {1e-6, 64});
  config.batch_norm_eps = static_cast<float>(json.get_double("batch_norm_eps", 1e-5, {1e-12, 1}));
}

void read_decoder(const vit::JsonObject& json, RtDetrConfig& config) {
  config.d_model = json.get_int("d_model", 256, kWidth);
  config.num_queries = json.get_int("num_queries", 300, kCount);
  config.num_feature_levels = json.get_int("num_feature_levels", 3, {1, 64});
  config.decoder_layers = json.get_int("decoder_layers", 6, {1, 64});
  config.decoder_ffn_dim = json.get_int("decoder_ffn_dim", 1024, kWidth);
  config.decoder_attention_heads = json.get_int("decoder_attention_heads", 8, kCount);
  config.decoder_n_points = json.get_int("decoder_n_points", 4, {1, 1024});
  config.decoder_activation_function = vit::activation_of(json.get_string("decoder_activation_function", "relu"),
                                                          json.where("decoder_activation_function"));
  config.learn_initial_query = json.get_bool("learn_initial_query", false);
  config.num_denoising = json.get_int("num_denoising", 100, {0, 1 << 14});
  config.label_noise_ratio = static_cast<float>(json.get_double("label_noise_ratio", 0.5, {0, 2}));
  config.box_noise_scale = static_cast<float>(json.get_double("box_noise_scale", 1.0, {0, 2}));
  config.layer_norm_eps = static_cast<float>(json.get_double("layer_norm_eps", 1e-5, {1e-12, 1}));
  config.initializer_bias_prior_prob =
      json.get_double("initializer_bias_prior_prob", 1.0 / static_cast<double>(config.num_classes + 1), {1e-9, 0.999});
  // with_box_refine makes no difference to the original: its heads are one per layer either way.
}

RtDetrConfig read_rt_detr(const vit::JsonObject& json) {
  RtDetrConfig config;
  config.num_classes = vit::hugging_face_label_count(json);
  for (const char* key : {"eval_size", "anchor_image_size"})
    if (json.has(key)) config.img_size = json.get_extents(key, config.img_size, {1, 1 << 16});
  const vit::DoubleRange share{0.0, 0.99};
  config.dropout = static_cast<float>(json.get_double("dropout", 0.0, share));
  config.attention_dropout = static_cast<float>(json.get_double("attention_dropout", 0.0, share));
  config.activation_dropout = static_cast<float>(json.get_double("activation_dropout", 0.0, share));
  read_encoder(json, config);
  read_decoder(json, config);
  return config;
}

vit::ModelPlan plan_rt_detr(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  RtDetrConfig config = read_rt_detr(json);
  CheckpointBackbone own = read_checkpoint_backbone(json, checkpoint.weights,
                                                    {.prefix = "model.backbone.model.",
                                                     .out_indices = {2, 3, 4},
                                                     .frozen_norm = json.get_bool("freeze_backbone_batch_norms", true),
                                                     .img_size = config.img_size});
  config.backbone_maps = own.maps;
  if (!json.has("num_feature_levels"))
    config.num_feature_levels = std::max<int64_t>(3, static_cast<int64_t>(own.maps.size()));
  auto model = std::make_unique<RtDetr>(config, "rt_detr", std::move(own.backbone));
  vit::KeyMap keys{own.rules, "", {}};
  model->visit_parameters([&](const std::string& name, vit::Parameter&) {
    if (name.starts_with("backbone.")) return;
    // The decoder's heads have names at the top, too.
    if (name.starts_with("decoder.class_embed.") || name.starts_with("decoder.bbox_embed."))
      keys.rules.push_back(first_of_copies(name, {"model." + name, name.substr(8)}, checkpoint.weights, keys.ignored));
    else
      keys.rules.push_back(stacked_projections(name, "model."));
  });
  return {std::move(model), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("rt_detr", plan_rt_detr);

}  // namespace

}  // namespace detection
