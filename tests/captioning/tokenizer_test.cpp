// Whole tokenizers: added tokens, what the files beside a vocabulary say, roles, decoding. The reference texts are
// tokenizer_golden_test's.
#include "captioning/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace captioning {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

/// Letters a to e and what follows, lower-cased words between spaces.
json small_document(const json& added = json::array()) {
  return {{"added_tokens", added},
          {"normalizer", {{"type", "Lowercase"}}},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"vocab", {{"[UNK]", 0}, {"a", 1}, {"b", 2}, {"##b", 3}, {"<x>", 4}}}}}};
}

json added(const char* content, int id, const json& flags = json::object()) {
  json entry = {{"id", id}, {"content", content}, {"special", false}, {"normalized", false}};
  entry.update(flags);
  return entry;
}

std::vector<int64_t> ids_with(const json& token, const std::string& text) {
  return Tokenizer::from_json(small_document(json::array({token})).dump(), "test").encode(text);
}

TEST(AddedTokens, AreFoundBeforeTheTextIsSplit) {
  EXPECT_THAT(ids_with(added("<x>", 4), "a<x>ab"), ElementsAre(1, 4, 1, 3));
  EXPECT_THAT(ids_with(added("<new>", 5), "<new><new> b"), ElementsAre(5, 5, 2));
  EXPECT_THAT(ids_with(added("<X>", 5), "a<x>"), ElementsAre(0)) << "in the text as it is";
  EXPECT_THAT(ids_with(added("<X>", 5, {{"normalized", true}}), "a<x><X>"), ElementsAre(1, 5, 5))
      << "both in their normalised form";
}

TEST(AddedTokens, TakeTheSpaceBesideThem) {
  EXPECT_THAT(ids_with(added(" ", 5), "a b"), ElementsAre(1, 5, 2)) << "a space that is a token";
  const Tokenizer strips = Tokenizer::from_json(
      small_document(
          json::array({added(" ", 5), added("<l>", 6, {{"lstrip", true}}), added("<r>", 7, {{"rstrip", true}})}))
          .dump(),
      "test");
  EXPECT_THAT(strips.encode("a<r> \t b"), ElementsAre(1, 7, 2));
  EXPECT_THAT(strips.encode("a\t<l>\tb"), ElementsAre(1, 6, 2));
  EXPECT_THAT(strips.encode("<r> <l>"), ElementsAre(7, 6)) << "the space is taken once";
}

TEST(AddedTokens, SingleWordsStandAlone) {
  const json token = added("ab", 5, {{"single_word", true}});
  EXPECT_THAT(ids_with(token, "ab"), ElementsAre(5));
  EXPECT_THAT(ids_with(token, "b ab!"), ElementsAre(2, 5, 0));
  EXPECT_THAT(ids_with(token, "aab"), ElementsAre(0)) << "a letter in front";
  EXPECT_THAT(ids_with(token, "ab\xC3\xA9"), ElementsAre(0)) << "a letter behind";
}

TEST(AddedTokens, TheLongestAtAPlaceCounts) {
  const Tokenizer tokenizer = Tokenizer::from_json(
      small_document(json::array({added("<a", 5), added("<a>", 6), added("a>b", 7)})).dump(), "test");
  EXPECT_THAT(tokenizer.encode("<a>b"), ElementsAre(6, 2));
  EXPECT_THAT(tokenizer.encode("<ab"), ElementsAre(5, 2));
}

TEST(TokenizerParts, SpecialTokensAndSkipping) {
  json document = small_document(json::array({added("[UNK]", 0, {{"special", true}}), added("<x>", 4)}));
  const Tokenizer tokenizer = Tokenizer::from_json(document.dump(), "test");
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(4)) << "added, but not special";
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(99));
  EXPECT_EQ(tokenizer.special().unk, 0);
  EXPECT_EQ(tokenizer.special().bos, std::nullopt);
  EXPECT_EQ(tokenizer.decode({1, 0, 4}, false), "a [UNK] <x>") << "without a decoder, a space between tokens";
  EXPECT_EQ(tokenizer.decode({1, 0, 4}), "a <x>");
  EXPECT_EQ(tokenizer.decode({}), "");
}

TEST(TokenizerParts, IdsAndTokens) {
  const Tokenizer tokenizer = Tokenizer::from_json(small_document().dump(), "test");
  EXPECT_EQ(tokenizer.size(), 5);
  EXPECT_EQ(tokenizer.id("##b"), 3);
  EXPECT_EQ(tokenizer.id("z"), std::nullopt);
  EXPECT_EQ(tokenizer.token(2), "b");
  EXPECT_THAT(usage_error([&] { (void)tokenizer.token(5); }), HasSubstr("token 5 is not in the vocabulary of 5"));
  EXPECT_THAT(usage_error([&] { (void)tokenizer.decode({1, -1}); }), HasSubstr("token -1"));
}

TEST(TokenizerParts, TextThatIsNoUtf8) {
  const Tokenizer tokenizer = Tokenizer::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/B4_vit_gpt2");
  EXPECT_EQ(tokenizer.encode("a\xFF"), tokenizer.encode("a\xEF\xBF\xBD"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("\xC3(")), "\xEF\xBF\xBD(");
  EXPECT_EQ(tokenizer.decode({*tokenizer.id("\xC3\x83")}), "\xEF\xBF\xBD") << "half a character";
}

TEST(TokenizerParts, ManyThreadsOneTokenizer) {
  const Tokenizer tokenizer = Tokenizer::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/B7_clip");
  const std::vector<int64_t> expected = tokenizer.encode("A photo of a caf\xC3\xA9");
  std::vector<std::thread> threads;
  std::array<int, 4> equal{};
  for (int& count : equal)
    threads.emplace_back([&tokenizer, &expected, &count] {
      for (int i = 0; i < 50; ++i) count += Tokenizer(tokenizer).encode("A photo of a caf\xC3\xA9") == expected ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, ::testing::Each(50));
}

/// BERT's files with a vocabulary of a line each.
void write_bert(const TempDir& folder, const json& config = nullptr) {
  folder.write(
      "vocab.txt",
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nA\nb\n\xC3\xA9\ne\n,\n\xE6\x97\xA5\n##\xE6\x9C\xAC\n\xE6\x9C\xAC\n");
  if (!config.is_null()) folder.write("tokenizer_config.json", config.dump());
}

std::string bert_tokens(const json& config, const std::string& text) {
  const TempDir folder;
  write_bert(folder, config);
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  std::string tokens;
  for (int64_t id : tokenizer.encode(text)) tokens += tokenizer.token(id) + " ";
  return tokens;
}

TEST(VocabTxt, OptionsOfTokenizerConfig) {
  EXPECT_EQ(bert_tokens(nullptr, "A, \xC3\x89"), "[CLS] a , e [SEP] ") << "lower case unless said otherwise";
  EXPECT_EQ(bert_tokens({{"do_lower_case", false}}, "A, \xC3\xA9"), "[CLS] A , \xC3\xA9 [SEP] ");
  EXPECT_EQ(bert_tokens({{"strip_accents", false}}, "A \xC3\x89"), "[CLS] a \xC3\xA9 [SEP] ");
  EXPECT_EQ(bert_tokens({{"do_lower_case", false}, {"strip_accents", true}}, "A \xC3\xA9"), "[CLS] A e [SEP] ");
  EXPECT_EQ(bert_tokens(json::object(), "\xE6\x97\xA5\xE6\x9C\xAC"), "[CLS] \xE6\x97\xA5 \xE6\x9C\xAC [SEP] ");
  EXPECT_EQ(bert_tokens({{"tokenize_chinese_chars", false}}, "\xE6\x97\xA5\xE6\x9C\xAC"),
            "[CLS] \xE6\x97\xA5 ##\xE6\x9C\xAC [SEP] ");
  EXPECT_EQ(bert_tokens({{"do_basic_tokenize", false}}, "A A,"), "[CLS] A [UNK] [SEP] ");
  EXPECT_EQ(bert_tokens({{"cls_token", "a"}, {"sep_token", {{"content", "b"}}}}, ","), "a , b ");
}

TEST(VocabTxt, LinesMayEndAsWindowsWritesThem) {
  const TempDir folder;
  folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.size(), 5);
  EXPECT_THAT(tokenizer.encode("a [MASK]", false).front(), 4);
  EXPECT_EQ(tokenizer.special().mask, std::nullopt);
  EXPECT_EQ(tokenizer.special().cls, 2);
}

TEST(VocabTxt, AddedTokensBehindTheVocabulary) {
  const TempDir folder;
  write_bert(folder, {{"bos_token", "[DEC]"}});
  folder.write("added_tokens.json", R"({"[ENC]": 15, "[DEC]": 14})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.size(), 16);
  EXPECT_EQ(tokenizer.special().bos, 14);
  EXPECT_TRUE(tokenizer.is_special(14)) << "it has a role";
  EXPECT_FALSE(tokenizer.is_special(15));
  EXPECT_THAT(tokenizer.encode("[DEC] a [ENC]", false), ElementsAre(14, 5, 15));
  EXPECT_EQ(tokenizer.decode({14, 5, 15}), "a [ENC]");
}

TEST(VocabJson, ConfigMakesTheFamily) {
  const TempDir folder;
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4, "<|endoftext|>": 5})");
  folder.write("merges.txt", "#version: 0.2\na b\nĠ a\n");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("ab a"), ElementsAre(2, 4));
  EXPECT_EQ(Tokenizer::load(folder.path()).special().eos, 5);
  folder.write("tokenizer_config.json", R"({"add_prefix_space": true, "tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("a"), ElementsAre(4));
  folder.write("tokenizer_config.json", R"({"add_bos_token": true, "tokenizer_class": "GPT2TokenizerFast"})");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("a"), ElementsAre(5, 0));
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("a", false), ElementsAre(0));
}

TEST(VocabJson, CleanUpIsForWhoAsksForIt) {
  const TempDir folder;
  folder.write("vocab.json", R"({"a": 0, "Ġ": 1, ".": 2})");
  folder.write("merges.txt", "#version: 0.2\n");
  EXPECT_EQ(Tokenizer::load(folder.path()).decode({0, 1, 2}), "a .");
  folder.write("tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  EXPECT_EQ(Tokenizer::load(folder.path()).decode({0, 1, 2}), "a.");
}

TEST(TokenizerFiles, AdditionalTokensAreSpecialThoughTheyAreListedAsAdded) {
  const TempDir folder;
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
  folder.write("added_tokens.json", R"({"[ENC]": 6, "[DEC]": 7})");
  folder.write("special_tokens_map.json", R"({"additional_special_tokens": ["[ENC]"]})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_TRUE(tokenizer.is_special(6));
  EXPECT_FALSE(tokenizer.is_special(7));
}

TEST(TokenizerJson, FilesBesideIt) {
  const TempDir folder;
  folder.write("tokenizer.json", small_document(json::array({added("[UNK]", 0, {{"special", true}})})).dump());
  folder.write("tokenizer_config.json", R"({"pad_token": "b", "eos_token": {"content": "<x>"}, "bos_token": null})");
  const Tokenizer older = Tokenizer::load(folder.path());
  EXPECT_EQ(older.special().pad, 2);
  EXPECT_EQ(older.special().eos, 4);
  EXPECT_TRUE(older.is_special(2));
  EXPECT_THAT(older.encode("a<x>"), ElementsAre(1, 4)) << "a role's token is found like an added one";
  folder.write("special_tokens_map.json", R"({"pad_token": "a", "additional_special_tokens": ["##b"]})");
  const Tokenizer mapped = Tokenizer::load(folder.path());
  EXPECT_EQ(mapped.special().pad, 1) << "special_tokens_map.json goes before";
  EXPECT_TRUE(mapped.is_special(3));
  folder.write("tokenizer_config.json",
               R"({"pad_token": "b", "added_tokens_decoder": {"7": {"content": "<7>", "special": true}}})");
  const Tokenizer newer = Tokenizer::load(folder.path());
  EXPECT_EQ(newer.special().pad, 2) << "unless tokenizer_config.json lists the added tokens";
  EXPECT_EQ(newer.size(), 8) << "with a hole";
  EXPECT_THAT(newer.encode("<7>"), ElementsAre(7));
  EXPECT_THAT(usage_error([&] { (void)newer.token(6); }), HasSubstr("token 6 is not"));
}

TEST(TokenizerJson, ConfigGoesBeforeItsOwnOptions) {
  const TempDir folder;
  json document = small_document();
  document["normalizer"] = {{"type", "BertNormalizer"}, {"lowercase", true}, {"strip_accents", nullptr}};
  folder.write("tokenizer.json", document.dump());
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("A"), ElementsAre(1));
  folder.write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_THAT(Tokenizer::load(folder.path()).encode("A"), ElementsAre(0));
}

TEST(TokenizerJson, ModelsWithoutATypeAndNullSteps) {
  json document = small_document();
  document["model"].erase("type");
  document["normalizer"] = nullptr;
  document["pre_tokenizer"] = nullptr;
  const Tokenizer tokenizer = Tokenizer::from_json(document.dump(), "test");
  EXPECT_THAT(tokenizer.encode("ab"), ElementsAre(1, 3));
  EXPECT_THAT(tokenizer.encode("a b"), ElementsAre(0)) << "one word";
}

TEST(Clip, TextIsSpacedAndLowered) {
  const Tokenizer tokenizer = Tokenizer::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/B7_clip");
  EXPECT_EQ(tokenizer.encode("A \n Photo"), tokenizer.encode("a photo"));
  EXPECT_EQ(tokenizer.encode("caf\xC3\x89"), tokenizer.encode("cafe\xCC\x81"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("12 dogs!!")), "1 2 dogs !!");
  EXPECT_EQ(tokenizer.encode("a<|endoftext|>b", false)[1], *tokenizer.special().eos);
  EXPECT_EQ(tokenizer.special().pad, tokenizer.special().eos);
}

TEST(Clip, ALongTextIsNoEndlessOne) {
  const Tokenizer tokenizer = Tokenizer::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/B7_clip");
  const std::string text = "a red ball, 12 dogs! ";
  std::string longer;
  for (int i = 0; i < 20'000; ++i) longer += text;
  EXPECT_EQ(tokenizer.encode(longer, false).size(), 20'000 * tokenizer.encode(text, false).size());
}

}  // namespace
}  // namespace captioning
