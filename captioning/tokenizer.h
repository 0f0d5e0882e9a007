// Tokenizer: text to the token numbers of a checkpoint and back, as the original libraries do it (transformers'
// GPT2, CLIP and BERT tokenizers; the file format of the `tokenizers` library).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace captioning {

/// Numbers of the tokens with a meaning of their own, where a tokenizer has them.
struct SpecialTokens {
  std::optional<int64_t> bos{}, eos{}, pad{}, unk{}, cls{}, sep{}, mask{};
};

/// Copies share the tables; all members may be called from several threads at once.
class Tokenizer {
 public:
  /// From a folder's tokenizer.json, else vocab.json + merges.txt, else vocab.txt, with tokenizer_config.json,
  /// special_tokens_map.json and added_tokens.json where they are. Errors (usage): none of them; a file that is wrong,
  /// naming it and the entry.
  static Tokenizer load(const std::filesystem::path& folder);
  /// The same from the text of a tokenizer.json; `where` names it in messages.
  static Tokenizer from_json(const std::string& text, const std::string& where);

  /// UTF-8 to ids; bytes that are no UTF-8 count as U+FFFD. `special`: what the post-processor adds ([CLS], [SEP],
  /// <|startoftext|>, ...).
  std::vector<int64_t> encode(std::string_view text, bool special = true) const;
  /// Ids to text, with the clean-up of the original's decode(). Errors: an id outside the vocabulary.
  std::string decode(const std::vector<int64_t>& ids, bool skip_special = true) const;

  /// Ids are 0 to size() - 1.
  int64_t size() const;
  std::optional<int64_t> id(std::string_view token) const;
  /// As the vocabulary spells it. Errors: no such id.
  const std::string& token(int64_t id) const;
  const SpecialTokens& special() const;
  bool is_special(int64_t id) const;

  /// The files of a checkpoint (by name) from which load() makes it again: tokenizer.json, tokenizer_config.json.
  std::map<std::string, std::string> files() const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables);
  std::shared_ptr<const Tables> tables_;
};

}  // namespace captioning
