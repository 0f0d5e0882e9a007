// Generation settings as JSON objects have them: generation_config.json, config.json, arguments of generate().
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "captioning/generate.h"
#include "vit/io/json.h"

namespace captioning {

/// `config` with the options that the object has (num_beams, max_new_tokens, ...), by transformers' names; token ids
/// are read_generation_ids' business. Errors (usage), naming file and key: a value that makes no sense; an option that
/// is not known here and would change the captions (beam groups, forced and suppressed tokens, ...).
void read_generation_options(const vit::JsonObject& json, GenerationConfig& config);

/// Ids that go before the model's own: pad_token_id, bos_token_id, decoder_start_token_id (which goes before it),
/// eos_token_id (one or several). Errors (usage): as above.
void read_generation_ids(const vit::JsonObject& json, GenerationConfig& config);

/// How generation_config.json says it: true, false or "never".
nlohmann::json early_stopping_json(EarlyStopping early_stopping);

}  // namespace captioning
