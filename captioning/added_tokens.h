// Tokens that are found in a text before it is normalised and split: [CLS], <|endoftext|>, and what people added.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "captioning/normalizer.h"

namespace captioning {

/// A tokenizer.json's entry of "added_tokens".
struct AddedToken {
  std::string content;
  int64_t id = 0;
  bool special = false;                 ///< Left out by decode(ids, skip_special).
  bool single_word = false;             ///< Only where no letter or digit is beside it.
  bool lstrip = false, rstrip = false;  ///< White space on that side belongs to it.
  bool normalized = false;              ///< Looked for in the normalised text, in its own normalised form.
};

/// Immutable; thread-safe.
class AddedTokens {
 public:
  /// A part of a text: a token's id, or text with id -1.
  struct Part {
    std::u16string_view text;
    int64_t id = -1;
  };

  /// `normalizer` may be null. Errors (usage): a token without content.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer, const std::string& where);

  /// A text's parts (views of it), none empty: with the tokens that are looked for before normalisation, or those
  /// after.
  std::vector<Part> split(std::u16string_view text, bool normalized) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  /// Contents to look for; of several at one place the longest counts.
  struct Finder {
    std::map<std::u16string, size_t, std::less<>> tokens;  // positions in tokens_
    std::set<size_t, std::greater<>> lengths;
    std::bitset<0x10000> first;
    void add(const std::u16string& content, size_t position);
    /// The token that stands at a place, and its length; false: none.
    bool find(std::u16string_view rest, size_t& position, size_t& length) const;
  };

  std::vector<AddedToken> tokens_;
  Finder raw_, normalized_;
};

}  // namespace captioning
