#include "captioning/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"

namespace captioning {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using vit::test::usage_error;

GenerationConfig options(const json& text) {
  GenerationConfig config;
  read_generation_options(vit::JsonObject(text, "generation_config.json"), config);
  return config;
}

std::string refusal(const json& text) {
  return usage_error([&] { options(text); });
}

TEST(GenerationOptions, HaveTransformersNames) {
  const GenerationConfig config = options({{"num_beams", 4},
                                           {"length_penalty", 2.0},
                                           {"no_repeat_ngram_size", 3},
                                           {"min_length", 5},
                                           {"min_new_tokens", 2},
                                           {"max_length", 16},
                                           {"max_new_tokens", 9},
                                           {"repetition_penalty", 1.5},
                                           {"num_return_sequences", 2},
                                           {"do_sample", true},
                                           {"temperature", 0.7},
                                           {"top_k", 0},
                                           {"top_p", 0.9}});
  EXPECT_EQ(config.num_beams, 4);
  EXPECT_EQ(config.length_penalty, 2.0);
  EXPECT_EQ(config.no_repeat_ngram_size, 3);
  EXPECT_EQ(config.min_length, 5);
  EXPECT_EQ(config.min_new_tokens, 2);
  EXPECT_EQ(config.max_length, 16);
  EXPECT_EQ(config.max_new_tokens, 9);
  EXPECT_EQ(config.repetition_penalty, 1.5);
  EXPECT_EQ(config.num_return_sequences, 2);
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.temperature, 0.7);
  EXPECT_EQ(config.top_k, 0);
  EXPECT_EQ(config.top_p, 0.9);
}

TEST(GenerationOptions, WhatIsAbsentOrNullStaysAsItIs) {
  const GenerationConfig config = options({{"num_beams", nullptr}, {"transformers_version", "4.47.0"}}), plain;
  EXPECT_EQ(config.num_beams, plain.num_beams);
  EXPECT_EQ(config.max_length, 20) << "transformers' default";
  EXPECT_EQ(config.max_new_tokens, std::nullopt);
  EXPECT_EQ(config.top_k, 50);
}

TEST(GenerationOptions, EarlyStoppingHasThreeValues) {
  EXPECT_EQ(options({{"early_stopping", true}}).early_stopping, EarlyStopping::on_count);
  EXPECT_EQ(options({{"early_stopping", false}}).early_stopping, EarlyStopping::heuristic);
  EXPECT_EQ(options({{"early_stopping", "never"}}).early_stopping, EarlyStopping::never);
  EXPECT_THAT(refusal({{"early_stopping", "always"}}),
              HasSubstr("generation_config.json: early_stopping: expected true"));
}

TEST(GenerationOptions, ValuesThatMakeNoSenseAreNamed) {
  EXPECT_THAT(refusal({{"num_beams", 0}}), HasSubstr("generation_config.json: num_beams"));
  EXPECT_THAT(refusal({{"max_length", -1}}), HasSubstr("max_length"));
  EXPECT_THAT(refusal({{"temperature", 0.0}}), HasSubstr("temperature"));
  EXPECT_THAT(refusal({{"top_p", 1.5}}), HasSubstr("top_p"));
  EXPECT_THAT(refusal({{"do_sample", "yes"}}), HasSubstr("do_sample"));
}

TEST(GenerationOptions, WhatIsNotKnownHereIsRefusedOnlyWhereItChangesSomething) {
  const json neutral = {{"num_beam_groups", 1},
                        {"diversity_penalty", 0.0},
                        {"typical_p", 1.0},
                        {"bad_words_ids", nullptr},
                        {"suppress_tokens", json::array()},
                        {"renormalize_logits", false},
                        {"encoder_no_repeat_ngram_size", 0}};
  EXPECT_EQ(options(neutral).num_beams, 1);
  EXPECT_THAT(refusal({{"num_beam_groups", 2}}),
              HasSubstr("num_beam_groups: expected 1: other values of this option are not known here, got 2"));
  EXPECT_THAT(refusal({{"typical_p", 0.5}}), HasSubstr("typical_p"));
  EXPECT_THAT(refusal({{"forced_eos_token_id", 2}}), HasSubstr("forced_eos_token_id: expected nothing"));
  EXPECT_THAT(refusal({{"suppress_tokens", {1, 2}}}), HasSubstr("suppress_tokens"));
  EXPECT_THAT(refusal({{"renormalize_logits", true}}), HasSubstr("renormalize_logits"));
}

TEST(GenerationIds, OneOrSeveralEndsAndTheStartOfTheDecoder) {
  const auto ids = [](const json& text) {
    GenerationConfig config;
    read_generation_ids(vit::JsonObject(text, "generation_config.json"), config);
    return config;
  };
  EXPECT_EQ(ids({{"bos_token_id", 3}}).start, 3);
  EXPECT_EQ(ids({{"bos_token_id", 3}, {"decoder_start_token_id", 5}}).start, 5);
  EXPECT_EQ(ids({{"pad_token_id", 7}}).pad, 7);
  EXPECT_THAT(ids({{"eos_token_id", 2}}).ends.value(), ElementsAre(2));
  EXPECT_THAT(ids({{"eos_token_id", json::array({2, 4})}}).ends.value(), ElementsAre(2, 4));
  EXPECT_EQ(ids(json::object()).ends, std::nullopt);
  EXPECT_THAT(usage_error([&] { ids({{"eos_token_id", -1}}); }), HasSubstr("eos_token_id"));
}

}  // namespace
}  // namespace captioning
