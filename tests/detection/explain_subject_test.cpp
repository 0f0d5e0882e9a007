// Detections explained, on the reference checkpoints of all families.
#include "detection/explain_subject.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "detection/detector.h"
#include "tests/support/errors.h"
#include "vit/autograd/plain.h"
#include "vit/core/rng.h"
#include "vit/core/xt.h"
#include "vit/explain/method.h"
#include "vit/explain/roles.h"
#include "vit/io/checkpoint.h"

namespace detection {
namespace {

using testing::HasSubstr;
using vit::Tensor;
using vit::plain::Array;

vit::Image noise(int64_t height, int64_t width) {
  vit::Image image(height, width);
  vit::Rng rng(9);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = static_cast<uint8_t>(rng.next_u32());
  return image;
}

/// A detector and its best detection in a picture of noise.
struct Explained {
  explicit Explained(const std::string& golden)
      : dir(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/" + golden),
        detector(Detector::load(dir, {.img_size = 96, .post = {.threshold = 0.0}})),
        model(std::make_shared<vit::ExplainedModel>(
            vit::ExplainedModel::from(vit::Checkpoint::open(dir), detector.model().info().input_size))),
        picture(noise(80, 96)),
        found(detector(picture).front()),
        pixels(detector.prepare({picture}).pixel_values),
        subject(model, found, {80, 96}, {}, "object") {}

  std::string dir;
  Detector detector;
  std::shared_ptr<const vit::ExplainedModel> model;
  vit::Image picture;
  Detection found;
  Tensor pixels;
  DetectionSubject subject;
};

class DetectionSubjectTest : public testing::TestWithParam<std::string> {};

TEST_P(DetectionSubjectTest, ScoreIsTheDetections) {
  const Explained explained(GetParam());
  EXPECT_NEAR(explained.subject.scores(explained.pixels).front(), explained.found.score, 1e-4);
}

TEST_P(DetectionSubjectTest, ObjectiveIsTheLogitBehindTheScore) {
  const Explained explained(GetParam());
  vit::Context ctx;
  const double logit = explained.subject.objective(ctx, explained.pixels).value().f32()[0];
  if (explained.detector.model().scoring() == Scoring::sigmoid) {
    EXPECT_NEAR(1.0 / (1.0 + std::exp(-logit)), explained.found.score, 1e-4);
  }
  // A batch of the same picture has the same answer twice.
  Tensor two = Tensor::empty({2, 3, explained.pixels.size(2), explained.pixels.size(3)});
  for (int64_t b = 0; b < 2; ++b)
    std::copy_n(explained.pixels.f32(), explained.pixels.numel(), two.f32() + b * explained.pixels.numel());
  const Tensor both = explained.subject.objective(ctx, two).value();
  EXPECT_NEAR(both.f32()[0], logit, 1e-4);
  EXPECT_NEAR(both.f32()[1], logit, 1e-4);
}

TEST_P(DetectionSubjectTest, EveryMethodThatAppliesGivesAMap) {
  const Explained explained(GetParam());
  const std::vector<std::string> methods = vit::methods_for(explained.subject);
  EXPECT_GE(methods.size(), 10u);
  for (const std::string& method : methods) {
    if (method == "rise" || method == "occlusion" || method == "scorecam") continue;  // many passes, no more to see
    const Tensor map = vit::explain(method, explained.subject, explained.pixels, {.steps = 2}).map;
    EXPECT_TRUE(std::all_of(map.f32(), map.f32() + map.numel(), [](float value) { return std::isfinite(value); }))
        << method;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, DetectionSubjectTest,
                         testing::Values("B2_yolos", "B3b_detr_hf_resnet_backbone", "B6_rtdetr",
                                         "B6c_deformable_detr_refine_twostage"),
                         [](const auto& family) { return family.param; });

Array<double> array_of(const Tensor& tensor) { return Array<double>(xt::cast<double>(vit::xt_view<float>(tensor))); }

/// R - I over its rows' sums, plus I.
Array<double> normalized(const Array<double>& relevance) {
  const Array<double> own = xt::eye<double>(relevance.shape(0));
  Array<double> rest = relevance - own;
  Array<double> sums = xt::sum(rest, {1});
  sums.reshape({sums.shape(0), size_t{1}});
  return own + xt::where(sums > 0.0, Array<double>(rest / sums), rest);
}

TEST(DetectionRelevance, FollowsEncoderAndDecoder) {
  const Explained explained("B3b_detr_hf_resnet_backbone");
  const std::vector<vit::RecordedAttention> layers = vit::attention_with_gradient(
      explained.subject, explained.pixels, vit::modules_offering(explained.subject, ".probs"));
  Array<double> picture, queries, crossing;
  for (const vit::RecordedAttention& layer : layers) {
    const Array<double> weighed = array_of(layer.probs) * array_of(layer.gradient);
    const Array<double> positive = xt::maximum(weighed, 0.0);
    const Array<double> attention = xt::mean(positive, {0});
    if (picture.dimension() != 2) picture = xt::eye<double>(attention.shape(1));
    switch (explained.subject.role_of(layer.module)) {
      case vit::AttentionRole::picture:
        picture = Array<double>(picture + vit::plain::matmul<double>(attention, picture));
        break;
      case vit::AttentionRole::queries:
        if (queries.dimension() != 2) {
          queries = xt::eye<double>(attention.shape(0));
          crossing = xt::zeros<double>({attention.shape(0), picture.shape(0)});
        }
        queries = Array<double>(queries + vit::plain::matmul<double>(attention, queries));
        crossing = Array<double>(crossing + vit::plain::matmul<double>(attention, crossing));
        break;
      case vit::AttentionRole::cross:
        crossing = Array<double>(
            crossing + vit::plain::matmul<double>(Array<double>(xt::transpose(normalized(queries))),
                                                  vit::plain::matmul<double>(attention, normalized(picture))));
        break;
    }
  }
  const Tensor map = vit::explain("relevance", explained.subject, explained.pixels).map;
  ASSERT_EQ(static_cast<size_t>(map.numel()), crossing.shape(1));
  double largest = 0.0;
  for (const double value : crossing) largest = std::max(largest, value);
  for (int64_t i = 0; i < map.numel(); ++i)
    EXPECT_NEAR(map.f32()[i], crossing(static_cast<size_t>(explained.found.query), static_cast<size_t>(i)),
                1e-4 * largest);
}

/// Rollout: half of each layer is its skip connection, and a query takes half of what it looks at.
TEST(DetectionRollout, GoesThroughDecoderAndEncoder) {
  const Explained explained("B3b_detr_hf_resnet_backbone");
  const std::vector<vit::RecordedAttention> layers = vit::attention_with_gradient(
      explained.subject, explained.pixels, vit::modules_offering(explained.subject, ".probs"));
  Array<double> cells;
  Array<double> queries = xt::zeros<double>({size_t{1}, static_cast<size_t>(explained.detector.model().num_queries())});
  queries(0, static_cast<size_t>(explained.found.query)) = 1.0;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const Array<double> attention = xt::mean(array_of(layer->probs), {0});
    const auto stepped = [&](const Array<double>& values) {
      return Array<double>(0.5 * values + 0.5 * vit::plain::matmul<double>(values, attention));
    };
    if (cells.dimension() != 2) cells = xt::zeros<double>({size_t{1}, attention.shape(1)});
    switch (explained.subject.role_of(layer->module)) {
      case vit::AttentionRole::queries:
        queries = stepped(queries);
        break;
      case vit::AttentionRole::cross:
        queries = Array<double>(0.5 * queries);
        cells = Array<double>(cells + vit::plain::matmul<double>(queries, attention));
        break;
      case vit::AttentionRole::picture:
        cells = stepped(cells);
        break;
    }
  }
  const Tensor map = vit::explain("rollout", explained.subject, explained.pixels).map;
  for (int64_t i = 0; i < map.numel(); ++i) EXPECT_NEAR(map.f32()[i], cells(0, static_cast<size_t>(i)), 1e-6) << i;
}

TEST(DetectionSubject, EachQueryHasItsMapAndTheEncoderNone) {
  const Explained explained("B3b_detr_hf_resnet_backbone");
  Detection other = explained.found;
  other.query = (other.query + 1) % explained.detector.model().num_queries();
  const DetectionSubject second(explained.model, other, {80, 96}, {}, "other");
  const auto differ = [&](const std::string& method, const vit::MethodOptions& options) {
    const Tensor a = vit::explain(method, explained.subject, explained.pixels, options).map;
    const Tensor b = vit::explain(method, second, explained.pixels, options).map;
    return !std::equal(a.f32(), a.f32() + a.numel(), b.f32());
  };
  for (const char* method : {"attention", "rollout", "gradient_rollout", "relevance", "gradcam"})
    EXPECT_TRUE(differ(method, {})) << method;
  EXPECT_FALSE(differ("rollout", {.layer = 0})) << "the encoder knows no queries";
}

TEST(DetectionSubject, PointsAreNoMatrix) {
  const Explained explained("B6_rtdetr");
  EXPECT_THAT(vit::test::usage_error([&] { vit::explain("rollout", explained.subject, explained.pixels); }),
              HasSubstr("deformable attention"));
}

TEST(DetectionSubject, ForgetsItsWeights) {
  const Explained explained("B2_yolos");
  const auto forgetful = explained.subject.randomized(5);
  EXPECT_NE(forgetful->scores(explained.pixels).front(), explained.subject.scores(explained.pixels).front());
}

}  // namespace
}  // namespace detection
