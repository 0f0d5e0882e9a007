#include "vit/explain/object_share.h"

#include <gtest/gtest.h>

namespace vit {
namespace {

TEST(ObjectShare, IsMassInsideAndWhereTheMaximumIs) {
  const Tensor map = Tensor::from<float>({0, 1, 0, 0,  //
                                          0, 4, 2, 0,  //
                                          0, 0, 1, 0},
                                         {3, 4});
  const ObjectShare share = object_share(map, true, {1.0, 0.0, 2.0, 2.0}, 3, 4);
  EXPECT_DOUBLE_EQ(share.mass, 5.0 / 8.0);
  EXPECT_DOUBLE_EQ(share.pointing, 1.0);
  EXPECT_DOUBLE_EQ(share.area, 2.0 / 12.0);
  const ObjectShare cut = object_share(map, true, {1.5, 0.0, 4.0, 3.0}, 3, 4);
  EXPECT_DOUBLE_EQ(cut.mass, (0.5 * 5.0 + 3.0) / 8.0);
  EXPECT_DOUBLE_EQ(object_share(map, true, {2.0, 0.0, 4.0, 3.0}, 3, 4).pointing, 0.0);
}

TEST(ObjectShare, SignedMapsCountTheirPositivePartOthersWhatExceedsTheSmallest) {
  const Tensor map = Tensor::from<float>({-1, 0, 1, 2}, {1, 4});
  const Corners right{2.0, 0.0, 4.0, 1.0};
  EXPECT_DOUBLE_EQ(object_share(map, true, right, 1, 4).mass, 1.0);
  EXPECT_DOUBLE_EQ(object_share(map, false, right, 1, 4).mass, 5.0 / 6.0);
}

TEST(ObjectShare, ConstantMapsHaveWhatChanceGives) {
  const Corners box{0.0, 0.0, 2.0, 3.0};
  for (const float value : {0.0f, 0.7f}) {
    const ObjectShare share = object_share(Tensor::full({2, 2}, value), false, box, 6, 6);
    EXPECT_NEAR(share.area, 6.0 / 36.0, 1e-12);
    EXPECT_NEAR(share.mass, share.area, 1e-6);
    EXPECT_NEAR(share.pointing, share.area, 1e-12);
  }
  EXPECT_NEAR(object_share(Tensor::full({2, 2}, -1.0f), true, box, 6, 6).mass, 6.0 / 36.0, 1e-12);
}

}  // namespace
}  // namespace vit
