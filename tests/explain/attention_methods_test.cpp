// Rollouts and class relevance against their definitions in plain xtensor, and on models of every kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/explain/tiny_models.h"
#include "tests/support/errors.h"
#include "vit/autograd/plain.h"
#include "vit/core/xt.h"
#include "vit/explain/method.h"
#include "vit/explain/roles.h"

namespace vit {
namespace {

using plain::Array;
using testing::HasSubstr;

Array<double> array_of(const Tensor& tensor) { return Array<double>(xt::cast<double>(xt_view<float>(tensor))); }

/// Rows divided by their sums.
Array<double> by_rows(const Array<double>& matrix) {
  Array<double> sums = xt::sum(matrix, {1});
  sums.reshape({sums.shape(0), size_t{1}});
  return matrix / sums;
}

/// The attention of the tiny ViT's layers, and its gradients.
std::vector<RecordedAttention> recorded(const Subject& subject, const Tensor& pixels) {
  return attention_with_gradient(subject, pixels, modules_offering(subject, ".probs"));
}

Array<double> mean_over_heads(const Array<double>& probs) { return xt::mean(probs, {0}); }

void expect_row(const Tensor& map, const Array<double>& relevance, int64_t prefix) {
  for (int64_t i = 0; i < map.numel(); ++i) {
    const double expected = relevance(0, static_cast<size_t>(prefix + i));
    EXPECT_NEAR(map.f32()[i], expected, 1e-5 * (1e-3 + std::abs(expected))) << "cell " << i;
  }
}

TEST(Rollout, IsTheProductOfAllLayersWithTheirSkips) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  Array<double> product;
  for (const RecordedAttention& layer : recorded(subject, pixels)) {
    const Array<double> attention = mean_over_heads(array_of(layer.probs));
    const Array<double> step = by_rows(Array<double>(attention + xt::eye<double>(attention.shape(0))));
    product = product.dimension() == 2 ? plain::matmul<double>(step, product) : step;
  }
  const Explanation rollout = explain("rollout", subject, pixels);
  EXPECT_EQ(rollout.map.shape(), Shape({4, 4}));
  EXPECT_EQ(rollout.layer, "blocks.0.attn to blocks.2.attn");
  expect_row(rollout.map, product, 1);
}

TEST(Rollout, FusesHeadsAndDiscardsAsAsked) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  const double ratio = 0.6;
  Array<double> product;
  for (const RecordedAttention& layer : recorded(subject, pixels)) {
    Array<double> attention = xt::amax(array_of(layer.probs), {0});
    std::vector<double> sorted(attention.begin(), attention.end());
    std::sort(sorted.begin(), sorted.end());
    const double limit = sorted[static_cast<size_t>(static_cast<double>(sorted.size()) * ratio)];
    const double own = attention(0, 0);
    for (double& value : attention) value = value < limit ? 0.0 : value;
    attention(0, 0) = own;  // what the class token gives itself stays
    const Array<double> step = by_rows(Array<double>(attention + xt::eye<double>(attention.shape(0))));
    product = product.dimension() == 2 ? plain::matmul<double>(step, product) : step;
  }
  expect_row(explain("rollout", subject, pixels, {.head_fusion = HeadFusion::max, .discard_ratio = ratio}).map, product,
             1);
}

TEST(GradientRollout, WeighsAttentionByItsGradient) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  Array<double> product;
  for (const RecordedAttention& layer : recorded(subject, pixels)) {
    const Array<double> weighed = array_of(layer.probs) * array_of(layer.gradient);
    const Array<double> attention = xt::maximum(mean_over_heads(weighed), 0.0);
    const Array<double> step = by_rows(Array<double>(attention + xt::eye<double>(attention.shape(0))));
    product = product.dimension() == 2 ? plain::matmul<double>(step, product) : step;
  }
  expect_row(explain("gradient_rollout", subject, pixels).map, product, 1);
}

TEST(Relevance, AddsUpPositiveGradientTimesAttention) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  Array<double> relevance;
  for (const RecordedAttention& layer : recorded(subject, pixels)) {
    const Array<double> weighed = array_of(layer.probs) * array_of(layer.gradient);
    const Array<double> positive = mean_over_heads(Array<double>(xt::maximum(weighed, 0.0)));
    if (relevance.dimension() != 2) relevance = xt::eye<double>(positive.shape(0));
    relevance = Array<double>(relevance + plain::matmul<double>(positive, relevance));
  }
  expect_row(explain("relevance", subject, pixels).map, relevance, 1);
}

TEST(Relevance, DependsOnTheClass) {
  const auto model = test::tiny_model(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  const Tensor one = explain("relevance", ClassifierSubject(model, 0, "a"), pixels).map;
  const Tensor other = explain("relevance", ClassifierSubject(model, 1, "b"), pixels).map;
  EXPECT_FALSE(std::equal(one.f32(), one.f32() + one.numel(), other.f32()));
  const Tensor same = explain("relevance", ClassifierSubject(model, 0, "a"), pixels).map;
  EXPECT_TRUE(std::equal(one.f32(), one.f32() + one.numel(), same.f32()));
}

TEST(Attention, IsTheClassTokensRow) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  const RecordedAttention layer = recorded(subject, pixels)[1];
  const Explanation shown = explain("attention", subject, pixels, {.layer = 1, .head = 1});
  EXPECT_EQ(shown.layer, "blocks.1.attn");
  const int64_t tokens = layer.probs.size(2);
  for (int64_t i = 0; i < shown.map.numel(); ++i)
    EXPECT_FLOAT_EQ(shown.map.f32()[i], layer.probs.f32()[tokens * tokens + 1 + i]);
}

TEST(Attention, IsTheMeanOfAllCellsWithoutAClassToken) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyGapVit);
  const Tensor pixels = test::random_pixels();
  const Array<double> probs = mean_over_heads(array_of(recorded(subject, pixels).back().probs));
  const Array<double> row = xt::mean(probs, {0});
  const Tensor map = explain("attention", subject, pixels).map;
  for (int64_t i = 0; i < map.numel(); ++i) EXPECT_NEAR(map.f32()[i], row(static_cast<size_t>(i)), 1e-6);
}

struct Kind {
  std::string name, config;
  std::vector<std::string> refused;
};

class EveryKindTest : public testing::TestWithParam<Kind> {};

TEST_P(EveryKindTest, EachMethodAppliesOrSaysWhyNot) {
  const ClassifierSubject subject = test::tiny_subject(GetParam().config);
  const Tensor pixels = test::random_pixels();
  for (const std::string& method : method_registry().names()) {
    if (method == "rise" || method == "occlusion") continue;  // ask for no more than scores
    std::vector<std::string> refused = GetParam().refused;
    refused.insert(refused.end(), {"frame_occlusion", "temporal_attention"});  // for models of clips
    if (std::find(refused.begin(), refused.end(), method) != refused.end()) {
      EXPECT_THAT(test::usage_error([&] { explain(method, subject, pixels); }),
                  testing::AllOf(HasSubstr("'" + method + "' does not apply"), HasSubstr("those that do: ")));
      continue;
    }
    const Explanation result = explain(method, subject, pixels, {.steps = 4});
    ASSERT_EQ(result.map.rank(), 2) << method;
    EXPECT_TRUE(std::all_of(result.map.f32(), result.map.f32() + result.map.numel(), [](float value) {
      return std::isfinite(value);
    })) << method;
  }
}

TEST_P(EveryKindTest, LayersOutOfRangeAreRefused) {
  const ClassifierSubject subject = test::tiny_subject(GetParam().config);
  for (const std::string& method : methods_for(subject)) {
    const MethodEntry& entry = method_registry().find(method);
    if (!entry.layers) continue;
    const auto count = static_cast<int64_t>(entry.layers(subject).size());
    EXPECT_THAT(test::usage_error([&] { check_method(method, subject, {.layer = count}); }),
                HasSubstr("there is no layer " + std::to_string(count)))
        << method;
    EXPECT_NO_THROW(check_method(method, subject, {.layer = count - 1})) << method;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, EveryKindTest,
    testing::Values(Kind{"vit", test::kTinyVit, {}}, Kind{"without_class_token", test::kTinyGapVit, {}},
                    Kind{"registers", test::kTinyRegisterVit, {}}, Kind{"attention_pool", test::kTinyPooledVit, {}},
                    Kind{"windows", test::kTinySwin, {}}, Kind{"windows_and_channels", test::kTinyDavit, {}},
                    Kind{"cnn_with_channel_attention", test::kTinyResnet, {"rollout", "gradient_rollout", "relevance"}},
                    Kind{"cnn", test::kPlainResnet, {"attention", "rollout", "gradient_rollout", "relevance"}}),
    [](const auto& kind) { return kind.param.name; });

// The pool's learned query takes half of what it looks at, and that goes down through the blocks.
TEST(Rollout, BeginsWithTheAttentionPool) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyPooledVit);
  const Tensor pixels = test::random_pixels();
  const std::vector<RecordedAttention> layers = recorded(subject, pixels);
  const RecordedAttention& pool = layers.back();
  ASSERT_EQ(subject.role_of(pool.module), AttentionRole::cross) << pool.module;
  const Array<double> row = mean_over_heads(array_of(pool.probs));
  Array<double> product = 0.5 * row;
  for (size_t i = layers.size() - 1; i-- > 0;) {
    const Array<double> attention = mean_over_heads(array_of(layers[i].probs));
    product = plain::matmul<double>(product, by_rows(Array<double>(attention + xt::eye<double>(attention.shape(0)))));
  }
  expect_row(explain("rollout", subject, pixels).map, product, 3);
}

TEST(Methods, LayersAndHeadsThatMeanNothingAreRefused) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  EXPECT_THAT(test::usage_error([&] { check_method("gradcam", subject, {.head = 0}); }), HasSubstr("no single head"));
  EXPECT_THAT(test::usage_error([&] { check_method("rise", subject, {.layer = 0}); }), HasSubstr("no single layer"));
}

TEST(Methods, UnknownNamesAndHeadsAreRefused) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  EXPECT_THAT(test::usage_error([&] { explain("rolout", subject, pixels); }), HasSubstr("did you mean 'rollout'"));
  EXPECT_THAT(test::usage_error([&] { explain("attention", subject, pixels, {.head = 2}); }),
              HasSubstr("no attention head 2"));
  EXPECT_THAT(test::usage_error([&] { explain("rollout", subject, pixels, {.discard_ratio = 1.0}); }),
              HasSubstr("discard_ratio"));
}

TEST(Methods, MergedTokensHaveNoPlace) {
  const ClassifierSubject subject = test::tiny_subject(
      "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 2, num_heads: 2, num_classes: 5, "
      "mlp_ratio: 2, token_merging: {r: 2}}");
  EXPECT_THAT(test::usage_error([&] { explain("rollout", subject, test::random_pixels()); }),
              HasSubstr("merge tokens"));
}

}  // namespace
}  // namespace vit
