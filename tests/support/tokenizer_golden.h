// Reference texts of a tokenizer: tokenizer_golden.json of a checkpoint's folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "captioning/tokenizer.h"

namespace vit::test {

struct TokenizerGolden {
  size_t texts = 0;
  std::vector<std::string> wrong{};  ///< What differs, each with its text.
};

/// Compares ids (with and without special tokens), tokens, and both decoded texts. Errors: as the readers.
TokenizerGolden run_tokenizer_golden(const captioning::Tokenizer& tokenizer, const std::filesystem::path& golden);

}  // namespace vit::test
