// The tokenizers of the reference checkpoints: ids, tokens and decoded text of the original libraries, from each form
// of files.
#include "tests/support/tokenizer_golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "captioning/tokenizer.h"
#include "tests/support/temp_dir.h"
#include "vit/io/json.h"

namespace captioning {
namespace {

namespace fs = std::filesystem;

class TokenizerFiles : public ::testing::TestWithParam<const char*> {
 protected:
  fs::path folder_ = fs::path(VITKIT_SOURCE_DIR) / "tests/goldens" / GetParam();

  void expect_golden(const Tokenizer& tokenizer) const {
    const vit::test::TokenizerGolden result =
        vit::test::run_tokenizer_golden(tokenizer, folder_ / "tokenizer_golden.json");
    EXPECT_GT(result.texts, 0u);
    EXPECT_THAT(result.wrong, ::testing::IsEmpty());
  }

  /// The case's files without some.
  void copy_without(const std::vector<std::string>& left_out, const fs::path& to) const {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename();
      if (std::find(left_out.begin(), left_out.end(), name) == left_out.end() &&
          name.find("safetensors") == std::string::npos)
        fs::copy_file(entry.path(), to / name);
    }
  }
};

TEST_P(TokenizerFiles, OfTokenizerJson) { expect_golden(Tokenizer::load(folder_)); }

TEST_P(TokenizerFiles, OfTokenizerJsonAlone) {
  expect_golden(Tokenizer::from_json(vit::test::slurp(folder_ / "tokenizer.json"), "tokenizer.json"));
}

TEST_P(TokenizerFiles, OfTheVocabularyFiles) {
  vit::test::TempDir folder;
  copy_without({"tokenizer.json"}, folder.path());
  expect_golden(Tokenizer::load(folder.path()));
}

TEST_P(TokenizerFiles, OfTheVocabularyFilesAlone) {
  vit::test::TempDir folder;
  copy_without({"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"},
               folder.path());
  expect_golden(Tokenizer::load(folder.path()));
}

TEST_P(TokenizerFiles, OfSavedFiles) {
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  vit::test::TempDir folder;
  for (const auto& [name, content] : tokenizer.files()) folder.write(name, content);
  const Tokenizer again = Tokenizer::load(folder.path());
  expect_golden(again);
  EXPECT_EQ(again.size(), tokenizer.size());
  for (int64_t id = 0; id < tokenizer.size(); ++id) {
    EXPECT_EQ(again.token(id), tokenizer.token(id));
    EXPECT_EQ(again.is_special(id), tokenizer.is_special(id)) << tokenizer.token(id);
  }
  EXPECT_EQ(again.special().bos, tokenizer.special().bos);
  EXPECT_EQ(again.special().pad, tokenizer.special().pad);
}

TEST_P(TokenizerFiles, MergesAsListsOfTwo) {
  nlohmann::json document = vit::load_json(folder_ / "tokenizer.json");
  if (!document["model"].contains("merges")) return;
  for (nlohmann::json& merge : document["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ');
    merge = nlohmann::json::array({text.substr(0, space), text.substr(space + 1)});
  }
  expect_golden(Tokenizer::from_json(document.dump(), "tokenizer.json"));
}

INSTANTIATE_TEST_SUITE_P(Cases, TokenizerFiles, ::testing::Values("B4_vit_gpt2", "B5_blip", "B7_clip"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace captioning
