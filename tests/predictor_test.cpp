// The classification face of the library, on the reference checkpoints of tests/goldens.
#include "vit/predictor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"
#include "vit/image/preprocess.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/models/model.h"

namespace vit {
namespace {

std::string golden(const std::string& name) { return std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/" + name; }

Image noise(int64_t height, int64_t width) {
  Image image(height, width);
  Rng rng(9);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = static_cast<uint8_t>(rng.next_u32());
  return image;
}

class ClassifierTest : public testing::TestWithParam<std::string> {};

TEST_P(ClassifierTest, ScoresAreASortedSoftmaxOfTheLogits) {
  const Classifier classifier = Classifier::load(golden(GetParam()), {.topk = 3});
  const Image image = noise(70, 120);
  const std::vector<Prediction> predictions = classifier(image);
  ASSERT_EQ(predictions.size(), 3u);
  const Tensor pixels = classifier.preprocessor()(image);
  const Tensor logits = classifier.logits(pixels.view({1, 3, pixels.size(1), pixels.size(2)}));
  double sum = 0.0;
  for (float value : logits.span<float>()) sum += std::exp(static_cast<double>(value));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(predictions[i].score, std::exp(static_cast<double>(logits.f32()[predictions[i].index])) / sum, 1e-6);
    EXPECT_EQ(predictions[i].label, classifier.labels().name(predictions[i].index));
    EXPECT_GE(predictions[i == 0 ? 0 : i - 1].score, predictions[i].score);
  }
}

TEST_P(ClassifierTest, ABatchAnswersEachPicture) {
  const Classifier classifier = Classifier::load(golden(GetParam()));
  const std::vector<Image> images = {noise(40, 50), noise(90, 60), noise(64, 64)};
  const auto together = classifier(images);
  ASSERT_EQ(together.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto alone = classifier(images[i]);
    ASSERT_EQ(together[i].size(), alone.size());
    for (size_t k = 0; k < alone.size(); ++k) EXPECT_EQ(together[i][k].score, alone[k].score);
  }
  EXPECT_TRUE(classifier(std::vector<Image>{}).empty());
}

INSTANTIATE_TEST_SUITE_P(Dialects, ClassifierTest, testing::Values("A1b_vit_gap", "B8d_hf_deit_distilled"));

TEST(Classifier, AFineTunedHuggingFaceCheckpointKeepsItsProcessor) {
  namespace fs = std::filesystem;
  const test::TempDir dir;
  const fs::path original = golden("B8d_hf_deit_distilled");
  for (const char* file : {"model.safetensors", "preprocessor_config.json"}) fs::copy_file(original / file, dir / file);
  nlohmann::json config = load_json(original / "config.json");
  config["vitkit"] = {{"name", "deit"}};
  dir.write("config.json", config.dump());
  const auto description = [](const fs::path& folder) {
    const Checkpoint checkpoint = Checkpoint::open(folder.string());
    const auto model = load_model(Checkpoint::open(golden("B8d_hf_deit_distilled")));
    return load_preprocessor(checkpoint, *model).description();
  };
  EXPECT_EQ(description(dir.path()), description(original));
}

TEST(Classifier, ConcurrentCallsGiveTheSameAnswers) {
  const Classifier classifier = Classifier::load(golden("A1b_vit_gap"));
  const Image image = noise(80, 80);
  const auto want = classifier(image);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i)
        if (classifier(image).front().score != want.front().score) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Classifier, AnotherImageSizeResamplesThePositions) {
  const Classifier classifier = Classifier::load(golden("A1b_vit_gap"), {.img_size = 128});
  EXPECT_EQ(classifier.model().info().input_size, (std::array<int64_t, 2>{128, 128}));
  EXPECT_FALSE(classifier(noise(50, 50)).empty());
  // What fills no whole patch is ignored, as a strided convolution ignores it: 100 pixels are 6 patches of 16.
  EXPECT_FALSE(Classifier::load(golden("A1b_vit_gap"), {.img_size = 100})(noise(50, 50)).empty());
}

TEST(Classifier, AConfigurationHasRandomWeightsAndSaysSo) {
  const Classifier classifier = Classifier::load("vit_cifar", {.seed = 3});
  EXPECT_FALSE(classifier.trained());
  EXPECT_EQ(classifier(noise(32, 32)).size(), 5u);
}

TEST(Classifier, RefusesAModelWithoutAHead) {
  EXPECT_THAT(test::usage_error([] { Classifier::load(golden("A3_dinov2_reg4")); }),
              testing::HasSubstr("no classification head"));
  EXPECT_THAT(test::usage_error([] { Classifier::load("no_such_model"); }), testing::HasSubstr("no_such_model"));
}

}  // namespace
}  // namespace vit
