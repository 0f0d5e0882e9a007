// How a word becomes tokens. A tokenizer.json's "model".
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "captioning/vocabulary.h"
#include "vit/io/json.h"

namespace captioning {

/// Immutable; thread-safe. The vocabulary outlives it.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  /// Appends the ids of one word (UTF-8, not empty), as a pre-tokenizer made it.
  virtual void append(std::string_view word, std::vector<int64_t>& ids) const = 0;
};

/// Of {"type": "BPE" or "WordPiece"}; a file without "type" is told by its merges. `byte_level`: words are bytes of
/// byte_alphabet(). Errors (usage): another type, naming it; see make_bpe() and make_word_piece().
std::unique_ptr<SubwordModel> make_subword_model(const vit::JsonObject& json, const Vocabulary& vocabulary,
                                                 bool byte_level);

}  // namespace captioning
