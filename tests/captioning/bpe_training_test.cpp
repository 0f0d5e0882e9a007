#include "captioning/bpe_training.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"

namespace captioning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using vit::test::usage_error;

const std::vector<std::string>& captions() {
  static const std::vector<std::string> texts = {"A dog runs.", "a  dog runs on the beach.", "Two dogs run on a beach",
                                                 "a cat sits on the mat"};
  return texts;
}

TEST(BpeTraining, SpecialTokensComeFirstAndStandAroundTheText) {
  const Tokenizer tokenizer = train_bpe(captions(), {.vocab_size = 300});
  EXPECT_LE(tokenizer.size(), 300);
  EXPECT_GT(tokenizer.size(), 260);
  EXPECT_EQ(tokenizer.token(0), "<pad>");
  EXPECT_EQ(tokenizer.token(3), "<unk>");
  EXPECT_EQ(tokenizer.special().pad, 0);
  EXPECT_EQ(tokenizer.special().bos, 1);
  EXPECT_EQ(tokenizer.special().eos, 2);
  EXPECT_EQ(tokenizer.special().unk, 3);
  EXPECT_EQ(tokenizer.encode("").front(), 1);
  EXPECT_THAT(tokenizer.encode(""), ElementsAre(1, 2));
  EXPECT_THAT(tokenizer.encode("", false), ElementsAre());
}

TEST(BpeTraining, MergesTheMostFrequentPairFirst) {
  // Three pairs stand three times; each word begins with a space, whose token is older than those of letters.
  const Tokenizer tokenizer = train_bpe({"xab xab xab", "ycd ycd", "ac"}, {.vocab_size = 4 + 256 + 2});
  EXPECT_EQ(tokenizer.token(260), "\xC4\xA0x");
  EXPECT_EQ(tokenizer.token(261), "ab");
}

TEST(BpeTraining, RoundTripOfSentences) {
  const Tokenizer tokenizer = train_bpe(captions(), {.vocab_size = 400});
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("A Dog  runs on\tthe beach.\n")), "a dog runs on the beach.");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80!")),
            "caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80!")
      << "bytes that no caption had";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a dog"), false), "<bos> a dog<eos>");
  const Tokenizer cased = train_bpe(captions(), {.vocab_size = 400, .lower_case = false});
  EXPECT_EQ(cased.decode(cased.encode("A Dog")), "A Dog");
}

TEST(BpeTraining, BytesThatDoNotOccurAreUnknown) {
  const Tokenizer tokenizer = train_bpe(captions(), {.vocab_size = 100, .all_bytes = false});
  EXPECT_LE(tokenizer.size(), 100);
  const auto ids = tokenizer.encode("dog #", false);
  EXPECT_EQ(ids.back(), 3);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 3), 1);
}

TEST(BpeTraining, TheOrderOfTextsDoesNotCount) {
  std::vector<std::string> turned(captions().rbegin(), captions().rend());
  EXPECT_EQ(train_bpe(captions(), {.vocab_size = 320}).files(), train_bpe(turned, {.vocab_size = 320}).files());
}

TEST(BpeTraining, MinFrequencyEndsTheMerges) {
  const Tokenizer all = train_bpe(captions(), {.vocab_size = 2000, .min_frequency = 1}),
                  twice = train_bpe(captions(), {.vocab_size = 2000}),
                  none = train_bpe(captions(), {.vocab_size = 2000, .min_frequency = 100});
  EXPECT_GT(all.size(), twice.size());
  EXPECT_EQ(none.size(), 260);
  EXPECT_TRUE(all.id("\xC4\xA0"
                     "beach")
                  .has_value());
  EXPECT_FALSE(twice
                   .id("\xC4\xA0"
                       "cat")
                   .has_value())
      << "stands once";
}

TEST(BpeTraining, FilesMakeTheSameTokenizer) {
  const Tokenizer tokenizer = train_bpe(captions(), {.vocab_size = 333});
  vit::test::TempDir folder;
  for (const auto& [name, content] : tokenizer.files()) folder.write(name, content);
  const Tokenizer again = Tokenizer::load(folder.path());
  EXPECT_EQ(again.size(), tokenizer.size());
  EXPECT_EQ(again.special().pad, tokenizer.special().pad);
  EXPECT_EQ(again.special().eos, tokenizer.special().eos);
  for (const std::string& text : captions()) EXPECT_EQ(again.encode(text), tokenizer.encode(text)) << text;
  EXPECT_EQ(again.files(), tokenizer.files());
}

TEST(BpeTraining, ErrorsSayWhatIsMissing) {
  EXPECT_THAT(usage_error([] { train_bpe({}, {}); }), HasSubstr("needs texts"));
  EXPECT_THAT(usage_error([] { train_bpe({"", "  \n"}, {}); }), HasSubstr("all 2 are empty"));
  EXPECT_THAT(usage_error([] { train_bpe({"a"}, {.vocab_size = 100}); }), HasSubstr("no room"));
}

TEST(BpeTraining, SpecialTokensInATextAreFoundAsTokens) {
  const Tokenizer tokenizer = train_bpe(captions(), {.vocab_size = 300});
  const auto ids = tokenizer.encode("a <unk> dog", false);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 3), 1);
}

}  // namespace
}  // namespace captioning
