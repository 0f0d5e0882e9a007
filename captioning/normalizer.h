// What is done to a text before it is split: normal forms, letter case, accents, BERT's cleaning. A tokenizer.json's
// "normalizer".
#pragma once

#include <memory>
#include <string>

#include "vit/io/json.h"

namespace captioning {

/// Immutable; thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::u16string apply(std::u16string text) const = 0;
};

/// Of {"type": ...}: BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Sequence.
/// Errors (usage): another type, naming it; options of the wrong kind.
std::unique_ptr<Normalizer> make_normalizer(const vit::JsonObject& json);

}  // namespace captioning
