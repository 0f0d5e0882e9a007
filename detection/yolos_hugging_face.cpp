// Hugging Face's `yolos` -> YolosConfig, and the table of its tensor names. Defaults are those of YolosConfig in
// transformers, because config.json omits what equals them.
#include "detection/yolos.h"
#include "vit/attention/self.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace detection {

namespace {

constexpr int64_t kWidest = 1 << 16;

YolosConfig read_yolos(const vit::JsonObject& json) {
  YolosConfig config;
  config.img_size = json.get_extents("image_size", {512, 864}, {1, kWidest});
  const std::array<int64_t, 2> patch = json.get_extents("patch_size", {16, 16}, {1, 1 << 12});
  if (patch[0] != patch[1]) json.refuse("patch_size", "one number for both sides");
  config.patch_size = patch[0];
  config.in_chans = json.get_int("num_channels", 3, {1, 1024});
  config.num_classes = vit::hugging_face_label_count(json);
  config.num_queries = json.get_int("num_detection_tokens", 100, {1, 1 << 14});
  config.embed_dim = json.get_int("hidden_size", 768, {1, kWidest});
  config.depth = json.get_int("num_hidden_layers", 12, {1, 1024});
  config.num_heads = json.get_int("num_attention_heads", 12, {1, 1024});
  config.mlp_hidden = json.get_int("intermediate_size", 3072, {1, 1 << 20});
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", 1e-12, {0.0, 1.0}));
  config.act = vit::activation_of(json.get_string("hidden_act", "gelu"), json.where("hidden_act"));
  config.mid_pos_embed = json.get_bool("use_mid_position_embeddings", true);
  const vit::SelfAttentionOptions attention{.qkv_bias = json.get_bool("qkv_bias", true)};
  config.attention = vit::write_config(attention).with("type", vit::ConfigNode::make_scalar("self", true));
  return config;
}

vit::KeyMap key_map() {
  const std::string layer = "{p}encoder.layer.{i}.", self = layer + "attention.attention.";
  const std::vector<std::pair<std::string, std::vector<std::string>>> modules = {
      {"patch_embed.proj", {"{p}embeddings.patch_embeddings.projection"}},
      {"blocks.{i}.norm1", {layer + "layernorm_before"}},
      {"blocks.{i}.attn.qkv", {self + "query", self + "key", self + "value"}},
      {"blocks.{i}.attn.proj", {layer + "attention.output.dense"}},
      {"blocks.{i}.norm2", {layer + "layernorm_after"}},
      {"blocks.{i}.mlp.fc1", {layer + "intermediate.dense"}},
      {"blocks.{i}.mlp.fc2", {layer + "output.dense"}},
      {"norm", {"{p}layernorm"}}};
  vit::KeyMap keys{{{"cls_token", {"{p}embeddings.cls_token"}},
                    {"det_token", {"{p}embeddings.detection_tokens"}},
                    {"pos_embed", {"{p}embeddings.position_embeddings"}},
                    {"mid_pos_embed", {"{p}encoder.mid_position_embeddings"}}},
                   "vit.",
                   {"{p}pooler.dense.weight", "{p}pooler.dense.bias"}};
  for (const auto& [ours, theirs] : modules)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours, theirs)) keys.rules.push_back(std::move(rule));
  return keys;
}

[[maybe_unused]] const bool kRegistered =
    vit::hugging_face_registry().add("yolos", [](const vit::CheckpointConfig& checkpoint) {
      const YolosConfig config = read_yolos(vit::JsonObject(checkpoint.json, checkpoint.where));
      return vit::ModelPlan{std::make_unique<Yolos>(config, "yolos"), key_map()};
    });

}  // namespace

}  // namespace detection
