// Hugging Face's `vit`, `deit`, `dinov2` and `dinov2_with_registers` -> VitConfig, and the tables of their tensor
// names. Defaults are those of the configuration classes, because config.json omits what equals them.
#include <cmath>
#include <nlohmann/json.hpp>

#include "vit/attention/self.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"
#include "vit/models/vit.h"

namespace vit {

namespace {

constexpr int64_t kWidest = 1 << 16;

/// What the four model types have in common.
VitConfig common_config(const JsonObject& json, double eps, int64_t patch_size) {
  VitConfig config;
  config.dialect = Dialect::hugging_face;
  config.pos_interpolation = Interpolation::bicubic;
  config.img_size = json.get_extents("image_size", {224, 224}, {1, kWidest});
  config.patch_size = json.get_extents("patch_size", {patch_size, patch_size}, {1, kWidest});
  config.in_chans = json.get_int("num_channels", 3, {1, 1024});
  config.embed_dim = json.get_int("hidden_size", 768, {1, kWidest});
  config.depth = json.get_int("num_hidden_layers", 12, {0, 1024});
  config.num_heads = json.get_int("num_attention_heads", 12, {1, 1024});
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", eps, {0.0, 1.0}));
  config.act = activation_of(json.get_string("hidden_act", "gelu"), json.where("hidden_act"));
  const SelfAttentionOptions attention{.qkv_bias = json.get_bool("qkv_bias", true)};
  config.attention = write_config(attention).with("type", ConfigNode::make_scalar("self", true));
  return config;
}

/// Which of the library's classes wrote the checkpoint: its name, or what the tensors tell.
struct Variant {
  bool classifier = false;  ///< ...ForImageClassification
  bool teacher = false;     ///< ...WithTeacher: two heads
  std::string prefix;       ///< of the backbone's tensors inside a task model
};

Variant variant_of(const CheckpointConfig& config, const JsonObject& json, const std::string& prefix) {
  Variant variant;
  const std::vector<std::string> classes = json.get_strings("architectures", {});
  const std::string name = classes.empty() ? "" : classes.front();
  const auto holds = [&](const std::string& tensor) { return config.weights && config.weights->contains(tensor); };
  variant.teacher = name.ends_with("WithTeacher") || holds("distillation_classifier.weight");
  variant.classifier = variant.teacher || name.ends_with("ForImageClassification") || holds("classifier.weight");
  const bool nested = config.weights ? holds(prefix + ".embeddings.cls_token") : variant.classifier;
  variant.prefix = nested ? prefix + "." : "";
  return variant;
}

KeyMap key_map(const std::string& prefix, const std::vector<KeyRule>& own,
               const std::vector<std::pair<std::string, std::vector<std::string>>>& layers) {
  KeyMap keys{own, prefix, {"{p}embeddings.mask_token", "{p}pooler.dense.weight", "{p}pooler.dense.bias"}};
  const std::string self = "{p}encoder.layer.{i}.attention.attention.";
  std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"patch_embed.proj", {"{p}embeddings.patch_embeddings.projection"}},
      {"blocks.{i}.attn.qkv", {self + "query", self + "key", self + "value"}},
      {"blocks.{i}.attn.proj", {"{p}encoder.layer.{i}.attention.output.dense"}},
      {"norm", {"{p}layernorm"}},
      {"pooler", {"{p}pooler.dense"}}};
  all.insert(all.end(), layers.begin(), layers.end());
  for (const auto& [ours, theirs] : all)
    for (KeyRule& rule : weight_and_bias(ours, theirs)) keys.rules.push_back(std::move(rule));
  keys.rules.push_back({"cls_token", {"{p}embeddings.cls_token"}});
  keys.rules.push_back({"pos_embed", {"{p}embeddings.position_embeddings"}});
  return keys;
}

/// ViTModel and DeiTModel end in tanh(W x + b) of the class token when the checkpoint has that layer.
bool has_pooler(const CheckpointConfig& config, const Variant& variant) {
  return !variant.classifier && config.weights && config.weights->contains(variant.prefix + "pooler.dense.weight");
}

ModelPlan plan_vit(const CheckpointConfig& checkpoint, const std::string& type) {
  const JsonObject json(checkpoint.json, checkpoint.where);
  const bool deit = type == "deit";
  const Variant variant = variant_of(checkpoint, json, type);
  VitConfig config = common_config(json, 1e-12, 16);
  config.mlp_hidden = json.get_int("intermediate_size", 3072, {1, 1 << 20});
  config.distilled = deit;  // the library's DeiT always has the second token, with or without its head
  config.distilled_head = variant.teacher;
  config.num_classes = variant.classifier ? hugging_face_label_count(json) : 0;
  config.pooler = has_pooler(checkpoint, variant);
  const std::string activation = json.get_string("pooler_act", "tanh");
  if (config.pooler && activation != "tanh") json.refuse("pooler_act", "'tanh'");

  const std::string layer = "{p}encoder.layer.{i}.";
  KeyMap keys = key_map(variant.prefix, {{"dist_token", {"{p}embeddings.distillation_token"}}},
                        {{"blocks.{i}.norm1", {layer + "layernorm_before"}},
                         {"blocks.{i}.norm2", {layer + "layernorm_after"}},
                         {"blocks.{i}.mlp.fc1", {layer + "intermediate.dense"}},
                         {"blocks.{i}.mlp.fc2", {layer + "output.dense"}},
                         {"head", {variant.teacher ? "cls_classifier" : "classifier"}},
                         {"head_dist", {"distillation_classifier"}}});
  return {std::make_unique<Vit>(config, type), std::move(keys)};
}

ModelPlan plan_dinov2(const CheckpointConfig& checkpoint, const std::string& type) {
  const JsonObject json(checkpoint.json, checkpoint.where);
  const bool registers = type == "dinov2_with_registers";
  const Variant variant = variant_of(checkpoint, json, type);
  VitConfig config = common_config(json, 1e-6, 14);
  if (registers) {
    config.patch_size = json.get_extents("patch_size", {16, 16}, {1, kWidest});
    config.reg_tokens = json.get_int("num_register_tokens", 4, {0, 1024});
    config.pos_prefix = PositionPrefix::cls;
    config.pos_interpolation = Interpolation::bicubic_antialias;
  }
  config.num_classes = variant.classifier ? hugging_face_label_count(json) : 0;
  if (variant.classifier) config.global_pool = Pool::token_and_avg;
  config.init_values = static_cast<float>(json.get_double("layerscale_value", 1.0));
  config.mlp_ratio = json.get_double("mlp_ratio", 4.0, {0.0, 64.0});
  config.mlp_gated = json.get_bool("use_swiglu_ffn", false);
  if (config.mlp_gated) {
    config.act = Activation::silu;
    // Dinov2SwiGLUFFN: two thirds of the plain width, rounded up to a multiple of eight; gate and value side by side.
    const double hidden = std::floor(static_cast<double>(config.embed_dim) * *config.mlp_ratio);
    config.mlp_hidden = 2 * ((static_cast<int64_t>(hidden * 2 / 3) + 7) / 8 * 8);
  }

  const std::string layer = "{p}encoder.layer.{i}.";
  KeyMap keys = key_map(variant.prefix,
                        {{"reg_token", {"{p}embeddings.register_tokens"}},
                         {"blocks.{i}.ls1.gamma", {layer + "layer_scale1.lambda1"}},
                         {"blocks.{i}.ls2.gamma", {layer + "layer_scale2.lambda1"}}},
                        {{"blocks.{i}.norm1", {layer + "norm1"}},
                         {"blocks.{i}.norm2", {layer + "norm2"}},
                         {"blocks.{i}.mlp.fc1", {layer + (config.mlp_gated ? "mlp.weights_in" : "mlp.fc1")}},
                         {"blocks.{i}.mlp.fc2", {layer + (config.mlp_gated ? "mlp.weights_out" : "mlp.fc2")}},
                         {"head", {"classifier"}}});
  return {std::make_unique<Vit>(config, type), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::string type : {"vit", "deit"})
    hugging_face_registry().add(type, [type](const CheckpointConfig& config) { return plan_vit(config, type); });
  for (const std::string type : {"dinov2", "dinov2_with_registers"})
    hugging_face_registry().add(type, [type](const CheckpointConfig& config) { return plan_dinov2(config, type); });
  return true;
}();

}  // namespace

}  // namespace vit
