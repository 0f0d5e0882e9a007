#include "captioning/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "captioning/beams.h"
#include "captioning/token_scores.h"
#include "tests/captioning/markov_captioner.h"

namespace captioning {
namespace {

using test::MarkovCaptioner;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using vit::Context;
using vit::Tensor;
using Ids = std::vector<int64_t>;

Tensor pictures(const std::vector<float>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size()), 1, 1});
}

std::vector<Sequence> captions(const CaptionModel& model, const GenerationConfig& config, const Ids& prompt = {},
                               float picture = 0.0f) {
  Context ctx;
  return generate(ctx, model, pictures({picture}), prompt, config).front();
}

std::vector<double> log_probabilities(const CaptionModel& model, int64_t token) {
  Context ctx;
  const Tensor ids = Tensor::from<int64_t>({token}, {1, 1});
  std::vector<float> row(static_cast<size_t>(model.vocab_size()));
  const vit::Var logits = model.logits(ctx, pictures({0.0f}), ids, {});
  std::copy_n(logits.value().f32(), row.size(), row.begin());
  log_softmax(row);
  return {row.begin(), row.end()};
}

/// Every caption up to a length, with its score: what beam search with enough beams must find the best of.
std::vector<Sequence> all_captions(const CaptionModel& model, int64_t length, double penalty) {
  std::vector<Sequence> found;
  const std::function<void(const Ids&, double)> grow = [&](const Ids& ids, double sum) {
    const std::vector<double> next = log_probabilities(model, ids.back());
    for (int64_t token = 0; token < model.vocab_size(); ++token) {
      Ids longer = ids;
      longer.push_back(token);
      const double total = sum + next[static_cast<size_t>(token)];
      if (token == 1 || static_cast<int64_t>(longer.size()) == length)
        found.push_back({longer, total / std::pow(static_cast<double>(longer.size() - 1), penalty)});
      else
        grow(longer, total);
    }
  };
  grow({0}, 0.0);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  return found;
}

TEST(Generate, GreedyTakesTheLikeliestWordUntilTheEnd) {
  // 0 -> 2 -> 3 -> end
  Tensor table = Tensor::zeros({4, 4});
  table.f32()[0 * 4 + 2] = table.f32()[2 * 4 + 3] = table.f32()[3 * 4 + 1] = 5.0f;
  const MarkovCaptioner model(table);
  const std::vector<Sequence> found = captions(model, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 2, 3, 1));
  EXPECT_NEAR(found[0].score, 5.0 - std::log(std::exp(5.0) + 3.0), 1e-6);
  EXPECT_THAT(captions(model, {.max_length = 3})[0].ids, ElementsAre(0, 2, 3));
  EXPECT_THAT(captions(model, {.max_new_tokens = 1})[0].ids, ElementsAre(0, 2));
  EXPECT_THAT(captions(model, {}, {0, 3})[0].ids, ElementsAre(0, 3, 1));
}

TEST(Generate, EqualScoresGoToTheLowerId) {
  const MarkovCaptioner model(Tensor::zeros({6, 6}), {0, {5}, 0}, 8);
  EXPECT_THAT(captions(model, {.max_length = 4})[0].ids, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(captions(model, {.num_beams = 2, .max_length = 3, .num_return_sequences = 2})[1].ids,
              ElementsAre(0, 0, 0));
}

TEST(Generate, EnoughBeamsFindTheBestCaption) {
  for (const uint64_t seed : {1, 2, 3, 4, 5})
    for (const double penalty : {0.0, 1.0, 2.0, -1.0}) {
      const MarkovCaptioner model(MarkovCaptioner::random_table(4, seed));
      const std::vector<Sequence> expected = all_captions(model, 5, penalty);
      const std::vector<Sequence> found = captions(model, {.num_beams = 128,
                                                           .length_penalty = penalty,
                                                           .early_stopping = EarlyStopping::never,
                                                           .max_length = 5,
                                                           .num_return_sequences = 3});
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(found[i].score, expected[i].score, 1e-5) << "seed " << seed << " penalty " << penalty;
        // Captions of the same pairs of words in another order have the same score.
        const auto same = std::find_if(expected.begin(), expected.end(),
                                       [&](const Sequence& one) { return one.ids == found[i].ids; });
        ASSERT_NE(same, expected.end());
        EXPECT_NEAR(same->score, expected[i].score, 1e-5) << "seed " << seed << " penalty " << penalty;
      }
    }
}

TEST(Generate, ABatchGivesWhatEachPictureGivesAlone) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(12, 7));
  const std::vector<float> values = {-2.0f, 0.0f, 1.0f, 3.0f};
  for (GenerationConfig config : {GenerationConfig{}, GenerationConfig{.num_beams = 3, .num_return_sequences = 2},
                                  GenerationConfig{.num_beams = 3, .early_stopping = EarlyStopping::on_count}}) {
    Context ctx;
    const auto together = generate(ctx, model, pictures(values), {}, config);
    ASSERT_EQ(together.size(), values.size());
    for (size_t p = 0; p < values.size(); ++p) {
      const std::vector<Sequence> alone = captions(model, config, {}, values[p]);
      ASSERT_EQ(together[p].size(), alone.size());
      for (size_t i = 0; i < alone.size(); ++i) {
        EXPECT_EQ(together[p][i].ids, alone[i].ids);
        EXPECT_EQ(together[p][i].score, alone[i].score);
      }
    }
  }
}

TEST(Generate, NgramsAreNotRepeatedAndLengthsAreKept) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(6, 11));
  for (const int64_t beams : {1, 4}) {
    const Ids ids =
        captions(model, {.num_beams = beams, .no_repeat_ngram_size = 2, .min_length = 9, .max_length = 12})[0].ids;
    EXPECT_GE(ids.size(), 9U);
    std::set<std::pair<int64_t, int64_t>> pairs;
    for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_TRUE(pairs.emplace(ids[i], ids[i + 1]).second);
    EXPECT_GE(captions(model, {.num_beams = beams, .min_new_tokens = 7}, {0, 2, 3})[0].ids.size(), 10U);
  }
}

TEST(Generate, SamplingIsAFunctionOfTheSeed) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(12, 3));
  GenerationConfig config{.num_return_sequences = 8, .do_sample = true, .seed = 5};
  const auto ids_of = [&](const std::vector<Sequence>& sequences) {
    std::vector<Ids> all;
    for (const Sequence& sequence : sequences) all.push_back(sequence.ids);
    return all;
  };
  const std::vector<Ids> first = ids_of(captions(model, config));
  EXPECT_EQ(first, ids_of(captions(model, config)));
  EXPECT_GT(std::set<Ids>(first.begin(), first.end()).size(), 4U);
  config.seed = 6;
  EXPECT_NE(first, ids_of(captions(model, config)));
  const Ids greedy = captions(model, {})[0].ids;
  EXPECT_EQ(captions(model, {.do_sample = true, .top_k = 1})[0].ids, greedy);
  EXPECT_EQ(captions(model, {.do_sample = true, .top_p = 1e-6})[0].ids, greedy);
  EXPECT_EQ(captions(model, {.do_sample = true, .temperature = 1e-3})[0].ids, greedy);
  config = {.num_beams = 4, .num_return_sequences = 4, .do_sample = true, .seed = 1};
  EXPECT_EQ(ids_of(captions(model, config)), ids_of(captions(model, config)));
}

TEST(Generate, SampledCaptionsDoNotDependOnTheirBatch) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(12, 3));
  for (const int64_t beams : {1, 3}) {
    const GenerationConfig config{.num_beams = beams, .num_return_sequences = 2, .do_sample = true, .seed = 5};
    Context ctx;
    const auto together = generate(ctx, model, pictures({0.5f, 0.0f}), {}, config);
    const auto alone = captions(model, config);
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(together[1][i].ids, alone[i].ids) << beams << " beams";
  }
}

TEST(Generate, SampledWordsHaveTheModelsProbabilities) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(5, 9, 1.0f));
  constexpr int64_t kDraws = 20000;
  std::vector<double> counts(5, 0.0);
  for (const Sequence& drawn :
       captions(model, {.max_length = 2, .num_return_sequences = kDraws, .do_sample = true, .top_k = 0}))
    counts[static_cast<size_t>(drawn.ids.at(1))] += 1.0;
  const std::vector<double> expected = log_probabilities(model, 0);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double p = std::exp(expected[i]);
    EXPECT_NEAR(counts[i] / kDraws, p, 5.0 * std::sqrt(p * (1.0 - p) / kDraws)) << i;
  }
}

TEST(Generate, StopsWhenAllPicturesAreDone) {
  Tensor table = Tensor::zeros({4, 4});
  for (int64_t row = 0; row < 4; ++row) table.f32()[row * 4 + 1] = 9.0f;
  const MarkovCaptioner model(table);
  EXPECT_THAT(captions(model, {})[0].ids, ElementsAre(0, 1));
  EXPECT_EQ(model.steps, 1);
}

TEST(Generate, OptionsThatMakeNoSenseAreNamed) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(6, 1), {0, {1}, 2}, 10);
  const auto message = [&](const GenerationConfig& config, const Ids& prompt = {}) -> std::string {
    try {
      const auto unwanted = captions(model, config, prompt);
      ADD_FAILURE() << "gave " << unwanted.size();
    } catch (const vit::Error& error) {
      EXPECT_EQ(error.kind(), vit::ErrorKind::kUsage);
      return error.what();
    }
    return {};
  };
  EXPECT_THAT(message({.num_beams = 0}), HasSubstr("num_beams must be at least 1, got 0"));
  EXPECT_THAT(message({.num_beams = 2, .num_return_sequences = 3}), HasSubstr("num_return_sequences 3"));
  EXPECT_THAT(message({.num_return_sequences = 2}), HasSubstr("do_sample"));
  EXPECT_THAT(message({.num_return_sequences = 0}), HasSubstr("num_return_sequences"));
  EXPECT_THAT(message({.max_length = 0}), HasSubstr("max_length"));
  EXPECT_THAT(message({.max_new_tokens = 0}), HasSubstr("max_new_tokens"));
  EXPECT_THAT(message({.repetition_penalty = 0.0}), HasSubstr("repetition_penalty"));
  EXPECT_THAT(message({.do_sample = true, .temperature = 0.0}), HasSubstr("temperature"));
  EXPECT_THAT(message({.do_sample = true, .top_p = 1.5}), HasSubstr("top_p"));
  EXPECT_THAT(message({.length_penalty = std::nan("")}), HasSubstr("length_penalty"));
  EXPECT_THAT(message({.min_length = 9, .max_length = 5}), HasSubstr("min_length 9"));
  EXPECT_THAT(message({}, Ids(10, 2)), HasSubstr("leaves no position of the model's 10"));
  EXPECT_THAT(message({.max_length = 4}, Ids(4, 2)), HasSubstr("max_new_tokens"));
  EXPECT_THAT(message({}, {0, 6}), HasSubstr("6 is not in the model's vocabulary of 6"));
  EXPECT_THAT(message({.ends = Ids{-1}}), HasSubstr("-1 is not in the model's vocabulary"));
}

TEST(Generate, CaptionsEndWhereThePositionsEnd) {
  const MarkovCaptioner model(MarkovCaptioner::random_table(6, 1), {0, {}, 2}, 10);
  EXPECT_EQ(captions(model, {.max_length = 50})[0].ids.size(), 10U);
  EXPECT_EQ(captions(model, {.num_beams = 2, .max_length = 50})[0].ids.size(), 10U);
}

TEST(Generate, LogitsThatAreNotFiniteAreAnError) {
  const MarkovCaptioner model(Tensor::full({4, 4}, std::nanf("")));
  EXPECT_THROW(captions(model, {}), vit::Error);
  EXPECT_THROW(captions(model, {.num_beams = 2}), vit::Error);
}

// Hand-worked searches: two beams, end = 1.

TEST(Beams, AnEndOutsideTheBestBeamsDoesNotCount) {
  PictureBeams picture({.num_beams = 2}, {0}, {1}, 10);
  picture.advance({{-0.5f, 0, 2}, {-0.6f, 0, 3}, {-0.7f, 0, 1}, {-0.8f, 0, 4}});
  EXPECT_THAT(picture.beams()[0].ids, ElementsAre(0, 2));
  EXPECT_THAT(picture.beams()[1].ids, ElementsAre(0, 3));
  const std::vector<Sequence> found = picture.finish(2);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 2));
  EXPECT_DOUBLE_EQ(found[0].score, -0.5f);
}

TEST(Beams, EarlyStoppingDecidesWhetherARunningBeamMayStillWin) {
  // Two captions end, with -1.5 after one word and -2.4 after two.
  const auto search = [](EarlyStopping rule, double penalty) {
    PictureBeams picture({.num_beams = 2, .length_penalty = penalty, .early_stopping = rule}, {0}, {1}, 10);
    picture.advance({{-1.5f, 0, 1}, {-1.6f, 0, 2}, {-1.7f, 0, 3}, {-1.8f, 0, 4}});
    EXPECT_FALSE(picture.done());
    picture.advance({{-2.4f, 0, 1}, {-2.5f, 1, 2}, {-2.6f, 0, 3}, {-2.7f, 0, 4}});
    return picture.done();
  };
  EXPECT_TRUE(search(EarlyStopping::on_count, 1.0));
  // Worst finished: -1.5; the best candidate may still be -2.4 / 2.
  EXPECT_FALSE(search(EarlyStopping::heuristic, 1.0));
  EXPECT_FALSE(search(EarlyStopping::never, 1.0));
  // Without a penalty on short captions -2.4 is the worst finished, and no running beam reaches it again.
  EXPECT_TRUE(search(EarlyStopping::heuristic, 0.0));
  EXPECT_TRUE(search(EarlyStopping::never, 0.0));
}

TEST(Beams, ScoresCountTheWordsBehindThePromptWithTheEnd) {
  PictureBeams picture({.num_beams = 2, .length_penalty = 2.0}, {0, 5, 6}, {1}, 10);
  picture.advance({{-1.0f, 0, 2}, {-2.0f, 0, 3}, {-3.0f, 0, 4}, {-3.5f, 0, 5}});
  picture.advance({{-1.5f, 0, 1}, {-2.5f, 1, 2}, {-2.6f, 0, 3}, {-2.7f, 0, 4}});
  const std::vector<Sequence> found = picture.finish(2);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 5, 6, 2, 1));
  EXPECT_DOUBLE_EQ(found[0].score, -1.5f / 4.0) << "two words";
  EXPECT_THAT(found[1].ids, ElementsAre(0, 5, 6, 3, 2));
  EXPECT_DOUBLE_EQ(found[1].score, -2.5f / 4.0);
}

TEST(Beams, OfSeveralEndsTheFirstStandsBehindACaption) {
  PictureBeams picture({.num_beams = 2}, {0}, {1, 7}, 10);
  EXPECT_EQ(picture.wanted_candidates(), 6);
  picture.advance({{-0.5f, 0, 7}, {-0.6f, 0, 1}, {-0.7f, 0, 2}, {-0.8f, 0, 3}, {-0.9f, 0, 4}, {-1.0f, 0, 5}});
  EXPECT_FALSE(picture.done()) << "the best candidate is better than the worst caption, though it has ended";
  const std::vector<Sequence> found = picture.finish(2);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 1)) << "transformers writes the first of the ends";
  EXPECT_DOUBLE_EQ(found[0].score, -0.5f);
  EXPECT_DOUBLE_EQ(found[1].score, -0.6f);
}

TEST(Beams, ABetterCaptionTakesTheWorstOnesPlace) {
  PictureBeams picture({.num_beams = 2, .length_penalty = 1.0}, {0}, {1}, 10);
  picture.advance({{-4.0f, 0, 1}, {-0.2f, 0, 2}, {-0.3f, 0, 3}, {-9.0f, 0, 4}});
  picture.advance({{-0.4f, 0, 1}, {-0.5f, 1, 1}, {-0.6f, 0, 4}, {-0.7f, 1, 5}});
  // -4 went out; what is left is -0.4 / 2 and -0.5 / 2, and -0.6 / 2 is no better than the worst.
  const std::vector<Sequence> found = picture.finish(2);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 2, 1));
  EXPECT_THAT(found[1].ids, ElementsAre(0, 3, 1));
  EXPECT_DOUBLE_EQ(found[1].score, -0.5f / 2.0);
}

TEST(Beams, OfEqualCaptionsTheLastComesFirst) {
  PictureBeams picture({.num_beams = 2}, {0}, {1}, 10);
  picture.advance({{-0.5f, 0, 2}, {-0.5f, 0, 3}, {-0.7f, 0, 4}, {-0.8f, 0, 5}});
  const std::vector<Sequence> found = picture.finish(2);
  EXPECT_THAT(found[0].ids, ElementsAre(0, 3));
  EXPECT_THAT(found[1].ids, ElementsAre(0, 2));
}

TEST(TokenScores, NgramsOfOneWordAndOfMoreThanThereAre) {
  std::vector<float> scores(5, 1.0f);
  TokenScores({.no_repeat_ngram_size = 1}, 1, {1}).process({0, 3, 3}, scores);
  EXPECT_TRUE(std::isinf(scores[0]) && std::isinf(scores[3])) << "no word twice, the start neither";
  EXPECT_FALSE(std::isinf(scores[1]) || std::isinf(scores[2]) || std::isinf(scores[4]));
  scores.assign(5, 1.0f);
  TokenScores({.no_repeat_ngram_size = 4}, 1, {1}).process({0, 0}, scores);
  EXPECT_THAT(scores, ::testing::Each(1.0f));
  TokenScores({.no_repeat_ngram_size = 3}, 1, {1}).process({2, 3, 4, 2, 3}, scores);
  EXPECT_TRUE(std::isinf(scores[4]));
}

TEST(TokenScores, AllEndsAreForbiddenBelowTheLeastLength) {
  std::vector<float> scores(5, 1.0f);
  TokenScores({.min_length = 3}, 1, {1, 4}).process({0, 2}, scores);
  EXPECT_TRUE(std::isinf(scores[1]) && std::isinf(scores[4]));
  scores.assign(5, 1.0f);
  TokenScores({.min_length = 3}, 1, {1, 4}).process({0, 2, 2}, scores);
  EXPECT_THAT(scores, ::testing::Each(1.0f)) << "three are there: the next may be the end";
  TokenScores({.min_new_tokens = 2}, 3, {1, 4}).process({0, 2, 2, 2}, scores);
  EXPECT_TRUE(std::isinf(scores[1])) << "one new word behind a prompt of three";
  scores.assign(5, 1.0f);
  TokenScores({.min_length = 9, .min_new_tokens = 1}, 3, {1, 4}).process({0, 2, 2, 2}, scores);
  EXPECT_THAT(scores, ::testing::Each(1.0f)) << "min_new_tokens goes before min_length";
}

TEST(TokenScores, BeamsKeepMoreWordsThanThereAreEnds) {
  const auto kept = [](int64_t beams, const Ids& ends) {
    std::vector<float> scores = {5.0f, 4.0f, 3.0f, 2.0f, 1.0f};
    TokenScores({.num_beams = beams, .do_sample = true, .top_k = 1}, 1, ends).process({0}, scores);
    return std::count_if(scores.begin(), scores.end(), [](float score) { return !std::isinf(score); });
  };
  EXPECT_EQ(kept(1, {1}), 1);
  EXPECT_EQ(kept(2, {1}), 2);
  EXPECT_EQ(kept(2, {1, 2}), 3);
  EXPECT_EQ(kept(2, {}), 2);
}

TEST(TokenScores, EqualScoresOfTopKAllStay) {
  std::vector<float> scores = {2.0f, 1.0f, 1.0f, 0.0f};
  TokenScores({.do_sample = true, .top_k = 2}, 1, {1}).process({0}, scores);
  EXPECT_FALSE(std::isinf(scores[1]) || std::isinf(scores[2])) << "as many as the second has equals";
  EXPECT_TRUE(std::isinf(scores[3]));
}

TEST(TokenScores, FollowTheOrderOfTransformers) {
  GenerationConfig config{.repetition_penalty = 2.0, .do_sample = true, .temperature = 0.5, .top_k = 2};
  std::vector<float> scores = {1.0f, -1.0f, 0.25f, 0.4f};
  TokenScores(config, 1, {1}).process({0, 1, 0}, scores);
  // 1 / 2 and -1 * 2, then by 0.5; the two best stay.
  EXPECT_FLOAT_EQ(scores[0], 1.0f);
  EXPECT_FLOAT_EQ(scores[3], 0.8f);
  EXPECT_TRUE(std::isinf(scores[1]) && std::isinf(scores[2]));
}

TEST(TokenScores, TopPKeepsWhatIsNeededForTheShare) {
  std::vector<float> scores = {std::log(0.5f), std::log(0.15f), std::log(0.3f), std::log(0.05f)};
  TokenScores({.do_sample = true, .top_k = 0, .top_p = 0.7}, 1, {1}).process({0}, scores);
  EXPECT_FALSE(std::isinf(scores[0]) || std::isinf(scores[2]));
  EXPECT_TRUE(std::isinf(scores[1]) && std::isinf(scores[3]));
}

TEST(TokenScores, TopIndicesAreSortedAndEqualsKeepTheirOrder) {
  EXPECT_THAT(top_indices(std::vector<float>{1.0f, 3.0f, 2.0f, 3.0f, 2.0f}, 4), ElementsAre(1, 3, 2, 4));
}

TEST(PromptIds, HaveTheStartAndNoEnd) {
  const MarkovCaptioner model(Tensor::zeros({4, 4}));
  EXPECT_THAT(model.prompt_ids({2, 3}), ElementsAre(0, 2, 3));
  EXPECT_THAT(model.prompt_ids({0, 2, 1}), ElementsAre(0, 2));
  EXPECT_THAT(model.prompt_ids({}), ElementsAre(0));
}

}  // namespace
}  // namespace captioning
