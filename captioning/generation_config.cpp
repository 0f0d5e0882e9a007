// generation_config.json, and what config.json says of generation, as transformers reads them.
#include "captioning/generation_config.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "vit/io/checkpoint.h"

namespace captioning {

namespace {

using vit::JsonObject;

constexpr int64_t kMostTokens = int64_t{1} << 24;

void read_early_stopping(const JsonObject& json, GenerationConfig& config) {
  const nlohmann::json* value = json.find("early_stopping");
  if (!value) return;
  if (value->is_boolean())
    config.early_stopping = value->get<bool>() ? EarlyStopping::on_count : EarlyStopping::heuristic;
  else if (value->is_string() && value->get<std::string>() == "never")
    config.early_stopping = EarlyStopping::never;
  else
    json.refuse("early_stopping", "true, false or \"never\"");
}

void read_id(const JsonObject& json, const char* key, std::optional<int64_t>& id) {
  if (json.has(key)) id = json.require_int(key, {0, kMostTokens});
}

/// Options of transformers that change what is generated and are not known here, with the value that changes nothing;
/// null changes nothing either.
void refuse_unknown_options(const JsonObject& json) {
  static const std::pair<const char*, nlohmann::json> kNeutral[] = {
      {"num_beam_groups", 1},
      {"diversity_penalty", 0.0},
      {"penalty_alpha", 0.0},
      {"typical_p", 1.0},
      {"min_p", 0.0},
      {"epsilon_cutoff", 0.0},
      {"eta_cutoff", 0.0},
      {"encoder_no_repeat_ngram_size", 0},
      {"encoder_repetition_penalty", 1.0},
      {"guidance_scale", 1.0},
      {"renormalize_logits", false},
      {"forced_bos_token_id", nullptr},
      {"forced_eos_token_id", nullptr},
      {"suppress_tokens", nullptr},
      {"begin_suppress_tokens", nullptr},
      {"bad_words_ids", nullptr},
      {"force_words_ids", nullptr},
      {"constraints", nullptr},
      {"sequence_bias", nullptr},
      {"exponential_decay_length_penalty", nullptr},
  };
  for (const auto& [key, neutral] : kNeutral) {
    const nlohmann::json* value = json.find(key);
    if (!value || *value == neutral || (value->is_array() && value->empty())) continue;
    json.refuse(key, neutral.is_null() ? "nothing: this option of generation is not known here"
                                       : neutral.dump() + ": other values of this option are not known here");
  }
}

}  // namespace

nlohmann::json early_stopping_json(EarlyStopping early_stopping) {
  if (early_stopping == EarlyStopping::never) return "never";
  return early_stopping == EarlyStopping::on_count;
}

void read_generation_options(const JsonObject& json, GenerationConfig& config) {
  refuse_unknown_options(json);
  config.num_beams = json.get_int("num_beams", config.num_beams, {1, 1 << 12});
  config.length_penalty = json.get_double("length_penalty", config.length_penalty, {-1e6, 1e6});
  read_early_stopping(json, config);
  config.no_repeat_ngram_size = json.get_int("no_repeat_ngram_size", config.no_repeat_ngram_size, {0, kMostTokens});
  config.min_length = json.get_int("min_length", config.min_length, {0, kMostTokens});
  config.min_new_tokens = json.get_int("min_new_tokens", config.min_new_tokens, {0, kMostTokens});
  config.max_length = json.get_int("max_length", config.max_length, {1, kMostTokens});
  read_id(json, "max_new_tokens", config.max_new_tokens);
  config.repetition_penalty = json.get_double("repetition_penalty", config.repetition_penalty, {1e-6, 1e6});
  config.num_return_sequences = json.get_int("num_return_sequences", config.num_return_sequences, {1, 1 << 12});
  config.do_sample = json.get_bool("do_sample", config.do_sample);
  config.temperature = json.get_double("temperature", config.temperature, {1e-6, 1e6});
  config.top_k = json.get_int("top_k", config.top_k, {0, kMostTokens});
  config.top_p = json.get_double("top_p", config.top_p, {1e-9, 1.0});
}

void read_generation_ids(const JsonObject& json, GenerationConfig& config) {
  read_id(json, "pad_token_id", config.pad);
  read_id(json, "bos_token_id", config.start);
  read_id(json, "decoder_start_token_id", config.start);
  if (json.has("eos_token_id")) config.ends = json.get_ints("eos_token_id", {}, {0, kMostTokens});
}

GenerationConfig read_generation_config(const vit::Checkpoint& checkpoint) {
  GenerationConfig config;
  if (!checkpoint.has_weights()) return config;
  const JsonObject model(checkpoint.config(), (checkpoint.dir() / "config.json").string());
  const std::filesystem::path file = checkpoint.file("generation_config.json");
  const bool blip = model.get_string("model_type", "") == "blip";
  // Before there was that file, options stood in config.json, or in its decoder's part; BLIP's generate() still reads
  // them there.
  if (file.empty() || blip) {
    for (const char* part : {"text_config", "decoder"}) read_generation_options(model.get_object(part), config);
    read_generation_options(model, config);
  }
  if (file.empty()) return config;
  const nlohmann::json parsed = vit::load_json(file);
  const JsonObject json(parsed, file.string());
  read_generation_options(json, config);
  // BLIP's generate() goes by the ids of its text decoder, whatever the file says.
  if (!blip) read_generation_ids(json, config);
  return config;
}

}  // namespace captioning
