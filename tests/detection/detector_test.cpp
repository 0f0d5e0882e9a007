// The library's face for detection, on the reference checkpoints of tests/goldens.
#include "detection/detector.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/errors.h"
#include "vit/core/rng.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace detection {
namespace {

using testing::HasSubstr;

std::string golden(const std::string& name) { return std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/" + name; }

vit::Image noise(int64_t height, int64_t width, uint64_t seed = 9) {
  vit::Image image(height, width);
  vit::Rng rng(seed);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = static_cast<uint8_t>(rng.next_u32());
  return image;
}

/// Everything, small.
DetectorOptions options() { return {.img_size = 96, .post = {.threshold = 0.0}}; }

void expect_same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].query, b[i].query);
    EXPECT_NEAR(a[i].score, b[i].score, 1e-6);
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(a[i].box[k], b[i].box[k], 1e-3);
  }
}

class DetectorTest : public testing::TestWithParam<std::string> {
 protected:
  Detector detector_ = Detector::load(golden(GetParam()), options());
};

TEST_P(DetectorTest, GivesTheBestFirstInPixelsOfThePicture) {
  EXPECT_TRUE(detector_.trained());
  EXPECT_EQ(detector_.labels().size(), detector_.model().info().num_classes);
  EXPECT_EQ(detector_.label(1), detector_.labels().name(1));
  const std::vector<Detection> small = detector_(noise(100, 150));
  ASSERT_EQ(small.size(), static_cast<size_t>(detector_.model().num_queries()));
  for (size_t i = 1; i < small.size(); ++i) EXPECT_GE(small[i - 1].score, small[i].score);
  const vit::PixelBatch batch = detector_.prepare({noise(100, 150)});
  vit::Context ctx;
  const DetectionLevel level = detector_.run(ctx, batch);
  const auto twice = detector_.finish(level, 0, {200, 300}, detector_.post());
  ASSERT_EQ(twice.size(), small.size());
  for (size_t i = 0; i < small.size(); ++i)
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(twice[i].box[k], 2.0 * small[i].box[k], 1e-3);
}

TEST_P(DetectorTest, ABatchOfOneSizeAnswersEachPicture) {
  const std::vector<vit::Image> images = {noise(100, 150, 1), noise(100, 150, 2)};
  const auto together = detector_(images);
  for (size_t i = 0; i < 2; ++i) expect_same(together[i], detector_(images[i]));
  EXPECT_TRUE(detector_(std::vector<vit::Image>{}).empty());
}

TEST_P(DetectorTest, ConcurrentCallsGiveTheSameAnswers) {
  const vit::Image image = noise(80, 80);
  const auto alone = detector_(image);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&, copy = detector_] { expect_same(copy(image), alone); });
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Families, DetectorTest, testing::Values("B2_yolos", "B3b_detr_hf_resnet_backbone"));

TEST(Detector, APaddedPictureOfAModelWithoutAMaskIsAnsweredAsIfAlone) {
  const Detector detector = Detector::load(golden("B2_yolos"), options());
  const std::vector<vit::Image> images = {noise(100, 150), noise(150, 100), noise(96, 96)};
  const auto together = detector(images);
  for (size_t i = 0; i < images.size(); ++i) expect_same(together[i], detector(images[i]));
}

TEST(Detector, PicturesOfSeveralSizesAreMasked) {
  const Detector detector = Detector::load(golden("B3b_detr_hf_resnet_backbone"), options());
  const vit::PixelBatch batch = detector.prepare({noise(100, 150), noise(150, 100)});
  ASSERT_TRUE(batch.pixel_mask.defined());
  EXPECT_FALSE(batch.sizes[0] == batch.sizes[1]);
  EXPECT_EQ(detector({noise(100, 150), noise(150, 100)}).size(), 2u);
}

TEST(Detector, TheThresholdAndTheNumberAreTheOptions) {
  DetectorOptions few = options();
  few.post.max_det = 3;
  EXPECT_EQ(Detector::load(golden("B2_yolos"), few)(noise(96, 96)).size(), 3u);
  few.post.threshold = 0.999;
  EXPECT_TRUE(Detector::load(golden("B2_yolos"), few)(noise(96, 96)).empty());
}

TEST(Detector, AModelConfigurationHasRandomWeights) {
  const Detector detector = Detector::load("yolos_tiny", {.img_size = 64});
  EXPECT_FALSE(detector.trained());
  EXPECT_EQ(detector.labels().size(), 91);
  EXPECT_NO_THROW(detector(noise(40, 60)));
}

TEST(Detector, EachKindOfModelSendsItsUsersToItsVerb) {
  EXPECT_THAT(vit::test::usage_error([] { Detector::load(golden("A1b_vit_gap")); }), HasSubstr("`vitkit classify`"));
  EXPECT_THAT(vit::test::usage_error([] { vit::Classifier::load(golden("B2_yolos")); }), HasSubstr("`vitkit detect`"));
}

}  // namespace
}  // namespace detection
