// Where a text is split into words before the vocabulary is looked at. A tokenizer.json's "pre_tokenizer".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vit/io/json.h"

namespace captioning {

/// Immutable; thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Appends the parts of a text that is not empty; parts are not empty.
  virtual void split(const std::u16string& text, std::vector<std::u16string>& parts) const = 0;
  /// What follows sees a part's UTF-8 bytes as the characters of byte_alphabet() (GPT-2's byte level).
  virtual bool byte_level() const { return false; }
};

/// Of {"type": ...}: ByteLevel, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, Split, Sequence.
/// Errors (usage): another type, naming it; options of the wrong kind; something behind a ByteLevel.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const vit::JsonObject& json);

/// GPT-2's split without an expression engine: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
/// ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ (Radford et al. 2019, encoder.py). The parts together are the text.
void split_as_gpt2(std::u16string_view text, std::vector<std::u16string>& parts);

}  // namespace captioning
