// What a Tokenizer is made of, and how it is made from the text of a tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "captioning/added_tokens.h"
#include "captioning/normalizer.h"
#include "captioning/post_processor.h"
#include "captioning/pre_tokenizer.h"
#include "captioning/subword_model.h"
#include "captioning/token_decoder.h"
#include "captioning/tokenizer.h"
#include "captioning/vocabulary.h"

namespace captioning {

/// Longest file of a tokenizer: three times what the largest that people use need.
constexpr int64_t kMaxTokenizerBytes = int64_t{32} << 20;
constexpr int kMaxTokenizerDepth = 32;

struct Tokenizer::Tables {
  nlohmann::json document, config;  ///< As files() writes them.
  Vocabulary vocabulary{};
  std::unique_ptr<Normalizer> normalizer{};       ///< Null: none.
  std::unique_ptr<PreTokenizer> pre_tokenizer{};  ///< Null: a text is one word.
  std::unique_ptr<SubwordModel> model{};
  std::unique_ptr<AddedTokens> added{};
  PostProcessor post_processor{};
  std::unique_ptr<TokenDecoder> decoder{};  ///< Null: tokens with a space between them.
  std::string end_of_word{};                ///< A space in decoded text (CLIP); empty: nothing is done.
  bool clean_up = false;                    ///< Decoded text.
  SpecialTokens special{};
  std::vector<bool> is_special{};  ///< Of each id.

  Tables(nlohmann::json tokenizer, nlohmann::json tokenizer_config, const std::string& where);
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

 private:
  void read_vocabulary(const std::string& where);
  void read_steps(const std::string& where);
  void read_special(const std::string& where);
};

/// The document {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"} and the
/// configuration {"bos_token": "...", ...} of a folder, from whichever files there are. Errors: as Tokenizer::load.
struct TokenizerDocuments {
  nlohmann::json document = nlohmann::json::object(), config = nlohmann::json::object();
  std::string where{};  ///< The file that messages name.
};
TokenizerDocuments read_tokenizer_folder(const std::filesystem::path& folder);

/// The roles of tokens: "bos_token", ...
const std::vector<std::string>& token_roles();

}  // namespace captioning
