// Tokens back to text. A tokenizer.json's "decoder".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vit/io/json.h"

namespace captioning {

/// Immutable; thread-safe.
class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  /// Rewrites tokens; the text is what they are one behind the other.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// Of {"type": ...}: ByteLevel, WordPiece, BPEDecoder, ByteFallback, Replace, Strip, Fuse, Sequence. Errors (usage):
/// another type, naming it; options of the wrong kind.
std::unique_ptr<TokenDecoder> make_token_decoder(const vit::JsonObject& json);

/// The spaces of English punctuation taken out, as transformers' clean_up_tokenization: "a cat ." -> "a cat.".
std::string clean_up(std::string text);

}  // namespace captioning
