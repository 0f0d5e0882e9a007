// Scenes: the same bytes always, true annotations, a main object that cannot be mistaken.
#include "datasets/scenes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "datasets/open.h"
#include "datasets/scenes_plan.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"

namespace datasets {
namespace {

using testing::HasSubstr;

uint64_t hash_of(const uint8_t* bytes, size_t count, uint64_t hash = 0xcbf29ce484222325ull) {
  for (size_t i = 0; i < count; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  return hash;
}

uint64_t hash_of(const Scene& scene) {
  uint64_t hash = hash_of(scene.image.row(0), static_cast<size_t>(scene.image.pixels.numel()));
  hash = hash_of(scene.owners.data(), scene.owners.size(), hash);
  for (const SceneObject& object : scene.objects)
    hash = hash_of(reinterpret_cast<const uint8_t*>(object.box.data()), sizeof(object.box), hash);
  for (const std::string& caption : scene.captions)
    hash = hash_of(reinterpret_cast<const uint8_t*>(caption.data()), caption.size(), hash);
  return hash;
}

TEST(Scenes, SameBytesOnAnyNumberOfThreads) {
  std::map<int, std::vector<uint64_t>> hashes;
  for (const int threads : {1, 2, 8}) {
    vit::set_num_threads(threads);
    hashes[threads].resize(48);
    vit::parallel_try(48, [&](int64_t i) { hashes[threads][static_cast<size_t>(i)] = hash_of(draw_scene(11, i, 64)); });
  }
  vit::set_num_threads(0);
  EXPECT_EQ(hashes[1], hashes[2]);
  EXPECT_EQ(hashes[1], hashes[8]);
  EXPECT_EQ(std::set<uint64_t>(hashes[1].begin(), hashes[1].end()).size(), 48u);  // and no two alike
  EXPECT_NE(hash_of(draw_scene(12, 0, 64)), hashes[1][0]);
}

TEST(Scenes, BoxesEncloseExactlyWhatIsDrawn) {
  for (int64_t index = 0; index < 200; ++index) {
    const int64_t side = index % 2 == 0 ? 64 : 128;
    const Scene scene = draw_scene(21, index, side);
    ASSERT_FALSE(scene.objects.empty());
    ASSERT_EQ(scene.owners.size(), static_cast<size_t>(side * side));
    for (size_t number = 0; number < scene.objects.size(); ++number) {
      std::array<float, 4> box{1e9f, 1e9f, -1, -1};
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x)
          if (scene.owners[static_cast<size_t>(y * side + x)] == number) {
            const auto px = static_cast<float>(x), py = static_cast<float>(y);
            box = {std::min(box[0], px), std::min(box[1], py), std::max(box[2], px + 1), std::max(box[3], py + 1)};
          }
      EXPECT_EQ(box, scene.objects[number].box) << "scene " << index << ", object " << number;
    }
  }
}

/// Against the outlines of the plan, which know nothing of owner maps.
TEST(Scenes, DrawnPixelsLieInTheBoxOfTheirObject) {
  for (uint64_t index = 0; index < 100; ++index) {
    const ScenePlan plan = plan_scene(22, index);
    const Scene scene = draw_scene(22, static_cast<int64_t>(index), 96);
    for (const SceneObject& object : scene.objects) {
      const vit::Mask mask = object_mask(plan.objects[static_cast<size_t>(object.id)], 96);
      // The visible box lies in the box of the whole object; an object that is wholly visible fills it.
      EXPECT_GE(object.box[0], static_cast<float>(mask.rect.x0));
      EXPECT_GE(object.box[1], static_cast<float>(mask.rect.y0));
      EXPECT_LE(object.box[2], static_cast<float>(mask.rect.x1));
      EXPECT_LE(object.box[3], static_cast<float>(mask.rect.y1));
      if (object.visibility == 1.0f) {  // but for tips that are thinner than a pixel
        EXPECT_LE(object.box[0] - static_cast<float>(mask.rect.x0), 4.0f);
        EXPECT_LE(static_cast<float>(mask.rect.y1) - object.box[3], 4.0f);
      }
      EXPECT_GT(object.visibility, 0.0f);
      EXPECT_LE(object.visibility, 1.0f);
    }
  }
}

TEST(Scenes, TheMainObjectIsUnmistakable) {
  std::vector<int64_t> classes(kSceneKinds, 0), counts(kMaxSceneObjects + 1, 0);
  double least = 1.0;
  for (int64_t index = 0; index < 1500; ++index) {
    const Scene scene = draw_scene(23, index, 64);
    const SceneObject& main = scene.objects[0];
    ASSERT_EQ(main.id, 0);
    EXPECT_EQ(static_cast<int64_t>(main.kind), scene.label);
    EXPECT_EQ(scene.label, scene_label(23, index));
    least = std::min(least, static_cast<double>(main.visibility));
    for (size_t i = 1; i < scene.objects.size(); ++i) EXPECT_LT(scene.objects[i].size, main.size);
    ++classes[static_cast<size_t>(scene.label)];
    ASSERT_LE(scene.objects.size(), static_cast<size_t>(kMaxSceneObjects));
    ++counts[scene.objects.size()];
  }
  EXPECT_GE(least, 0.8);
  EXPECT_THAT(classes, testing::Each(testing::AllOf(testing::Gt(105), testing::Lt(195))));
  for (size_t count = 1; count < counts.size(); ++count) EXPECT_GT(counts[count], 30) << count << " objects";
}

TEST(Scenes, ColoursLookLikeTheirNames) {
  // The main object's mean colour, freed from its brightness, is nearest to that of its own name.
  const auto direction = [](std::array<double, 3> rgb) {
    const double length = std::sqrt(rgb[0] * rgb[0] + rgb[1] * rgb[1] + rgb[2] * rgb[2]) + 1e-9;
    return std::array<double, 3>{rgb[0] / length, rgb[1] / length, rgb[2] / length};
  };
  int64_t right = 0;
  constexpr int64_t kScenes = 300;
  for (int64_t index = 0; index < kScenes; ++index) {
    const Scene scene = draw_scene(24, index, 64);
    std::array<double, 3> sum{};
    for (size_t i = 0; i < scene.owners.size(); ++i)
      if (scene.owners[i] == 0)
        for (size_t c = 0; c < 3; ++c) sum[c] += scene.image.row(0)[3 * i + c];
    const auto seen = direction(sum);
    int64_t best = 0;
    double nearest = -1.0;
    for (int64_t color = 0; color < kSceneColors; ++color) {
      const vit::Color rgb = rgb_of(static_cast<SceneColor>(color));
      const auto named = direction({double(rgb.r), double(rgb.g), double(rgb.b)});
      const double cosine = seen[0] * named[0] + seen[1] * named[1] + seen[2] * named[2];
      if (cosine > nearest) {
        nearest = cosine;
        best = color;
      }
    }
    right += best == static_cast<int64_t>(scene.objects[0].color);
  }
  EXPECT_GE(right, kScenes * 97 / 100);
}

TEST(Scenes, ResolutionChangesNothingButResolution) {
  for (int64_t index = 0; index < 30; ++index) {
    const Scene small = draw_scene(25, index, 64), large = draw_scene(25, index, 192);
    ASSERT_EQ(small.objects.size(), large.objects.size());
    for (size_t i = 0; i < small.objects.size(); ++i) {
      EXPECT_EQ(small.objects[i].kind, large.objects[i].kind);
      // Of a hidden object a sliver may show at one resolution only.
      if (small.objects[i].visibility < 1.0f || large.objects[i].visibility < 1.0f) continue;
      for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(small.objects[i].box[k], large.objects[i].box[k] / 3.0f, 2.5f);
    }
  }
}

TEST(Scenes, ShapesFillTheirUnitAndDiffer) {
  std::set<uint64_t> hashes;
  for (int64_t kind = 0; kind < kSceneKinds; ++kind) {
    PlannedObject object;
    object.kind = static_cast<SceneKind>(kind);
    object.center = {0.5f, 0.5f};
    object.radius = 0.45f;
    const vit::Mask mask = object_mask(object, 100);
    EXPECT_GE(std::max(mask.rect.width(), mask.rect.height()), 70) << name_of(object.kind);
    EXPECT_LE(std::max(mask.rect.width(), mask.rect.height()), 100) << name_of(object.kind);
    hashes.insert(hash_of(mask.values.data(), mask.values.size()));
  }
  EXPECT_EQ(hashes.size(), static_cast<size_t>(kSceneKinds));
}

TEST(Scenes, DatasetAnswersByIndex) {
  const auto dataset = open_scenes("scenes:7:20:48");
  EXPECT_EQ(dataset->size(), 20);
  EXPECT_EQ(dataset->class_names().size(), 10u);
  EXPECT_EQ(dataset->class_names()[9], "bolt");
  EXPECT_EQ(dataset->source(3), "scenes:7:3:48");
  EXPECT_EQ(dataset->load(3).height(), 48);
  EXPECT_EQ(dataset->label(3), draw_scene(7, 3, 48).label);
  EXPECT_EQ(open_scenes("scenes:0:1")->side(), 128);
  EXPECT_THAT(vit::test::failure([&] { dataset->load(20); }), HasSubstr("0 to 19, got 20"));
  EXPECT_TRUE(is_scenes_spec("scenes:1:2"));
  EXPECT_FALSE(is_scenes_spec("/data/scenes"));
}

TEST(Scenes, AreAFormatOfDataSets) {
  const OpenedDataset opened = open_dataset("scenes:7:20:48");
  EXPECT_EQ(opened.format, "scenes");
  EXPECT_EQ(opened.data->size(), 20);
  EXPECT_EQ(opened.data->load(4).width(), 48);
  EXPECT_EQ(opened.split, "");
  EXPECT_THAT(vit::test::usage_error([] { open_dataset("scenes:7"); }), HasSubstr("scenes:SEED:COUNT[:SIDE]"));
}

TEST(Scenes, WrongSpecsSayWhatIsExpected) {
  for (const char* spec : {"scenes", "scenes:", "scenes:1", "scenes:a:2", "scenes:1:2:3:4",
                           "scenes:1:2:", "scenes:-1:2", "scenes:1:2x", "scenes: 1:2", "scenes:99999999999999999999:1"})
    EXPECT_THAT(vit::test::usage_error([&] { open_scenes(spec); }), HasSubstr("scenes:SEED:COUNT[:SIDE]")) << spec;
  EXPECT_THAT(vit::test::usage_error([] { open_scenes("scenes:1:0"); }), HasSubstr("at least one"));
  EXPECT_THAT(vit::test::usage_error([] { open_scenes("scenes:1:5:8"); }), HasSubstr("16 to 2048"));
  EXPECT_THAT(vit::test::failure([] { draw_scene(1, -1); }), HasSubstr("index"));
  EXPECT_THAT(vit::test::failure([] { draw_scene(1, 0, 4000); }), HasSubstr("side"));
}

TEST(Scenes, TinyAndLargePicturesWork) {
  for (const int64_t side : {16, 31, 400})
    for (int64_t index = 0; index < 10; ++index) EXPECT_EQ(draw_scene(26, index, side).image.width(), side);
}

}  // namespace
}  // namespace datasets
