#include "detection/coco_plots.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "vit/image/encode.h"

namespace detection {
namespace {

/// `classes` classes with objects of which more and more are found at the wrong place.
CocoResult result_of(int64_t classes) {
  CocoTruth truth;
  std::vector<CocoDetection> detections;
  for (int64_t image = 0; image < 20; ++image) truth.images.push_back(image);
  for (int64_t k = 0; k < classes; ++k) {
    truth.categories.push_back(k);
    for (int64_t image = 0; image < 20; ++image) {
      const CocoBox box = {10, 10, 60, 60};
      truth.objects.push_back({.image = image, .category = k, .box = box, .area = 3600});
      const double shift = static_cast<double>((image * 7 + k) % 20) * (1.0 + 0.1 * static_cast<double>(k));
      detections.push_back({image, k, {10 + shift, 10, 60, 60}, 1.0 - 0.02 * shift});
    }
  }
  return evaluate_coco(truth, detections);
}

std::vector<std::string> names_of(int64_t classes) {
  std::vector<std::string> names;
  for (int64_t k = 0; k < classes; ++k) names.push_back("class " + std::to_string(k));
  return names;
}

/// For whoever wants to look: VITKIT_PLOT_DIR.
void keep(const vit::Image& picture, const std::string& name) {
  if (const char* dir = std::getenv("VITKIT_PLOT_DIR")) vit::save_image(std::string(dir) + "/" + name, picture);
}

TEST(CocoPlots, DrawForAnyNumberOfClasses) {
  for (const int64_t classes : {0, 1, 5, 60}) {
    const CocoResult result = result_of(classes);
    const vit::Image curve = plot_precision_recall(result), bars = plot_class_precision(result, names_of(classes));
    EXPECT_EQ(curve.width(), 640) << classes;
    EXPECT_GT(bars.width(), 200) << classes;
    keep(curve, "pr_" + std::to_string(classes) + ".png");
    keep(bars, "bars_" + std::to_string(classes) + ".png");
  }
}

TEST(CocoPlots, DifferWithTheFigures) {
  const vit::Image one = plot_precision_recall(result_of(1)), five = plot_precision_recall(result_of(5));
  ASSERT_EQ(one.height(), five.height());
  EXPECT_NE(vit::test::pixels_of(one), vit::test::pixels_of(five));
  EXPECT_THAT(vit::test::failure([] { plot_class_precision(result_of(2), {"one"}); }), ::testing::HasSubstr("names"));
}

}  // namespace
}  // namespace detection
