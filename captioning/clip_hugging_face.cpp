// Hugging Face's `clip` -> ClipConfig, and its tensor names. Defaults are those of CLIPTextConfig, CLIPVisionConfig and
// CLIPConfig in transformers, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "captioning/checkpoint_encoder.h"
#include "captioning/clip.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace captioning {

namespace {

constexpr int64_t kWidest = 1 << 16;
constexpr int64_t kMostTokens = 1 << 22;

/// A tower's part. Old files have it as PART_dict, which then counts.
nlohmann::json part_of(const vit::JsonObject& json, const std::string& part) {
  nlohmann::json merged = json.get_object(part).raw();
  const vit::JsonObject legacy = json.get_object(part + "_dict");
  for (const std::string& key : legacy.keys()) merged[key] = *legacy.find(key);
  return merged;
}

void read_text(const vit::JsonObject& json, ClipConfig& config) {
  TextDecoderConfig& text = config.text;
  text.memory_dim = 0;
  text.head = text.tied_head = false;
  text.vocab_size = json.get_int("vocab_size", 49408, {2, kMostTokens});
  text.positions = json.get_int("max_position_embeddings", 77, {1, 1 << 20});
  text.embed_dim = json.get_int("hidden_size", 512, {1, kWidest});
  text.depth = json.get_int("num_hidden_layers", 12, {1, 1024});
  text.num_heads = json.get_int("num_attention_heads", 8, {1, 1024});
  text.mlp_hidden = json.get_int("intermediate_size", 2048, {1, 1 << 20});
  text.act = vit::activation_of(json.get_string("hidden_act", "quick_gelu"), json.where("hidden_act"));
  text.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", 1e-5, {0.0, 1.0}));
  config.eos = json.get_int("eos_token_id", 49407, {0, kMostTokens});
  // The first models' files say 2, which is wrong: their texts end with the largest id.
  config.pool_largest = config.eos == 2;
}

vit::KeyMap key_map() {
  vit::KeyMap keys = vision_tower_keys("vision.");
  const std::string vision = "vision_model.encoder.layers.{i}.self_attn.", text = "text_model.encoder.layers.{i}.",
                    self = text + "self_attn.";
  const std::vector<std::pair<std::string, std::vector<std::string>>> modules = {
      {"vision.norm_pre", {"vision_model.pre_layrnorm"}},
      {"vision.blocks.{i}.attn.qkv", {vision + "q_proj", vision + "k_proj", vision + "v_proj"}},
      {"vision.blocks.{i}.attn.proj", {vision + "out_proj"}},
      {"text.layers.{i}.norm1", {text + "layer_norm1"}},
      {"text.layers.{i}.self_attn.qkv", {self + "q_proj", self + "k_proj", self + "v_proj"}},
      {"text.layers.{i}.self_attn.proj", {self + "out_proj"}},
      {"text.layers.{i}.norm2", {text + "layer_norm2"}},
      {"text.layers.{i}.mlp.fc1", {text + "mlp.fc1"}},
      {"text.layers.{i}.mlp.fc2", {text + "mlp.fc2"}},
      {"text.norm", {"text_model.final_layer_norm"}}};
  for (const auto& [ours, theirs] : modules)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours, theirs)) keys.rules.push_back(std::move(rule));
  keys.rules.push_back({"vision.pos_embed", {"vision_model.embeddings.position_embedding.weight"}});
  keys.rules.push_back({"text.tokens.weight", {"text_model.embeddings.token_embedding.weight"}});
  keys.rules.push_back({"text.positions.weight", {"text_model.embeddings.position_embedding.weight"}});
  keys.ignored.push_back("text_model.embeddings.position_ids");
  return keys;
}

vit::ModelPlan plan(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  const nlohmann::json text = part_of(json, "text_config"), vision = part_of(json, "vision_config");
  ClipConfig config;
  config.projection_dim = json.get_int("projection_dim", 512, {1, kWidest});
  vit::VitConfig tower = read_vision_tower(vit::JsonObject(vision, json.where("vision_config")), "quick_gelu", 224, 32);
  tower.patch_bias = false;
  tower.pre_norm = true;
  config.vision = vit::write_config(tower).with("type", vit::ConfigNode::make_scalar("vit", true));
  read_text(vit::JsonObject(text, json.where("text_config")), config);
  return {std::make_unique<Clip>(config, "clip"), key_map()};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("clip", plan);

}  // namespace

}  // namespace captioning
