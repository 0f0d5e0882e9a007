#include "captioning/caption_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "captioning/caption_words.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"

namespace captioning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using vit::test::usage_error;

constexpr double kRounding = 1e-12;

TEST(CaptionWords, PunctuationIsLeftOutAndLettersAreSmall) {
  EXPECT_THAT(caption_words("A man, a plan: \"canal\" (Panama)!"),
              ElementsAre("a", "man", "a", "plan", "canal", "panama"));
  EXPECT_THAT(caption_words("  two\tdogs ...\n"), ElementsAre("two", "dogs"));
  EXPECT_THAT(caption_words(""), IsEmpty());
  EXPECT_THAT(caption_words("?!"), IsEmpty());
}

TEST(CaptionWords, EndingsAreWords) {
  EXPECT_THAT(caption_words("A man's dog isn't here, they're gone"),
              ElementsAre("a", "man", "'s", "dog", "is", "n't", "here", "they", "'re", "gone"));
  EXPECT_THAT(caption_words("it 's the dogs' cannot o'clock"),
              ElementsAre("it", "'s", "the", "dogs", "can", "not", "o'clock"));
  EXPECT_THAT(caption_words("shouldn't've"), ElementsAre("should", "n't", "'ve"));
  EXPECT_THAT(caption_words("gonna've"), ElementsAre("gon", "na", "'ve"));
  std::string endless = "a";
  for (int i = 0; i < 100'000; ++i) endless += "'s";
  EXPECT_EQ(caption_words(endless).size(), 100'001u);
  EXPECT_THAT(caption_words("it\xE2\x80\x99s"), ElementsAre("it", "'s")) << "a typographer's apostrophe";
}

TEST(CaptionWords, NumbersHyphensAndOtherSigns) {
  EXPECT_THAT(caption_words("a t-shirt at 10:30, 1,000 or 3.5 of 1/2"),
              ElementsAre("a", "t-shirt", "at", "10:30", "1,000", "or", "3.5", "of", "1/2"));
  EXPECT_THAT(caption_words("black/white & 50% - #1"), ElementsAre("black", "/", "white", "&", "50", "%", "#", "1"));
  EXPECT_THAT(caption_words("Mr. Smith of the U.S. army."), ElementsAre("mr.", "smith", "of", "the", "u.s.", "army"));
  EXPECT_THAT(caption_words("\xC3\x89t\xC3\xA9 \xE6\x97\xA5\xE6\x9C\xAC"),
              ElementsAre("\xC3\xA9t\xC3\xA9", "\xE6\x97\xA5\xE6\x9C\xAC"));
  EXPECT_THAT(caption_words("a\xFF b"), ElementsAre("a", "\xEF\xBF\xBD", "b")) << "no UTF-8";
}

TEST(CaptionMetrics, APerfectCaption) {
  const CaptionMetrics metrics = caption_metrics({"A dog runs on the beach.", "two cats sit on a mat"},
                                                 {{"a dog runs on the beach"}, {"two cats sit on a mat", "cats"}});
  EXPECT_NEAR(metrics.corpus.bleu1, 1.0, 1e-8);
  EXPECT_NEAR(metrics.corpus.bleu4, 1.0, 1e-8);
  EXPECT_NEAR(metrics.images[0].rouge_l, 1.0, kRounding);
  EXPECT_NEAR(metrics.images[0].cider, 10.0, kRounding);
  EXPECT_NEAR(metrics.images[0].cider_d, 10.0, kRounding);
  EXPECT_NEAR(metrics.images[0].cider_plain, 10.0, kRounding);
}

TEST(CaptionMetrics, BleuByHand) {
  // 2 of 4 words, 1 of 3 pairs; the closest reference has 5 words.
  const CaptionMetrics metrics = caption_metrics({"a dog a cat"}, {{"the dog a bird sings", "a b c d e f g h"}});
  const double brevity = std::exp(1.0 - 5.0 / 4.0);
  EXPECT_NEAR(metrics.corpus.bleu1, 2.0 / 4.0 * brevity, 1e-8) << "\"a\" counts once: no reference has it twice";
  EXPECT_NEAR(metrics.corpus.bleu2, std::sqrt(2.0 / 4.0 * 1.0 / 3.0) * brevity, 1e-8);
  EXPECT_LT(metrics.corpus.bleu3, 1e-4);
}

TEST(CaptionMetrics, OfTwoClosestLengthsTheShorterCounts) {
  const CaptionMetrics metrics = caption_metrics({"a b c d"}, {{"a b c d e", "a b c"}});
  EXPECT_NEAR(metrics.corpus.bleu1, 1.0, 1e-8) << "no penalty against a reference of 3 words";
}

TEST(CaptionMetrics, CorpusBleuIsNoMean) {
  const CaptionMetrics metrics = caption_metrics({"a", "b c d e f"}, {{"z"}, {"b c d e f"}});
  EXPECT_NEAR(metrics.corpus.bleu1, 5.0 / 6.0, 1e-8);
  EXPECT_NEAR(metrics.images[0].bleu1, 0.0, 1e-8);
  EXPECT_NEAR(metrics.images[1].bleu1, 1.0, 1e-8);
}

TEST(CaptionMetrics, RougeTakesTheBestPrecisionAndTheBestRecall) {
  // Common subsequences: "a c" of 3 words, and "b" of 1 word.
  const CaptionMetrics metrics = caption_metrics({"a b c d"}, {{"a x c", "b"}});
  const double precision = 2.0 / 4.0, recall = 1.0, beta2 = 1.44;
  EXPECT_NEAR(metrics.corpus.rouge_l, (1.0 + beta2) * precision * recall / (recall + beta2 * precision), kRounding);
}

TEST(CaptionMetrics, CiderPunishesRepetitionsThatPlainCiderRewards) {
  const std::vector<std::vector<std::string>> references = {{"a zebra"}, {"a dog runs"}, {"a cat sits"}};
  const CaptionMetrics once = caption_metrics({"a zebra", "x", "x"}, references),
                       often =
                           caption_metrics({"zebra zebra zebra zebra zebra zebra zebra zebra", "x", "x"}, references);
  EXPECT_GT(often.images[0].cider_plain, 4.0 * often.images[0].cider);
  EXPECT_GT(once.images[0].cider, 2.0 * often.images[0].cider);
  EXPECT_GT(often.images[0].cider_d, 0.0);
}

TEST(CaptionMetrics, CiderDPunishesAnotherLength) {
  const std::vector<std::vector<std::string>> references = {{"zebra lion tiger"}, {"a dog runs"}};
  const CaptionMetrics same = caption_metrics({"zebra lion tiger", "x"}, references),
                       longer = caption_metrics({"zebra lion tiger zebra lion tiger", "x"}, references);
  EXPECT_EQ(same.images[0].cider, same.images[0].cider_d) << "one figure, two names";
  // Three words more: exp(-9 / 72) of the clipped cosine, which repetition lowers too.
  EXPECT_LT(longer.images[0].cider_d, std::exp(-9.0 / 72.0) * longer.images[0].cider_plain);
  EXPECT_GT(longer.images[0].cider_d, 0.0);
}

TEST(CaptionMetrics, EmptyCaptionsHaveNothing) {
  const CaptionMetrics metrics = caption_metrics({"", "a dog", "!"}, {{"a cat"}, {"a dog"}, {"", "a b"}});
  for (size_t i : {size_t{0}, size_t{2}})
    for (const auto& [name, value] : metrics.images[i].figures()) {
      EXPECT_TRUE(std::isfinite(value)) << name;
      EXPECT_NEAR(value, 0.0, 1e-6) << name;
    }
  EXPECT_GT(metrics.corpus.bleu1, 0.0);
}

TEST(CaptionMetrics, WordsMayComeSplit) {
  const auto whole = [](std::string_view caption) { return std::vector<std::string>{std::string(caption)}; };
  EXPECT_NEAR(caption_metrics({"a dog"}, {{"a dog runs"}}).corpus.bleu1, std::exp(-0.5), 1e-8);
  EXPECT_NEAR(caption_metrics({"a dog"}, {{"a dog runs"}}, whole).corpus.bleu1, 0.0, 1e-8);
}

TEST(CaptionMetrics, OnePictureHasNoRareWords) {
  const CaptionMetrics metrics = caption_metrics({"a dog"}, {{"a dog"}});
  EXPECT_EQ(metrics.corpus.cider, 0.0) << "the logarithm of one picture";
  EXPECT_NEAR(metrics.corpus.bleu2, 1.0, 1e-8);
}

TEST(CaptionMetrics, TheNumberOfThreadsDoesNotCount) {
  std::vector<std::string> candidates;
  std::vector<std::vector<std::string>> references;
  for (int i = 0; i < 50; ++i) {
    candidates.push_back("a dog number " + std::to_string(i % 7) + " runs");
    references.push_back({"the dog " + std::to_string(i % 5) + " runs fast", "a dog runs " + std::to_string(i)});
  }
  vit::set_num_threads(1);
  const auto one = caption_metrics(candidates, references).corpus.figures();
  vit::set_num_threads(2);
  const auto two = caption_metrics(candidates, references).corpus.figures();
  vit::set_num_threads(0);
  EXPECT_EQ(one, two);
}

TEST(CaptionMetrics, ErrorsSayWhatIsMissing) {
  EXPECT_THAT(usage_error([] { caption_metrics({}, {}); }), HasSubstr("no captions"));
  EXPECT_THAT(usage_error([] { caption_metrics({"a"}, {}); }), HasSubstr("1 captions, but references of 0"));
  EXPECT_THAT(usage_error([] { caption_metrics({"a", "b"}, {{"a"}, {}}); }), HasSubstr("picture 1 has no reference"));
}

}  // namespace
}  // namespace captioning
