// Where queries looked, on the reference checkpoints of all families.
#include "detection/attention_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "detection/detector.h"
#include "tests/support/errors.h"
#include "vit/core/rng.h"
#include "vit/models/labels.h"

namespace detection {
namespace {

using testing::HasSubstr;
using vit::Tensor;

vit::Image noise(int64_t height, int64_t width) {
  vit::Image image(height, width);
  vit::Rng rng(9);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = static_cast<uint8_t>(rng.next_u32());
  return image;
}

double sum_of(const Tensor& map) { return std::accumulate(map.f32(), map.f32() + map.numel(), 0.0); }

struct Family {
  std::string golden;
  bool sampled;
  double least, most;  ///< of a map's sum
};

class AttentionMapTest : public testing::TestWithParam<Family> {
 protected:
  Detector detector_ = Detector::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/" + GetParam().golden,
                                      {.img_size = 96, .post = {.threshold = 0.0}});
  vit::Image picture_ = noise(80, 120);
  std::vector<Detection> detections_ = detector_(picture_);
};

TEST_P(AttentionMapTest, EachQueryHasAMapOfItsOwn) {
  const std::vector<AttentionMap> maps = attention_maps(detector_, picture_, detections_);
  ASSERT_EQ(maps.size(), detections_.size());
  for (const AttentionMap& map : maps) {
    EXPECT_EQ(map.sampled, GetParam().sampled);
    EXPECT_GE(sum_of(map.cells), GetParam().least);
    EXPECT_LE(sum_of(map.cells), GetParam().most);
    EXPECT_GE(*std::min_element(map.cells.f32(), map.cells.f32() + map.cells.numel()), 0.0f);
    EXPECT_LE(map.rows, static_cast<double>(map.cells.size(0)));
    EXPECT_GT(map.columns, 0.0);
  }
  // The same query looks at the same, whatever it found.
  for (size_t i = 0; i < maps.size(); ++i)
    for (size_t k = 0; k < i; ++k) {
      const bool same =
          std::equal(maps[i].cells.f32(), maps[i].cells.f32() + maps[i].cells.numel(), maps[k].cells.f32());
      EXPECT_EQ(same, detections_[i].query == detections_[k].query) << i << " and " << k;
    }
}

TEST_P(AttentionMapTest, TheMeanOverHeadsIsThat) {
  const std::vector<Detection> one(detections_.begin(), detections_.begin() + 1);
  const Tensor mean = attention_maps(detector_, picture_, one).front().cells;
  Tensor sum = Tensor::zeros(mean.shape());
  int64_t heads = 0;
  for (; heads < 64; ++heads) {
    Tensor cells;
    try {
      cells = attention_maps(detector_, picture_, one, {.head = heads}).front().cells;
    } catch (const vit::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("the layer has " + std::to_string(heads)));
      break;
    }
    for (int64_t i = 0; i < sum.numel(); ++i) sum.f32()[i] += cells.f32()[i];
  }
  ASSERT_GT(heads, 1);
  for (int64_t i = 0; i < sum.numel(); ++i) EXPECT_NEAR(mean.f32()[i], sum.f32()[i] / static_cast<float>(heads), 1e-6);
}

TEST_P(AttentionMapTest, TheLastLayerIsTheDefault) {
  const std::vector<Detection> one(detections_.begin(), detections_.begin() + 1);
  const int64_t layers = detector_.model().attention_layers();
  const auto cells = [&](std::optional<int64_t> layer) {
    return attention_maps(detector_, picture_, one, {.layer = layer}).front().cells;
  };
  const Tensor last = cells({}), named = cells(layers - 1), first = cells(0);
  EXPECT_TRUE(std::equal(last.f32(), last.f32() + last.numel(), named.f32()));
  EXPECT_FALSE(std::equal(last.f32(), last.f32() + last.numel(), first.f32()));
  EXPECT_THAT(vit::test::usage_error([&] { cells(layers); }), HasSubstr("the model has " + std::to_string(layers)));
}

TEST_P(AttentionMapTest, IsDrawnOverThePicture) {
  const std::vector<Detection> one(detections_.begin(), detections_.begin() + 1);
  const AttentionMap map = attention_maps(detector_, picture_, one).front();
  const Tensor heat = map_on_picture(map, {picture_.height(), picture_.width()});
  EXPECT_EQ(heat.shape(), (vit::Shape{80, 120}));
  EXPECT_EQ(*std::max_element(heat.f32(), heat.f32() + heat.numel()), 1.0f);
  const vit::Image drawn = draw_attention(picture_, map, one.front(), detector_.labels());
  EXPECT_EQ(drawn.pixels.shape(), picture_.pixels.shape());
  EXPECT_NE(0, std::memcmp(drawn.row(0), picture_.row(0), 80 * 120 * 3));
}

// A map of DETR is all of the query's attention; YOLOS' tokens look at each other as well, and points may lie outside.
INSTANTIATE_TEST_SUITE_P(Families, AttentionMapTest,
                         testing::Values(Family{"B2_yolos", false, 0.01, 0.999},
                                         Family{"B3b_detr_hf_resnet_backbone", false, 0.9999, 1.0001},
                                         Family{"B6_rtdetr", true, 0.0, 1.0001},
                                         Family{"B6c_deformable_detr_refine_twostage", true, 0.0, 1.0001}),
                         [](const auto& entry) { return entry.param.golden; });

TEST(MapOnPicture, IsBilinearBetweenCentresAndLeavesPaddingOut) {
  AttentionMap map;
  map.cells = Tensor::zeros({2, 3});
  map.cells.f32()[1] = 2.0f;
  map.rows = 2.0;
  map.columns = 2.0;  // the third column is padding
  map.cells.f32()[2] = 9.0f;
  const Tensor heat = map_on_picture(map, {4, 4});
  EXPECT_EQ(heat.f32()[0], 0.0f) << "left of the first centre";
  // Columns lie at 0.25, 0.75, 1.25 and 1.75 cells: the last is a quarter of the way from the second to the third.
  const double last = 2.0 + 0.25 * 7.0;
  EXPECT_NEAR(heat.f32()[3], 1.0, 1e-6);
  EXPECT_NEAR(heat.f32()[1], 0.25 * 2.0 / last, 1e-6);
  EXPECT_NEAR(heat.f32()[2], 0.75 * 2.0 / last, 1e-6);
  AttentionMap nothing = map;
  nothing.cells = Tensor::zeros({2, 3});
  const Tensor none = map_on_picture(nothing, {4, 4});
  EXPECT_EQ(*std::max_element(none.f32(), none.f32() + 16), 0.0f) << "not a number";
}

TEST(MapOnPicture, PointsAreWidened) {
  AttentionMap map{.cells = Tensor::zeros({9, 9}), .rows = 9.0, .columns = 9.0, .sampled = true};
  map.cells.f32()[4 * 9 + 4] = 1.0f;
  const Tensor heat = map_on_picture(map, {9, 9});
  EXPECT_EQ(heat.f32()[4 * 9 + 4], 1.0f);
  EXPECT_NEAR(heat.f32()[4 * 9 + 5], std::exp(-0.5f), 1e-5);
  EXPECT_EQ(heat.f32()[0], 0.0f);
}

}  // namespace
}  // namespace detection
