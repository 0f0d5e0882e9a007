// One input of the tokenizers' fuzz target, which the tests replay, too: files of a tokenizer and a text in one string.
// The first byte says which files ('j': tokenizer.json, 'b': vocab.json and merges.txt, 'w': vocab.txt, else bytes for
// a vocabulary that is learnt); the rest is these files, then tokenizer_config.json and the text, with 0x1E between
// them.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "captioning/bpe_training.h"
#include "captioning/tokenizer.h"
#include "vit/core/check.h"

namespace captioning::fuzz {

inline std::vector<std::string> split_input(const std::string& input) {
  std::vector<std::string> parts(1);
  for (char c : input) {
    if (c == '\x1E')
      parts.emplace_back();
    else
      parts.back().push_back(c);
  }
  parts.resize(4);
  return parts;
}

/// What every tokenizer that was taken must do; ends the process where one does not.
inline void use_tokenizer(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<int64_t> ids;
  try {
    ids = tokenizer.encode(text);
  } catch (const vit::Error&) {  // an expression of the file that takes too long
    return;
  }
  for (int64_t id : ids)
    if (id < 0 || id >= tokenizer.size() || !tokenizer.id(tokenizer.token(id))) std::abort();
  try {
    (void)tokenizer.decode(ids);
    (void)tokenizer.decode(ids, false);
  } catch (const vit::Error&) {
  }
  const Tokenizer again = Tokenizer::from_json(tokenizer.files().at("tokenizer.json"), "saved");
  if (again.encode(text) != ids) std::abort();
}

/// Reads or refuses the input's files. `folder` is for them.
inline void try_input(const std::string& input, const std::filesystem::path& folder) {
  if (input.empty()) return;
  const std::vector<std::string> parts = split_input(input.substr(1));
  try {
    if (input[0] == 'j') {
      use_tokenizer(Tokenizer::from_json(parts[0], "fuzzed"), parts[1]);
      return;
    }
    if (input[0] != 'b' && input[0] != 'w') {
      const Tokenizer learnt = train_bpe({parts[0], parts[1]}, {.vocab_size = 300, .lower_case = false});
      use_tokenizer(learnt, parts[2]);
      return;
    }
    std::filesystem::create_directories(folder);
    const auto write = [&](const char* name, const std::string& content) {
      std::filesystem::remove(folder / name);
      if (!content.empty()) std::ofstream(folder / name, std::ios::binary) << content;
    };
    const bool bpe = input[0] == 'b';
    write("vocab.json", bpe ? parts[0] : "");
    write("merges.txt", bpe ? parts[1] : "");
    write("vocab.txt", bpe ? "" : parts[0]);
    write("tokenizer_config.json", bpe ? parts[2] : parts[1]);
    use_tokenizer(Tokenizer::load(folder), bpe ? parts[3] : parts[2]);
  } catch (const vit::Error&) {
  }
}

}  // namespace captioning::fuzz
