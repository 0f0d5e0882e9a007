// Hugging Face's `vision-encoder-decoder` with a GPT-2 decoder -> EncoderDecoderConfig, and its tensor names. Defaults
// are those of GPT2Config in transformers, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "captioning/checkpoint_encoder.h"
#include "captioning/encoder_decoder.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace captioning {

namespace {

constexpr int64_t kWidest = 1 << 16;
constexpr int64_t kMostTokens = 1 << 22;

TextDecoderConfig read_gpt2(const vit::JsonObject& json) {
  TextDecoderConfig config;
  config.vocab_size = json.get_int("vocab_size", 50257, {2, kMostTokens});
  config.positions = json.get_int("n_positions", 1024, {1, 1 << 20});
  config.embed_dim = json.get_int("n_embd", 768, {1, kWidest});
  config.depth = json.get_int("n_layer", 12, {1, 1024});
  config.num_heads = json.get_int("n_head", 12, {1, 1024});
  config.mlp_hidden = json.get_int("n_inner", 4 * config.embed_dim, {1, 1 << 20});
  config.act =
      vit::activation_of(json.get_string("activation_function", "gelu_new"), json.where("activation_function"));
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_epsilon", 1e-5, {0.0, 1.0}));
  config.tied_head = json.get_bool("tie_word_embeddings", true);
  if (!json.get_bool("scale_attn_weights", true)) json.refuse("scale_attn_weights", "true");
  if (json.get_bool("scale_attn_by_inverse_layer_idx", false)) json.refuse("scale_attn_by_inverse_layer_idx", "false");
  return config;
}

/// The composite's own ids go before the decoder's.
void read_tokens(const vit::JsonObject& json, const vit::JsonObject& decoder, EncoderDecoderConfig& config) {
  constexpr vit::IntRange range{0, kMostTokens};
  const int64_t eos = decoder.get_int("eos_token_id", 50256, range);
  config.ends = json.get_ints("eos_token_id", {eos}, range);
  const int64_t bos = json.get_int("bos_token_id", decoder.get_int("bos_token_id", 50256, range), range);
  config.start = json.get_int("decoder_start_token_id", decoder.get_int("decoder_start_token_id", bos, range), range);
  config.pad = json.get_int("pad_token_id", decoder.get_int("pad_token_id", config.ends.front(), range), range);
}

void add_layer_rules(vit::KeyMap& keys) {
  const std::string ours = "decoder.layers.{i}.", theirs = "decoder.transformer.h.{i}.";
  const std::vector<std::pair<std::string, std::string>> norms = {
      {"norm1", "ln_1"}, {"norm_cross", "ln_cross_attn"}, {"norm2", "ln_2"}};
  for (const auto& [own, name] : norms)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours + own, {theirs + name})) keys.rules.push_back(std::move(rule));
  const std::vector<std::pair<std::string, std::string>> projections = {{"self_attn.qkv", "attn.c_attn"},
                                                                        {"self_attn.proj", "attn.c_proj"},
                                                                        {"cross_attn.q", "crossattention.q_attn"},
                                                                        {"cross_attn.kv", "crossattention.c_attn"},
                                                                        {"cross_attn.proj", "crossattention.c_proj"},
                                                                        {"mlp.fc1", "mlp.c_fc"},
                                                                        {"mlp.fc2", "mlp.c_proj"}};
  for (const auto& [own, name] : projections)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours + own, {theirs + name})) {
      rule.transposed = rule.ours.ends_with(".weight");  // Conv1D: [in, out]
      keys.rules.push_back(std::move(rule));
    }
  // Causal masks that older versions of the library stored.
  for (const std::string part : {"attn.", "crossattention."})
    for (const std::string buffer : {"bias", "masked_bias"}) keys.ignored.push_back(theirs + part + buffer);
}

vit::KeyMap decoder_keys(const TextDecoderConfig& config) {
  vit::KeyMap keys{{{"decoder.tokens.weight", {"decoder.transformer.wte.weight"}},
                    {"decoder.positions.weight", {"decoder.transformer.wpe.weight"}},
                    {"projection.weight", {"enc_to_dec_proj.weight"}},
                    {"projection.bias", {"enc_to_dec_proj.bias"}},
                    {"decoder.norm.weight", {"decoder.transformer.ln_f.weight"}},
                    {"decoder.norm.bias", {"decoder.transformer.ln_f.bias"}},
                    {"decoder.head.weight", {"decoder.lm_head.weight"}}},
                   "",
                   {}};
  if (config.tied_head) keys.ignored.push_back("decoder.lm_head.weight");
  add_layer_rules(keys);
  return keys;
}

vit::ModelPlan plan(const vit::CheckpointConfig& checkpoint) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  const vit::JsonObject decoder = json.get_object("decoder");
  if (decoder.get_string("model_type", "") != "gpt2") decoder.refuse("model_type", "'gpt2'");
  EncoderDecoderConfig config;
  config.decoder = read_gpt2(decoder);
  read_tokens(json, decoder, config);
  CheckpointEncoder encoder = read_checkpoint_encoder(json.get_object("encoder"), "encoder.");
  config.encoder = encoder.config;
  config.project = encoder.width != config.decoder.embed_dim;
  config.decoder.memory_dim = config.decoder.embed_dim;
  vit::KeyMap keys = decoder_keys(config.decoder);
  keys.rules.insert(keys.rules.end(), encoder.keys.rules.begin(), encoder.keys.rules.end());
  keys.ignored.insert(keys.ignored.end(), encoder.keys.ignored.begin(), encoder.keys.ignored.end());
  return {std::make_unique<EncoderDecoder>(config, "vision-encoder-decoder"), std::move(keys)};
}

[[maybe_unused]] const bool kRegistered = vit::hugging_face_registry().add("vision-encoder-decoder", plan);

}  // namespace

}  // namespace captioning
