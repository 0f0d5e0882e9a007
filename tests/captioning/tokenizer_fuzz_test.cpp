// Replays the inputs that the tokenizers' fuzz target began with and those that it found something with.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/fuzz/tokenizer_input.h"
#include "tests/support/temp_dir.h"

namespace captioning {
namespace {

TEST(TokenizerFuzz, InputsOfTheCorpus) {
  const vit::test::TempDir folder;
  size_t inputs = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(VITKIT_SOURCE_DIR) + "/tests/fuzz/tokenizer_corpus")) {
    fuzz::try_input(vit::test::slurp(entry.path()), folder / "files");
    ++inputs;
  }
  EXPECT_GE(inputs, 10u);
}

/// The corpus's tokenizers are good ones: without this, refusing everything would pass.
TEST(TokenizerFuzz, TheCorpusBeginsWithGoodFiles) {
  const std::string input = vit::test::slurp(std::string(VITKIT_SOURCE_DIR) + "/tests/fuzz/tokenizer_corpus/bert.json");
  ASSERT_EQ(input[0], 'j');
  const Tokenizer tokenizer = Tokenizer::from_json(fuzz::split_input(input.substr(1))[0], "bert.json");
  EXPECT_FALSE(tokenizer.encode("ab").empty());
}

}  // namespace
}  // namespace captioning
