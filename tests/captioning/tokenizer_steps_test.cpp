// The steps of a tokenizer.json one by one: normalizers, pre-tokenizers, post-processors, decoders, models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "captioning/normalizer.h"
#include "captioning/post_processor.h"
#include "captioning/pre_tokenizer.h"
#include "captioning/subword_model.h"
#include "captioning/token_decoder.h"
#include "captioning/unicode.h"
#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace captioning {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using vit::test::usage_error;

std::string normalized(const json& options, const std::string& text) {
  return to_utf8(make_normalizer(vit::JsonObject(options, "test"))->apply(to_utf16(text)));
}

std::vector<std::string> split(const json& options, const std::string& text) {
  std::vector<std::u16string> parts;
  make_pre_tokenizer(vit::JsonObject(options, "test"))->split(to_utf16(text), parts);
  std::vector<std::string> result;
  for (const std::u16string& part : parts) result.push_back(to_utf8(part));
  return result;
}

std::string decoded(const json& options, std::vector<std::string> tokens) {
  make_token_decoder(vit::JsonObject(options, "test"))->apply(tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

json bert(bool lower, const json& accents = nullptr) {
  return {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", true},
          {"strip_accents", accents},
          {"lowercase", lower}};
}

TEST(Normalizers, BertCleansSpacesLowersAndStrips) {
  EXPECT_EQ(normalized(bert(true), "Caf\xC3\xA9\tA\xCC\x81\r\nB"), "cafe a  b") << "line ends become spaces";
  EXPECT_EQ(normalized(bert(true), std::string("a\0b\x01\x7F\xEF\xBF\xBD\xE2\x80\x8B\xEE\x80\x80", 13) + "c"), "abc")
      << "control, zero width, private use";
  EXPECT_EQ(normalized(bert(true), "a\xC2\xA0\xE3\x80\x80z"), "a  z") << "all white space is a space";
  EXPECT_EQ(normalized(bert(true), "ab\xE6\x97\xA5\xE6\x9C\xAC\xF0\xA0\x80\x80z"),
            "ab \xE6\x97\xA5  \xE6\x9C\xAC  \xF0\xA0\x80\x80 z");
  EXPECT_EQ(normalized(bert(true), "\xEA\xB0\x80\xE3\x81\x82"), "\xE1\x84\x80\xE1\x85\xA1\xE3\x81\x82")
      << "no Han: taken apart only";
}

TEST(Normalizers, BertAccentsGoWithLowerCaseUnlessSaid) {
  EXPECT_EQ(normalized(bert(false), "\xC3\x89t\xC3\xA9"), "\xC3\x89t\xC3\xA9");
  EXPECT_EQ(normalized(bert(false, true), "\xC3\x89t\xC3\xA9"), "Ete");
  EXPECT_EQ(normalized(bert(true, false), "\xC3\x89t\xC3\xA9"), "\xC3\xA9t\xC3\xA9");
  EXPECT_EQ(normalized(bert(true), "\xC4\xB0"), "i") << "a dotted capital I";
}

TEST(Normalizers, TheSimpleOnes) {
  EXPECT_EQ(normalized({{"type", "NFC"}}, "e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(normalized({{"type", "NFKD"}}, "\xEF\xAC\x81"), "fi");
  EXPECT_EQ(normalized({{"type", "Lowercase"}}, "ABC"), "abc");
  EXPECT_EQ(normalized({{"type", "StripAccents"}}, "e\xCC\x81"), "e");
  EXPECT_EQ(normalized({{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}}, " \ta "), "a ");
  EXPECT_EQ(normalized({{"type", "Strip"}}, " \n "), "");
  EXPECT_EQ(normalized({{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}}, "a \n b"), "a b");
  EXPECT_EQ(normalized({{"type", "Replace"}, {"pattern", {{"String", "``"}}}, {"content", "\""}}, "``a``"), "\"a\"");
  EXPECT_EQ(normalized({{"type", "Prepend"}, {"prepend", "_"}}, "a"), "_a");
  EXPECT_EQ(normalized({{"type", "Prepend"}, {"prepend", "_"}}, ""), "");
}

TEST(PreTokenizers, Gpt2SplitIsItsExpression) {
  const Pattern expression =
      Pattern::regex("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "test");
  const std::u16string letters = u"ab's'tre'vlmd  \n\t\u00A0\u3000019\u00B2.,!\u00E9\u65E5\u0301\u200B";
  vit::Rng rng(7);
  for (int round = 0; round < 3000; ++round) {
    std::u16string text;
    const auto length = rng.next_u32() % 24;
    for (size_t i = 0; i < length; ++i) {
      const auto at = rng.next_u32() % (letters.size() + 1);
      append_char(text, at < letters.size() ? char32_t{letters[at]} : char32_t{0x1F600});
    }
    std::vector<std::u16string> parts, expected;
    split_as_gpt2(text, parts);
    for (const TextRange& match : expression.matches(text))
      expected.push_back(text.substr(match.begin, match.end - match.begin));
    ASSERT_EQ(parts, expected) << to_utf8(text);
  }
}

TEST(PreTokenizers, ByteLevel) {
  EXPECT_THAT(split({{"type", "ByteLevel"}, {"add_prefix_space", false}}, "it's  a"),
              ElementsAre("it", "'s", " ", " a"));
  EXPECT_THAT(split({{"type", "ByteLevel"}}, "it"), ElementsAre(" it")) << "a space in front unless said otherwise";
  EXPECT_THAT(split({{"type", "ByteLevel"}}, " it"), ElementsAre(" it"));
  EXPECT_THAT(split({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}, "a b!"),
              ElementsAre("a b!"));
}

TEST(PreTokenizers, BertSplitsAtSpaceAndPunctuation) {
  EXPECT_THAT(split({{"type", "BertPreTokenizer"}}, "it's $5, \xE2\x80\x9Cok\xE2\x80\x9D"),
              ElementsAre("it", "'", "s", "$", "5", ",", "\xE2\x80\x9C", "ok", "\xE2\x80\x9D"));
}

TEST(PreTokenizers, TheSimpleOnes) {
  EXPECT_THAT(split({{"type", "Whitespace"}}, "a_b c!? d"), ElementsAre("a_b", "c", "!?", "d"));
  EXPECT_THAT(split({{"type", "WhitespaceSplit"}}, " a, b\n"), ElementsAre("a,", "b"));
  EXPECT_THAT(split({{"type", "Punctuation"}}, "a, b"), ElementsAre("a", ",", " b"));
  EXPECT_THAT(split({{"type", "Digits"}, {"individual_digits", true}}, "a12"), ElementsAre("a", "1", "2"));
  EXPECT_THAT(split({{"type", "Digits"}, {"individual_digits", false}}, "a12b"), ElementsAre("a", "12", "b"));
}

TEST(PreTokenizers, SplitBehaviors) {
  const auto by = [](const char* behavior, bool invert = false) {
    return split({{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}},
                 "the-final--countdown");
  };
  EXPECT_THAT(by("Removed"), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(by("Isolated"), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(by("MergedWithPrevious"), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(by("MergedWithNext"), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(by("Contiguous"), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(by("Removed", true), ElementsAre("-", "-", "-"));
}

Vocabulary vocabulary(const std::vector<std::string>& tokens) {
  Vocabulary result;
  for (size_t i = 0; i < tokens.size(); ++i) result.add(tokens[i], static_cast<int64_t>(i), "test");
  return result;
}

std::vector<int64_t> word_ids(const json& options, const Vocabulary& tokens, const std::string& word,
                              bool byte_level = false) {
  std::vector<int64_t> ids;
  make_subword_model(vit::JsonObject(options, "test"), tokens, byte_level)->append(word, ids);
  return ids;
}

TEST(WordPieceModel, TakesTheLongestPieces) {
  const Vocabulary tokens = vocabulary({"[UNK]", "un", "##want", "##wanted", "##ed", "\xE6\x97\xA5", "##\xC3\xA9"});
  const json options = {{"type", "WordPiece"}};
  EXPECT_THAT(word_ids(options, tokens, "unwanted"), ElementsAre(1, 3));
  EXPECT_THAT(word_ids(options, tokens, "unwanteded"), ElementsAre(1, 3, 4));
  EXPECT_THAT(word_ids(options, tokens, "unwantx"), ElementsAre(0)) << "a word is known whole or not at all";
  EXPECT_THAT(word_ids(options, tokens, "un\xC3\xA9"), ElementsAre(1, 6));
  EXPECT_THAT(word_ids(options, tokens, "\xE6\x97\xA5"), ElementsAre(5));
}

TEST(WordPieceModel, CountsCharactersNotBytes) {
  const Vocabulary tokens = vocabulary({"[UNK]", "\xC3\xA9", "##\xC3\xA9"});
  std::string word;
  for (int i = 0; i < 100; ++i) word += "\xC3\xA9";
  EXPECT_EQ(word_ids({{"type", "WordPiece"}}, tokens, word).size(), 100u);
  EXPECT_THAT(word_ids({{"type", "WordPiece"}}, tokens, word + "\xC3\xA9"), ElementsAre(0));
  EXPECT_THAT(word_ids({{"type", "WordPiece"}, {"max_input_chars_per_word", 3}}, tokens, word), ElementsAre(0));
}

TEST(WordPieceModel, ALongWordIsNoCube) {
  const Vocabulary tokens = vocabulary({"[UNK]", "a", "##a", "##\xC3\xA9"});
  const json options = {{"type", "WordPiece"}, {"max_input_chars_per_word", 1000}};
  EXPECT_EQ(word_ids(options, tokens, std::string(1000, 'a')).size(), 1000u);
  EXPECT_THAT(word_ids(options, tokens,
                       "a\xC3\xA9"
                       "a"),
              ElementsAre(1, 3, 2))
      << "no piece ends inside a character";
  EXPECT_THAT(usage_error([&] {
                word_ids({{"type", "WordPiece"}, {"max_input_chars_per_word", 1 << 30}}, tokens, "a");
              }),
              HasSubstr("max_input_chars_per_word: expected an integer from 1 to 1000"));
}

TEST(BpeModel, MergesByRankThenFromTheLeft) {
  const Vocabulary tokens = vocabulary({"a", "b", "c", "ab", "bc", "aa"});
  const json options = {{"type", "BPE"}, {"merges", {"b c", "a b", "a a"}}};
  EXPECT_THAT(word_ids(options, tokens, "abc"), ElementsAre(0, 4)) << "b c goes first";
  EXPECT_THAT(word_ids(options, tokens, "aaab"), ElementsAre(5, 3));
  EXPECT_THAT(word_ids(options, tokens, "aaaaa"), ElementsAre(5, 5, 0));
  EXPECT_THAT(word_ids(options, tokens, "b"), ElementsAre(1));
}

TEST(BpeModel, UnknownCharacters) {
  const Vocabulary tokens = vocabulary({"<unk>", "a", "<0xC3>", "<0xA9>"});
  const json plain = {{"type", "BPE"}, {"merges", json::array()}};
  json unk = plain, fused = plain, bytes = plain;
  unk["unk_token"] = fused["unk_token"] = bytes["unk_token"] = "<unk>";
  fused["fuse_unk"] = true;
  bytes["byte_fallback"] = true;
  EXPECT_THAT(word_ids(plain, tokens, "xay"), ElementsAre(1)) << "without an unknown token they are left out";
  EXPECT_THAT(word_ids(unk, tokens, "xyay"), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(word_ids(fused, tokens, "xyay"), ElementsAre(0, 1, 0));
  EXPECT_THAT(word_ids(bytes, tokens, "a\xC3\xA9z"), ElementsAre(1, 2, 3, 0));
}

TEST(BpeModel, EndOfWordPrefixAndWholeWords) {
  const Vocabulary tokens = vocabulary({"a", "b", "b</w>", "ab</w>", "a</w>", "##b", "ab"});
  EXPECT_THAT(word_ids({{"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"merges", {"a b</w>"}}}, tokens, "ab"),
              ElementsAre(3));
  EXPECT_THAT(word_ids({{"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"merges", json::array()}}, tokens, "aa"),
              ElementsAre(0, 4));
  const json prefixed = {{"type", "BPE"}, {"continuing_subword_prefix", "##"}, {"merges", {"a ##b"}}};
  EXPECT_THAT(word_ids(prefixed, tokens, "ab"), ElementsAre(6)) << "the prefix goes when tokens merge";
  EXPECT_THAT(word_ids({{"type", "BPE"}, {"ignore_merges", true}, {"merges", json::array()}}, tokens, "ab"),
              ElementsAre(6));
  EXPECT_THAT(word_ids({{"type", "BPE"}, {"ignore_merges", true}, {"merges", json::array()}}, tokens, "ab", true),
              ElementsAre(6));
}

TEST(BpeModel, ALongWordIsNoSquare) {
  const Vocabulary tokens = vocabulary({"a", "aa", "aaaa"});
  const json options = {{"type", "BPE"}, {"merges", {"a a", "aa aa"}}};
  EXPECT_EQ(word_ids(options, tokens, std::string(400'000, 'a')), std::vector<int64_t>(100'000, 2));
}

TEST(PostProcessors, WhatStandsAroundAText) {
  const Vocabulary tokens = vocabulary({"a", "[CLS]", "[SEP]"});
  const auto made = [&](const json& options) { return make_post_processor(vit::JsonObject(options, "test"), tokens); };
  const PostProcessor bert_style = made({{"type", "BertProcessing"}, {"cls", {"[CLS]", 1}}, {"sep", {"[SEP]", 2}}});
  EXPECT_THAT(bert_style.before, ElementsAre(1));
  EXPECT_THAT(bert_style.behind, ElementsAre(2));
  EXPECT_THAT(made({{"type", "ByteLevel"}}).before, ElementsAre());
  const json inner = {{"type", "RobertaProcessing"}, {"cls", {"[CLS]", 1}}, {"sep", {"[SEP]", 2}}};
  const PostProcessor two = made({{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, inner, inner}}});
  EXPECT_THAT(two.before, ElementsAre(1, 1));
  EXPECT_THAT(two.behind, ElementsAre(2, 2));
}

TEST(Decoders, EachOfThem) {
  EXPECT_EQ(decoded({{"type", "ByteLevel"}}, {"caf", "\xC3\x83\xC2\xA9",
                                              "\xC4\xA0"
                                              "a"}),
            "caf\xC3\xA9 a");
  EXPECT_EQ(decoded({{"type", "ByteLevel"}}, {"\xC3\x83", "a"}),
            "\xEF\xBF\xBD"
            "a")
      << "half a character";
  EXPECT_EQ(decoded({{"type", "ByteLevel"}}, {"\xE6\x97\xA5 <x>"}), "\xE6\x97\xA5 <x>")
      << "an added token of other letters";
  EXPECT_EQ(
      decoded({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}, {"it", "'", "s", "play", "##ing", "."}),
      "it ' s playing.");
  EXPECT_EQ(decoded({{"type", "WordPiece"}, {"cleanup", false}}, {"##a", "."}), "##a .")
      << "a first piece keeps its prefix";
  EXPECT_EQ(decoded({{"type", "BPEDecoder"}, {"suffix", "</w>"}}, {"a</w>", "b", "c</w>"}), "a bc");
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"a", "<0xC3>", "<0xA9>", "<0xC3>", "z"}),
            "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"<0xC3>", "<0xA9>"}), "\xC3\xA9");
  EXPECT_EQ(decoded({{"type", "Replace"}, {"pattern", {{"String", "_"}}}, {"content", " "}}, {"a_b", "_c"}), "a b c");
  EXPECT_EQ(decoded({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}, {"  a "}), " a ");
  EXPECT_EQ(
      decoded({{"type", "Sequence"},
               {"decoders", {{{"type", "Fuse"}}, {{"type", "Strip"}, {"content", "a"}, {"start", 9}, {"stop", 1}}}}},
              {"a", "ab", "a"}),
      "b");
}

TEST(Decoders, CleanUpIsTransformers) {
  EXPECT_EQ(clean_up("it ' s a dog , is n't it ? they 're 've I 'm x 's . !"),
            "it's a dog, isn't it? they're've I'm x's.!");
}

TEST(Steps, KindsThatAreNotKnownAreNamed) {
  const auto refused = [](auto make, const char* type) {
    const json options = {{"type", type}};
    return usage_error([&] { make(vit::JsonObject(options, "FILE")); });
  };
  const Vocabulary tokens = vocabulary({"a"});
  EXPECT_THAT(refused([](const vit::JsonObject& o) { make_normalizer(o); }, "Precompiled"),
              HasSubstr("FILE: type: expected a normalizer that is known here"));
  EXPECT_THAT(refused([](const vit::JsonObject& o) { make_normalizer(o); }, "Precompiled"),
              HasSubstr("got \"Precompiled\""));
  EXPECT_THAT(refused([](const vit::JsonObject& o) { make_pre_tokenizer(o); }, "Metaspace"),
              HasSubstr("got \"Metaspace\""));
  EXPECT_THAT(refused([](const vit::JsonObject& o) { make_token_decoder(o); }, "CTC"), HasSubstr("got \"CTC\""));
  EXPECT_THAT(refused([&](const vit::JsonObject& o) { make_post_processor(o, tokens); }, "X"), HasSubstr("got \"X\""));
  EXPECT_THAT(refused([&](const vit::JsonObject& o) { make_subword_model(o, tokens, false); }, "Unigram"),
              HasSubstr("expected BPE or WordPiece, got \"Unigram\""));
}

TEST(Steps, OptionsThatMakeNoSenseAreRefused) {
  const auto pre = [](const json& options) {
    return usage_error([&] { make_pre_tokenizer(vit::JsonObject(options, "FILE")); });
  };
  EXPECT_THAT(pre({{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Removed"}}),
              HasSubstr("FILE: pattern.Regex: '('"));
  EXPECT_THAT(pre({{"type", "Split"}, {"pattern", "x"}, {"behavior", "Removed"}}), HasSubstr("pattern"));
  EXPECT_THAT(pre({{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Dropped"}}), HasSubstr("behavior"));
  EXPECT_THAT(pre({{"type", "Sequence"}, {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}}),
              HasSubstr("nothing behind a ByteLevel"));
  const json dropout = {{"type", "BPE"}, {"dropout", 0.1}, {"merges", json::array()}};
  const Vocabulary tokens = vocabulary({"a"});
  EXPECT_THAT(usage_error([&] { make_subword_model(vit::JsonObject(dropout, "FILE"), tokens, false); }),
              HasSubstr("dropout"));
}

}  // namespace
}  // namespace captioning
