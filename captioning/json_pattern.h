// The patterns of a tokenizer.json: {"Regex": "\\s+"} or {"String": " "}.
#pragma once

#include <string>

#include "captioning/unicode.h"
#include "vit/io/json.h"

namespace captioning {

/// Errors (usage): neither of the two; an expression that does not compile.
inline Pattern read_pattern(const vit::JsonObject& json, const std::string& key) {
  const vit::JsonObject pattern = json.get_object(key);
  if (pattern.has("Regex")) return Pattern::regex(pattern.require_string("Regex"), pattern.where("Regex"));
  if (pattern.has("String")) return Pattern::literal(pattern.require_string("String"));
  json.refuse(key, "{\"Regex\": ...} or {\"String\": ...}");
}

}  // namespace captioning
