// Class activation maps on numbers that can be followed by hand.
#include "vit/explain/cam.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/explain/tiny_models.h"

namespace vit {
namespace {

/// Two places, two channels.
const Tensor& activations() {
  static const Tensor values = Tensor::from<float>({1.0f, 2.0f, 3.0f, -1.0f}, {1, 2, 2});
  return values;
}
const Tensor& gradients() {
  static const Tensor values = Tensor::from<float>({0.5f, -1.0f, 1.5f, 2.0f}, {1, 2, 2});
  return values;
}

std::vector<float> map_of(CamKind kind) {
  const Tensor map = class_activation(kind, activations(), gradients());
  return {map.f32(), map.f32() + map.numel()};
}

TEST(ClassActivation, GradCamWeighsChannelsByTheirMeanGradient) {
  // Weights 1 and 0.5: 1 * 1 + 0.5 * 2, 1 * 3 - 0.5 * 1.
  EXPECT_EQ(map_of(CamKind::gradcam), (std::vector<float>{2.0f, 2.5f}));
}

TEST(ClassActivation, HiResCamMultipliesPlaceByPlaceAndCutsOff) {
  // 0.5 - 2, 4.5 - 2.
  EXPECT_EQ(map_of(CamKind::hirescam), (std::vector<float>{0.0f, 2.5f}));
  EXPECT_EQ(map_of(CamKind::gradcam_elementwise), (std::vector<float>{0.5f, 4.5f}));
}

TEST(ClassActivation, LayerCamTakesPositiveGradients) {
  // 0.5 * 1 + 0, 1.5 * 3 + 2 * -1.
  EXPECT_EQ(map_of(CamKind::layercam), (std::vector<float>{0.5f, 2.5f}));
}

TEST(ClassActivation, XGradCamDividesByTheWholeActivation) {
  // Channel 0: (0.5 + 4.5) / 4, channel 1: (-2 - 2) / 1.
  const std::vector<float> map = map_of(CamKind::xgradcam);
  EXPECT_NEAR(map[0], 0.0, 1e-5);  // 1.25 - 8
  EXPECT_NEAR(map[1], 3 * 1.25 + 4.0, 1e-4);
}

TEST(ClassActivation, GradCamPlusPlusPrefersStrongGradients) {
  const auto share = [](double g, double sum) { return g * g / (2 * g * g + sum * g * g * g + 1e-6); };
  const double first = 0.5 * share(0.5, 4.0) + 1.5 * share(1.5, 4.0), second = 2.0 * share(2.0, 1.0);
  const std::vector<float> map = map_of(CamKind::gradcam_plus_plus);
  EXPECT_NEAR(map[0], first + 2.0 * second, 1e-5);
  EXPECT_NEAR(map[1], 3.0 * first - second, 1e-5);
}

TEST(PrincipalActivation, FindsTheDirectionOfMostChange) {
  // All change is along (3, 4): the projection is its length, 5 times the place's factor from the mean.
  const std::vector<double> factors = {0.0, 1.0, 2.0, 7.0};
  Tensor values = Tensor::empty({2, 2, 2});
  for (size_t i = 0; i < factors.size(); ++i) {
    values.f32()[2 * i] = static_cast<float>(3.0 * factors[i] + 10.0);
    values.f32()[2 * i + 1] = static_cast<float>(4.0 * factors[i] - 2.0);
  }
  const Tensor map = principal_activation(values);
  const double sign = map.f32()[3] > 0.0f ? 1.0 : -1.0;
  for (size_t i = 0; i < factors.size(); ++i) EXPECT_NEAR(sign * map.f32()[i], 5.0 * (factors[i] - 2.5), 1e-3);
  EXPECT_GT(map.f32()[3], 0.0f) << "the place that stands out is above zero";
}

TEST(PrincipalActivation, IsZeroWhereNothingVaries) {
  const Tensor map = principal_activation(Tensor::full({2, 2, 3}, 4.0f));
  for (int64_t i = 0; i < map.numel(); ++i) EXPECT_EQ(map.f32()[i], 0.0f);
}

TEST(ScaleCam, RunsFromZeroToOne) {
  Tensor map = Tensor::from<float>({2.0f, 4.0f, 3.0f}, {1, 3});
  scale_cam(map);
  EXPECT_EQ(map.f32()[0], 0.0f);
  EXPECT_NEAR(map.f32()[1], 1.0, 1e-6);
  EXPECT_NEAR(map.f32()[2], 0.5, 1e-6);
}

TEST(CamLayers, AreFoundFromFirstToLast) {
  std::vector<std::string> names;
  for (const CamLayer& layer : cam_layers(test::tiny_subject(test::kTinyVit))) names.push_back(layer.name);
  EXPECT_EQ(names, (std::vector<std::string>{"blocks.0.norm1", "blocks.1.norm1", "blocks.2.norm1"}));
  const std::vector<CamLayer> maps = cam_layers(test::tiny_subject(test::kTinyResnet));
  ASSERT_EQ(maps.size(), 4u);
  EXPECT_EQ(maps.back().name, "layer4");
  EXPECT_TRUE(maps.back().layout.empty());
}

TEST(LayerMap, LeavesPrefixTokensOut) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyRegisterVit);
  Tensor gradient;
  const Tensor map = layer_map(subject, test::random_pixels(), cam_layers(subject).back(), &gradient);
  EXPECT_EQ(map.shape(), Shape({4, 4, 16}));
  EXPECT_EQ(gradient.shape(), map.shape());
}

/// The objective when one value of a map is changed is what the gradient says.
TEST(LayerMap, GradientIsTheSlope) {
  const ClassifierSubject subject = test::tiny_subject(test::kPlainResnet);
  const Tensor pixels = test::random_pixels();
  Tensor early, late;
  layer_map(subject, pixels, cam_layers(subject)[0], &early);
  layer_map(subject, pixels, cam_layers(subject)[3], &late);
  // The head is a mean and a matrix: the gradient of the last map is the same at all places.
  for (int64_t i = late.size(2); i < late.numel(); ++i) EXPECT_FLOAT_EQ(late.f32()[i], late.f32()[i % late.size(2)]);
  double sum = 0.0;
  for (int64_t i = 0; i < early.numel(); ++i) sum += std::abs(early.f32()[i]);
  EXPECT_GT(sum, 0.0);
}

}  // namespace
}  // namespace vit
