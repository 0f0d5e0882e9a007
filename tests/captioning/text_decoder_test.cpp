// The text decoder: words one by one, with what a state keeps, are what the whole caption gives; reordered rows go on
// from their parents. The originals' numbers are the parity cases B4, B5 and B7.
#include "captioning/text_decoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/models/load.h"

namespace captioning {
namespace {

using testing::HasSubstr;
using vit::Context;
using vit::Tensor;
using vit::Var;

constexpr int64_t kVocab = 23, kTokens = 5;

TextDecoderConfig small(bool post_norm, bool tied) {
  TextDecoderConfig config;
  config.vocab_size = kVocab;
  config.positions = 12;
  config.embed_dim = 24;
  config.depth = 2;
  config.num_heads = 3;
  config.mlp_hidden = 40;
  config.memory_dim = 16;
  config.post_norm = post_norm;
  config.tied_head = tied;
  return config;
}

void fill(TextDecoder& decoder) {
  decoder.visit_parameters([](const std::string& name, vit::Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    vit::Rng rng(1, vit::Rng::stream_of(name));
    vit::fill_normal(value, rng, parameter.shape.rank() > 1 ? 0.3f : 0.1f,
                     name.find("norm") == std::string::npos ? 0.0f : 0.5f);
    parameter.value = Var(value);
  });
}

Tensor random(const vit::Shape& shape, uint64_t seed) {
  Tensor tensor = Tensor::empty(shape);
  vit::Rng rng(seed);
  vit::fill_normal(tensor, rng, 1.0f);
  return tensor;
}

Tensor ids(const std::vector<int64_t>& values, int64_t rows) {
  return Tensor::from(values, {rows, static_cast<int64_t>(values.size()) / rows});
}

void expect_near(const float* ours, const float* expected, int64_t count) {
  for (int64_t i = 0; i < count; ++i) EXPECT_NEAR(ours[i], expected[i], 2e-5f) << i;
}

class TextDecoderTest : public testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  void SetUp() override { fill(decoder_); }

  /// Logits behind the last of each row's ids, from one pass over all.
  Tensor whole(const Tensor& memory, const Tensor& caption) {
    Context ctx;
    const Var logits = decoder_.predict(ctx, decoder_.features(ctx, caption, {}, memory));
    return vit::select_token(ctx, logits, caption.size(1) - 1).value();
  }

  TextDecoder decoder_{small(GetParam().first, GetParam().second)};
  Tensor memory_ = random({2, kTokens, 16}, 5);
};

TEST_P(TextDecoderTest, StepsGiveWhatTheWholeCaptionGives) {
  const Tensor caption = ids({1, 7, 3, 22, 9, 4, 4, 0}, 2);
  for (const bool packed : {false, true}) {
    if (packed) decoder_.visit_modules([](const std::string&, vit::Module& module) { module.prepare(); });
    Context ctx;
    const auto state = decoder_.begin(ctx, memory_, 1);
    const Tensor first = decoder_.step(ctx, *state, ids({1, 7, 9, 4}, 2));
    expect_near(first.f32(), whole(memory_, ids({1, 7, 9, 4}, 2)).f32(), first.numel());
    const Tensor second = decoder_.step(ctx, *state, ids({3, 4}, 2));
    EXPECT_EQ(state->length(), 3);
    const Tensor third = decoder_.step(ctx, *state, ids({22, 0}, 2));
    expect_near(second.f32(), whole(memory_, ids({1, 7, 3, 9, 4, 4}, 2)).f32(), second.numel());
    expect_near(third.f32(), whole(memory_, caption).f32(), third.numel());
  }
}

TEST_P(TextDecoderTest, SelectedRowsGoOnFromTheirParents) {
  Context ctx;
  const auto state = decoder_.begin(ctx, memory_, 1);
  decoder_.step(ctx, *state, ids({1, 2}, 2));
  state->select({0, 0, 1});
  EXPECT_EQ(state->rows(), 3);
  decoder_.step(ctx, *state, ids({5, 6, 7}, 3));
  state->select({2, 1, 1, 0});
  const Tensor logits = decoder_.step(ctx, *state, ids({8, 9, 10, 11}, 4));
  const std::vector<std::vector<int64_t>> rows = {{2, 7, 8}, {1, 6, 9}, {1, 6, 10}, {1, 5, 11}};
  const std::vector<int64_t> pictures = {1, 0, 0, 0};
  for (size_t i = 0; i < rows.size(); ++i) {
    const Tensor expected = whole(memory_.slice(pictures[i], pictures[i] + 1), ids(rows[i], 1));
    expect_near(logits.f32() + static_cast<int64_t>(i) * kVocab, expected.f32(), kVocab);
  }
  EXPECT_THROW(state->select({4}), vit::Error);
}

TEST_P(TextDecoderTest, ARowsBitsDependOnItselfAlone) {
  Context ctx;
  const auto together = decoder_.begin(ctx, memory_, 3);
  const auto alone = decoder_.begin(ctx, memory_.slice(1, 2), 1);
  decoder_.step(ctx, *together, ids({1, 2, 3, 4, 5, 6}, 6));
  decoder_.step(ctx, *alone, ids({5}, 1));
  const Tensor all = decoder_.step(ctx, *together, ids({7, 7, 7, 7, 8, 7}, 6));
  const int threads = vit::num_threads();
  vit::set_num_threads(1);
  const Tensor one = decoder_.step(ctx, *alone, ids({8}, 1));
  vit::set_num_threads(threads);
  for (int64_t v = 0; v < kVocab; ++v) EXPECT_EQ(all.f32()[4 * kVocab + v], one.f32()[v]);
}

TEST_P(TextDecoderTest, PaddingChangesNoWordInFrontOfIt) {
  Context ctx;
  const Tensor memory = memory_.slice(0, 1);
  const Tensor caption = ids({1, 7, 3, 0, 0}, 1), mask = ids({1, 1, 1, 0, 0}, 1);
  const Var padded = decoder_.features(ctx, caption, mask, memory),
            plain = decoder_.features(ctx, ids({1, 7, 3}, 1), {}, memory);
  expect_near(padded.value().f32(), plain.value().f32(), plain.value().numel());
  // A hidden word in the middle is not there for those behind it.
  const Var hidden = decoder_.features(ctx, caption, ids({1, 0, 1, 1, 1}, 1), memory);
  const Var other = decoder_.features(ctx, ids({1, 9, 3, 0, 0}, 1), ids({1, 0, 1, 1, 1}, 1), memory);
  expect_near(hidden.value().f32() + 2 * 24, other.value().f32() + 2 * 24, 3 * 24);
}

TEST_P(TextDecoderTest, RefusesWhatDoesNotFit) {
  Context ctx;
  const auto message = [&](const Tensor& caption, const Tensor& mask, const Var& memory) {
    return vit::test::failure([&] { decoder_.features(ctx, caption, mask, memory); });
  };
  const Var memory = memory_.slice(0, 1);
  EXPECT_THAT(message(ids({1, kVocab}, 1), {}, memory), HasSubstr("23 is not in the vocabulary of 23"));
  EXPECT_THAT(message(ids(std::vector<int64_t>(13, 1), 1), {}, memory),
              HasSubstr("13 tokens, and there are 12 positions"));
  EXPECT_THAT(message(ids({1, 2}, 1), ids({1}, 1), memory), HasSubstr("the mask must be"));
  EXPECT_THAT(message(ids({1, 2}, 1), {}, {}), HasSubstr("no picture"));
  EXPECT_THAT(message(ids({1, 2}, 1), {}, random({1, 3, 15}, 1)), HasSubstr("[1, M, 16]"));
  const auto state = decoder_.begin(ctx, memory_, 1);
  EXPECT_THROW(decoder_.step(ctx, *state, ids({1}, 1)), vit::Error);
  TextDecoderConfig config = small(false, true);
  config.num_heads = 5;
  EXPECT_THROW(TextDecoder{config}, vit::Error);
}

INSTANTIATE_TEST_SUITE_P(Forms, TextDecoderTest,
                         testing::Values(std::pair(false, true), std::pair(true, false), std::pair(true, true)),
                         [](const auto& form) {
                           return std::string(form.param.first ? "PostNorm" : "PreNorm") +
                                  (form.param.second ? "Tied" : "Untied");
                         });

}  // namespace
}  // namespace captioning
