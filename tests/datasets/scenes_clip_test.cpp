// Clips: tracks keep what they are, move smoothly, enter, hide and leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "datasets/scenes.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

constexpr int64_t kSide = 96, kFrames = 120;

float center(const SceneObject& object, size_t axis) { return 0.5f * (object.box[axis] + object.box[axis + 2]); }

TEST(SceneClip, FramesAreFunctionsOfTheirNumber) {
  const SceneClip clip(5, 2, 20, 64), again(5, 2, 20, 64), other(5, 3, 20, 64);
  const Scene late = clip.frame(13);
  for (int64_t number = 0; number < 13; ++number) again.frame(number);
  const Scene same = again.frame(13);
  const auto bytes = static_cast<size_t>(late.image.pixels.numel());
  EXPECT_EQ(std::memcmp(late.image.row(0), same.image.row(0), bytes), 0);
  EXPECT_NE(std::memcmp(late.image.row(0), other.frame(13).image.row(0), bytes), 0);
  EXPECT_NE(std::memcmp(late.image.row(0), clip.frame(12).image.row(0), bytes), 0);
}

TEST(SceneClip, TracksKeepTheirLooksAndMoveSmoothly) {
  int64_t entered = 0, left = 0, partly_hidden = 0;
  for (int64_t index = 0; index < 6; ++index) {
    const SceneClip clip(41, index, kFrames, kSide);
    std::map<int64_t, SceneObject> before;
    for (int64_t number = 0; number < kFrames; ++number) {
      std::map<int64_t, SceneObject> now;
      for (const SceneObject& object : clip.frame(number).objects) {
        ASSERT_TRUE(now.emplace(object.id, object).second) << "the same id twice";
        ASSERT_LT(object.id, clip.tracks());
        partly_hidden += object.visibility > 0.1f && object.visibility < 0.8f;
        const auto last = before.find(object.id);
        if (last == before.end()) {
          entered += number > 0;
          continue;
        }
        EXPECT_EQ(object.kind, last->second.kind);
        EXPECT_EQ(object.color, last->second.color);
        EXPECT_EQ(object.size, last->second.size);
        if (object.visibility < 0.99f || last->second.visibility < 0.99f) continue;
        for (const size_t axis : {0, 1})
          EXPECT_LT(std::abs(center(object, axis) - center(last->second, axis)), 0.09f * kSide) << object.id;
      }
      EXPECT_TRUE(now.contains(0)) << "the object that stays";
      for (const auto& [id, object] : before) left += !now.contains(id);
      before = now;
    }
  }
  EXPECT_GT(entered, 10);
  EXPECT_GT(left, 10);
  EXPECT_GT(partly_hidden, 100);
}

TEST(SceneClip, BoxesEncloseVisiblePixels) {
  const SceneClip clip(42, 0, 60, kSide);
  for (int64_t number = 0; number < 60; number += 7) {
    const Scene scene = clip.frame(number);
    std::vector<int64_t> seen(scene.objects.size(), 0);
    for (int64_t y = 0; y < kSide; ++y)
      for (int64_t x = 0; x < kSide; ++x) {
        const uint8_t owner = scene.owners[static_cast<size_t>(y * kSide + x)];
        if (owner == 255) continue;
        ASSERT_LT(owner, scene.objects.size());
        const std::array<float, 4>& box = scene.objects[owner].box;
        EXPECT_TRUE(float(x) >= box[0] && float(x) < box[2] && float(y) >= box[1] && float(y) < box[3]);
        ++seen[owner];
      }
    EXPECT_THAT(seen, testing::Each(testing::Gt(0)));
  }
}

TEST(SceneClip, NonsenseIsRefused) {
  EXPECT_THAT(vit::test::failure([] { SceneClip(1, 0, 0); }), testing::HasSubstr("frames, got 0"));
  EXPECT_THAT(vit::test::failure([] { SceneClip(1, -1, 5); }), testing::HasSubstr("index"));
  EXPECT_THAT(vit::test::failure([] { SceneClip(1, 0, 5, 3); }), testing::HasSubstr("side"));
  EXPECT_THAT(vit::test::failure([] { SceneClip(1, 0, 5, 32).frame(5); }), testing::HasSubstr("0 to 4, got 5"));
}

}  // namespace
}  // namespace datasets
