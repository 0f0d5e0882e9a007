// Tokenizer files that lie or are broken: every one is refused with the file and the entry, in bounded memory and time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "captioning/tokenizer.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace captioning {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

json good() {
  return json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<s>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                       "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": ["a b"]}})");
}

/// What is said of good() with the value at `pointer` replaced.
std::string refusal(const char* pointer, const json& value) {
  json document = good();
  document[json::json_pointer(pointer)] = value;
  return usage_error([&] { Tokenizer::from_json(document.dump(), "FILE"); });
}

TEST(BadTokenizer, TheGoodOneIsTaken) {
  EXPECT_EQ(Tokenizer::from_json(good().dump(), "FILE").encode("abc"), (std::vector<int64_t>{4, 2, 3}));
}

TEST(BadTokenizer, IdsOutOfRange) {
  EXPECT_THAT(refusal("/model/vocab/c", -1),
              AllOf(HasSubstr("FILE: model.vocab"), HasSubstr("id -1 of 'c' is out of range")));
  EXPECT_THAT(refusal("/model/vocab/c", 1'000'000'000'000), HasSubstr("is out of range"));
  EXPECT_THAT(refusal("/model/vocab/c", 18446744073709551615u), HasSubstr("is out of range"));
  EXPECT_THAT(refusal("/model/vocab/c", 77),
              AllOf(HasSubstr("id 77 of 'c' is out of range"), HasSubstr("no token has the id 3")));
  EXPECT_THAT(refusal("/model/vocab/c", "3"), HasSubstr("FILE: model.vocab.c: expected an integer, got \"3\""));
  EXPECT_THAT(refusal("/model/vocab/c", 3.5), HasSubstr("expected an integer"));
  EXPECT_THAT(refusal("/added_tokens/0/id", 99'999), HasSubstr("id 99999 of '<s>' is out of range"));
  EXPECT_THAT(refusal("/added_tokens/0/id", -4), HasSubstr("is out of range"));
}

TEST(BadTokenizer, DuplicateIds) {
  EXPECT_THAT(refusal("/model/vocab/c", 1), HasSubstr("id 1 stands for 'b' and for 'c'"));
  EXPECT_THAT(refusal("/added_tokens/0/id", 2), HasSubstr("id 2 stands for 'ab' and for '<s>'"));
  EXPECT_THAT(refusal("/added_tokens/0", {{"id", 4}, {"content", "a"}}), HasSubstr("'a' has two ids, 0 and 4"));
}

TEST(BadTokenizer, MergesOfUnknownTokens) {
  EXPECT_THAT(refusal("/model/merges/0", "a z"), HasSubstr("FILE: model.merges[0]: 'z' is not in the vocabulary"));
  EXPECT_THAT(refusal("/model/merges/0", "z a"), HasSubstr("'z' is not in the vocabulary"));
  EXPECT_THAT(refusal("/model/merges/0", "b a"), HasSubstr("'ba' is not in the vocabulary"));
  EXPECT_THAT(refusal("/model/merges/0", json::array({"a", "z"})), HasSubstr("'z' is not in the vocabulary"));
  for (const json& merge :
       {json("ab"), json("a b c"), json(" a"), json("a "), json(7), json::array({"a"}), json::array({"a", 1})})
    EXPECT_THAT(refusal("/model/merges/0", merge), HasSubstr("model.merges[0]: expected two tokens")) << merge;
  EXPECT_THAT(refusal("/model/merges", "a b"), HasSubstr("model.merges: expected a list"));
}

TEST(BadTokenizer, MissingSpecialTokens) {
  EXPECT_THAT(refusal("/added_tokens", json::array()), HasSubstr("'<s>' is not in the vocabulary"));
  EXPECT_THAT(refusal("/post_processor/special_tokens", json::object()), HasSubstr("special_tokens.<s>"));
  EXPECT_THAT(refusal("/post_processor/special_tokens/<s>/ids/0", 3),
              HasSubstr("has the id 4 in the vocabulary, here 3"));
  EXPECT_THAT(refusal("/post_processor/single", json::array()), HasSubstr("the text"));
  EXPECT_THAT(refusal("/model/unk_token", "[UNK]"),
              HasSubstr("FILE: model.unk_token: '[UNK]' is not in the vocabulary"));
  EXPECT_THAT(
      refusal("/post_processor",
              {{"type", "RobertaProcessing"}, {"cls", json::array({"<cls>", 1})}, {"sep", json::array({"<s>", 4})}}),
      HasSubstr("post_processor.cls: '<cls>' is not in the vocabulary"));
  EXPECT_THAT(refusal("/model", {{"type", "WordPiece"}, {"vocab", {{"a", 0}}}}),
              HasSubstr("'[UNK]' is not in the vocabulary"));
}

TEST(BadTokenizer, NotWhatAFileIs) {
  EXPECT_THAT(refusal("/model", nullptr), HasSubstr("FILE: model: expected"));
  EXPECT_THAT(refusal("/model/vocab", json::object()), HasSubstr("no tokens"));
  EXPECT_THAT(refusal("/model/vocab", json::array({"a"})), HasSubstr("expected an object"));
  EXPECT_THAT(refusal("/added_tokens/0/content", ""), HasSubstr("has no content"));
  EXPECT_THAT(refusal("/added_tokens/0", "<s>"), HasSubstr("added_tokens"));
  EXPECT_THAT(refusal("/pre_tokenizer/type", 3), HasSubstr("pre_tokenizer.type: expected a string, got 3"));
  EXPECT_THAT(usage_error([] { Tokenizer::from_json("", "FILE"); }), HasSubstr("FILE: not JSON"));
  EXPECT_THAT(usage_error([] { Tokenizer::from_json("[]", "FILE"); }), HasSubstr("expected an object"));
  EXPECT_THAT(usage_error([] { Tokenizer::from_json("{\"model\": \"\xFF\"}", "FILE"); }), HasSubstr("FILE: not JSON"));
}

TEST(BadTokenizer, DeepNestingAndLength) {
  const std::string deep = "{\"model\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_THAT(usage_error([&] { Tokenizer::from_json(deep, "FILE"); }), HasSubstr("nested deeper than 32 levels"));
  const std::string nested = [] {
    std::string text = "null";
    for (int i = 0; i < 100; ++i) text = R"({"type": "Sequence", "normalizers": [)" + text + "]}";
    return R"({"normalizer": )" + text + "}";
  }();
  EXPECT_THAT(usage_error([&] { Tokenizer::from_json(nested, "FILE"); }), HasSubstr("nested deeper"));
  EXPECT_THAT(usage_error([] { Tokenizer::from_json(std::string(33 << 20, ' '), "FILE"); }),
              HasSubstr("longer than the limit"));
}

TEST(BadTokenizer, AHundredMegabytesAreNotRead) {
  const TempDir folder;
  for (const char* name : {"tokenizer.json", "vocab.json", "vocab.txt"}) {
    folder.write("merges.txt", "#version: 0.2\n");
    std::filesystem::resize_file(folder.write(name, ""), 100 << 20);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(usage_error([&] { Tokenizer::load(folder.path()); }), AllOf(HasSubstr(name), HasSubstr("limit")))
        << name;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5)) << name;
    std::filesystem::remove(folder / name);
  }
}

TEST(BadTokenizer, ReplacementsThatDoubleAreStopped) {
  json steps = json::array();
  for (int i = 0; i < 60; ++i)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}});
  json document = good();
  document["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const Tokenizer encodes = Tokenizer::from_json(document.dump(), "FILE");
  EXPECT_THAT(usage_error([&] { (void)encodes.encode("a"); }), HasSubstr("replacements"));
  document = good();
  document["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
  const Tokenizer decodes = Tokenizer::from_json(document.dump(), "FILE");
  EXPECT_THAT(usage_error([&] { (void)decodes.decode({0}); }), HasSubstr("replacements"));
}

/// What is said of a folder with these files.
std::string folder_refusal(const std::map<std::string, std::string>& files) {
  const TempDir folder;
  for (const auto& [name, content] : files) folder.write(name, content);
  return usage_error([&] { Tokenizer::load(folder.path()); });
}

TEST(BadTokenizerFolder, NothingThere) {
  EXPECT_THAT(folder_refusal({}), AllOf(HasSubstr("no tokenizer"), HasSubstr("merges.txt")));
  EXPECT_THAT(folder_refusal({{"vocab.json", "{}"}}), HasSubstr("no tokenizer")) << "merges.txt is missing";
  EXPECT_THAT(usage_error([] { Tokenizer::load("/nonexistent"); }), HasSubstr("/nonexistent"));
}

TEST(BadTokenizerFolder, EmptyFiles) {
  EXPECT_THAT(folder_refusal({{"tokenizer.json", ""}}), HasSubstr("tokenizer.json: not JSON"));
  EXPECT_THAT(folder_refusal({{"vocab.json", ""}, {"merges.txt", "a b\n"}}), HasSubstr("vocab.json: not JSON"));
  EXPECT_THAT(folder_refusal({{"vocab.json", "{}"}, {"merges.txt", "#version: 0.2\n"}}), HasSubstr("no tokens"));
  EXPECT_THAT(folder_refusal({{"vocab.json", "{\"a\": 0}"}, {"merges.txt", ""}}),
              HasSubstr("merges.txt: the file is empty"));
  EXPECT_THAT(folder_refusal({{"vocab.txt", ""}}), HasSubstr("vocab.txt: the file is empty"));
}

TEST(BadTokenizerFolder, LinesOfMerges) {
  const std::string vocab = R"({"a": 0, "b": 1, "ab": 2})";
  const auto merges = [&](const std::string& text) {
    return folder_refusal({{"vocab.json", vocab}, {"merges.txt", text}});
  };
  EXPECT_THAT(merges("#version: 0.2\na b\na z\n"), HasSubstr("merges.txt: line 3: 'z' is not in vocab.json"));
  EXPECT_THAT(merges("b a\n"), HasSubstr("line 1: 'ba' is not in vocab.json"));
  EXPECT_THAT(merges("a b c\n"), HasSubstr("line 1: expected two tokens, got 'a b c'"));
  EXPECT_THAT(merges("a b\n\na b\n"), HasSubstr("line 2: expected two tokens"));
  EXPECT_THAT(merges("a \xFF\n"), HasSubstr("line 1 is no UTF-8"));
}

TEST(BadTokenizerFolder, LinesOfAVocabulary) {
  EXPECT_THAT(folder_refusal({{"vocab.txt", "[UNK]\na\nb\na\n"}}),
              HasSubstr("vocab.txt: line 4: 'a' stands in line 2, too"));
  EXPECT_THAT(folder_refusal({{"vocab.txt", "[UNK]\n\xC3\n"}}), HasSubstr("line 2 is no UTF-8"));
  EXPECT_THAT(folder_refusal({{"vocab.txt", "a\nb\n"}}), HasSubstr("'[UNK]' is not in the vocabulary"));
  EXPECT_THAT(folder_refusal({{"vocab.txt", "[UNK]\n[SEP]\n"}}), HasSubstr("'[CLS]' is not in the vocabulary"));
}

TEST(BadTokenizerFolder, FilesBesideIt) {
  const std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n";
  const auto with = [&](const char* name, const char* text) {
    return folder_refusal({{"vocab.txt", vocab}, {name, text}});
  };
  EXPECT_THAT(with("special_tokens_map.json", R"({"pad_token": "<pad>"})"),
              AllOf(HasSubstr("special_tokens_map.json: pad_token: '<pad>'"), HasSubstr("added_tokens.json")));
  EXPECT_THAT(with("tokenizer_config.json", R"({"bos_token": "[DEC]"})"),
              HasSubstr("tokenizer_config.json: bos_token: '[DEC]'"));
  EXPECT_THAT(with("tokenizer_config.json", R"({"bos_token": 3})"), HasSubstr("bos_token"));
  EXPECT_THAT(with("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"),
              AllOf(HasSubstr("tokenizer_class"), HasSubstr("got \"T5Tokenizer\"")));
  EXPECT_THAT(with("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})"),
              HasSubstr("an id as key"));
  EXPECT_THAT(with("tokenizer_config.json", "[]"), HasSubstr("tokenizer_config.json: expected an object"));
  EXPECT_THAT(with("tokenizer_config.json", R"({"do_lower_case": "yes"})"),
              HasSubstr("do_lower_case: expected true or false"));
  EXPECT_THAT(with("added_tokens.json", R"({"<x>": "5"})"), HasSubstr("added_tokens.json: <x>: expected an integer"));
  EXPECT_THAT(with("added_tokens.json", R"({"<x>": 4})"), HasSubstr("id 4 stands for 'a' and for '<x>'"));
  EXPECT_THAT(with("added_tokens.json", R"({"<x>": 70000})"), HasSubstr("out of range"));
  EXPECT_THAT(folder_refusal({{"vocab.json", "{\"a\": 0}"},
                              {"merges.txt", "#version: 0.2\n"},
                              {"tokenizer_config.json", R"({"tokenizer_class": "BartTokenizer"})"}}),
              HasSubstr("got \"BartTokenizer\""));
}

}  // namespace
}  // namespace captioning
