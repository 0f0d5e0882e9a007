// Hugging Face's `blip` (BlipForConditionalGeneration) -> EncoderDecoderConfig, and its tensor names. Defaults are
// those of BlipTextConfig and BlipVisionConfig in transformers, because config.json omits what equals them.
#include "captioning/checkpoint_encoder.h"
#include "captioning/encoder_decoder.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace captioning {

namespace {

constexpr int64_t kWidest = 1 << 16;
constexpr int64_t kMostTokens = 1 << 22;

TextDecoderConfig read_text(const vit::JsonObject& json) {
  TextDecoderConfig config;
  config.post_norm = true;
  config.vocab_size = json.get_int("vocab_size", 30524, {2, kMostTokens});
  config.positions = json.get_int("max_position_embeddings", 512, {1, 1 << 20});
  config.embed_dim = json.get_int("hidden_size", 768, {1, kWidest});
  config.depth = json.get_int("num_hidden_layers", 12, {1, 1024});
  config.num_heads = json.get_int("num_attention_heads", 8, {1, 1024});
  config.mlp_hidden = json.get_int("intermediate_size", 3072, {1, 1 << 20});
  config.act = vit::activation_of(json.get_string("hidden_act", "gelu"), json.where("hidden_act"));
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", 1e-12, {0.0, 1.0}));
  return config;
}

/// The text decoder starts with its bos and stops at [SEP]; its eos is used nowhere.
void read_tokens(const vit::JsonObject& json, EncoderDecoderConfig& config) {
  constexpr vit::IntRange range{0, kMostTokens};
  config.start = json.get_int("bos_token_id", 30522, range);
  config.ends = {json.get_int("sep_token_id", 102, range)};
  config.pad = json.get_int("pad_token_id", 0, range);
  config.prompt_replaces_first = true;
}

vit::KeyMap key_map() {
  const std::string layer = "text_decoder.bert.encoder.layer.{i}.", embeddings = "text_decoder.bert.embeddings.",
                    head = "text_decoder.cls.predictions.", self = layer + "attention.",
                    cross = layer + "crossattention.";
  const std::vector<std::pair<std::string, std::vector<std::string>>> modules = {
      {"encoder.blocks.{i}.attn.qkv", {"vision_model.encoder.layers.{i}.self_attn.qkv"}},
      {"encoder.blocks.{i}.attn.proj", {"vision_model.encoder.layers.{i}.self_attn.projection"}},
      {"decoder.embed_norm", {embeddings + "LayerNorm"}},
      {"decoder.layers.{i}.self_attn.qkv", {self + "self.query", self + "self.key", self + "self.value"}},
      {"decoder.layers.{i}.self_attn.proj", {self + "output.dense"}},
      {"decoder.layers.{i}.norm1", {self + "output.LayerNorm"}},
      {"decoder.layers.{i}.cross_attn.q", {cross + "self.query"}},
      {"decoder.layers.{i}.cross_attn.kv", {cross + "self.key", cross + "self.value"}},
      {"decoder.layers.{i}.cross_attn.proj", {cross + "output.dense"}},
      {"decoder.layers.{i}.norm_cross", {cross + "output.LayerNorm"}},
      {"decoder.layers.{i}.mlp.fc1", {layer + "intermediate.dense"}},
      {"decoder.layers.{i}.mlp.fc2", {layer + "output.dense"}},
      {"decoder.layers.{i}.norm2", {layer + "output.LayerNorm"}},
      {"decoder.head_dense", {head + "transform.dense"}},
      {"decoder.head_norm", {head + "transform.LayerNorm"}}};
  vit::KeyMap keys = vision_tower_keys("encoder.");
  for (const auto& [ours, theirs] : modules)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours, theirs)) keys.rules.push_back(std::move(rule));
  keys.rules.push_back({"encoder.pos_embed", {"vision_model.embeddings.position_embedding"}});
  keys.rules.push_back({"decoder.tokens.weight", {embeddings + "word_embeddings.weight"}});
  keys.rules.push_back({"decoder.positions.weight", {embeddings + "position_embeddings.weight"}});
  keys.rules.push_back({"decoder.head.weight", {head + "decoder.weight"}});
  for (const std::string name : {"decoder.head.bias", "decoder.head_bias"})
    keys.rules.push_back({name, {head + "bias"}});
  keys.ignored.push_back(embeddings + "position_ids");
  keys.ignored.push_back(head + "decoder.bias");  // the same tensor as its bias
  return keys;
}

vit::ModelPlan plan(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where), text = json.get_object("text_config");
  EncoderDecoderConfig config;
  const vit::VitConfig tower = read_vision_tower(json.get_object("vision_config"), "gelu", 384, 16);
  config.encoder = vit::write_config(tower).with("type", vit::ConfigNode::make_scalar("vit", true));
  config.decoder = read_text(text);
  config.decoder.memory_dim = tower.embed_dim;
  // Files that share the token table with the head hold one copy.
  config.decoder.tied_head =
      checkpoint.weights && !checkpoint.weights->contains("text_decoder.cls.predictions.decoder.weight");
  config.label_smoothing = static_cast<float>(text.get_double("label_smoothing", 0.0, {0.0, 0.99}));
  read_tokens(text, config);
  return {std::make_unique<EncoderDecoder>(config, "blip"), key_map()};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("blip", plan);

}  // namespace

}  // namespace captioning
