#include "vit/media/image_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/core/parallel.h"

namespace vit {
namespace {

/// A picture whose first byte says which it is.
std::string numbered(int number) {
  return test::encode_ppm(test::picture(1, 2, std::vector<uint8_t>(6, static_cast<uint8_t>(number))));
}

Preprocessor plain() { return Preprocessor({}, {.rescale = ToFloat::Rescale::kNone, .normalize = false}); }

class Loader : public testing::TestWithParam<int> {
 protected:
  Loader() { set_num_threads(GetParam()); }
  ~Loader() override { set_num_threads(0); }
  test::TempDir dir_;
};

TEST_P(Loader, YieldsEverythingInOrderWithErrorsInPlace) {
  std::vector<std::string> paths;
  for (int i = 0; i < 60; ++i) {
    const std::string name = "p" + std::to_string(i) + ".ppm";
    if (i % 7 == 3)
      paths.push_back((dir_ / "missing.ppm").string());
    else
      paths.push_back(dir_.write(name, i % 7 == 5 ? "P6 2 1 255\nxx" : numbered(i)).string());
  }
  for (const int64_t window : {1, 5, 100}) {
    ImageSource source(paths);
    ImageLoader loader(source, plain(), {.decode = {}, .window = window});
    LoadedImage image;
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(loader.next(image));
      EXPECT_EQ(image.path, paths[static_cast<size_t>(i)]);
      if (i % 7 == 3) {
        EXPECT_EQ(image.error, "no such file or folder");
      } else if (i % 7 == 5) {
        EXPECT_THAT(image.error, testing::HasSubstr("truncated PNM"));
      } else {
        EXPECT_EQ(image.error, "");
        EXPECT_EQ(image.size, (Extent{1, 2}));
        EXPECT_EQ(image.pixels.f32()[0], static_cast<float>(i));
      }
      EXPECT_EQ(image.pixels.defined(), image.error.empty());
    }
    EXPECT_FALSE(loader.next(image));
    EXPECT_FALSE(loader.next(image));
  }
}

TEST_P(Loader, TakesItemsThatAreNoFiles) {
  int fed = 0;
  const auto feed = [&](SourceItem& item) {
    item = {.path = "item " + std::to_string(fed), .error = {}};
    return fed++ < 40;
  };
  const auto load = [](int64_t number) {
    check(number != 7, "item 7: out of order");
    return test::picture(1, 1, std::vector<uint8_t>(3, static_cast<uint8_t>(number)));
  };
  ImageLoader loader(feed, plain(), {.decode = {}, .window = 9, .load = load});
  LoadedImage image;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(loader.next(image));
    EXPECT_EQ(image.error, i == 7 ? "out of order" : "");
    if (i != 7) {
      EXPECT_EQ(image.pixels.f32()[0], static_cast<float>(i));
    }
  }
  EXPECT_FALSE(loader.next(image));
}

TEST_P(Loader, ReadsNoFurtherAheadThanItsWindow) {
  const std::string path = dir_.write("p.ppm", numbered(1)).string();
  int fed = 0;
  ImageLoader loader(
      [&](SourceItem& item) {
        ++fed;
        item = {path, ""};
        return true;
      },
      plain(), {.decode = {}, .window = 4});
  LoadedImage image;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(loader.next(image));
  EXPECT_LE(fed, 10 + 4);
}  // and the destructor does not wait for pictures that nobody wants

TEST_P(Loader, WorksBesideParallelLoops) {
  std::vector<std::string> paths;
  for (int i = 0; i < 40; ++i) paths.push_back(dir_.write("p" + std::to_string(i) + ".ppm", numbered(i)).string());
  ImageSource source(paths);
  ImageLoader loader(source, plain(), {.decode = {}, .window = 8});
  LoadedImage image;
  for (int i = 0; loader.next(image); ++i) {
    std::vector<float> sums(64);
    parallel_for(64, [&](int64_t part) { sums[static_cast<size_t>(part)] = image.pixels.f32()[0]; });
    for (const float sum : sums) ASSERT_EQ(sum, static_cast<float>(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Loader, testing::Values(1, 2, 4));

TEST(LoaderOptions, AWindowBelowOneIsRefused) {
  ImageSource source(std::vector<std::string>{});
  EXPECT_THROW(ImageLoader(source, plain(), {.decode = {}, .window = 0}), Error);
}

}  // namespace
}  // namespace vit
