#include "vit/explain/overlay_film.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/film.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using testing::HasSubstr;

Image grey(int64_t height, int64_t width) {
  Image image(height, width);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = 90;
  return image;
}

TEST(OverlayFilm, FramesBecomeAFilm) {
  const test::TempDir dir;
  const std::string path = (dir / "film.avi").string();
  Extent first{};
  {
    OverlayFilm film(path, {.frame_rate = 10.0});
    for (int64_t i = 0; i < 4; ++i) {
      const Tensor map = Tensor::from<float>({static_cast<float>(i), 3.0f - static_cast<float>(i)}, {1, 2});
      // Lines come and go: the film keeps its size.
      const OverlayOptions options{.title = "frame " + std::to_string(i),
                                   .lines = std::vector<std::string>(static_cast<size_t>(i), "line"),
                                   .scale = MapScale{0.0, 3.0},
                                   .opacity = 1.0};
      if (i == 0) {
        const Image drawn = draw_overlay(grey(48, 64), map, {}, options);
        first = {drawn.height() / 2 * 2, drawn.width() / 2 * 2};
      }
      film.add(grey(48, 64), map, {}, options);
    }
    film.finish();
  }
  const std::vector<VideoEvent> events = test::read_all(path);
  ASSERT_EQ(events.size(), 5u);
  for (size_t i = 0; i < 4; ++i) {
    const Image& frame = events[i].image;
    EXPECT_EQ(frame.height(), first.height);
    EXPECT_EQ(frame.width(), first.width);
    // The left half of the map goes from dark violet to yellow.
    const int red = frame.row(80)[3 * 60];
    EXPECT_NEAR(red, i == 0 ? 68 : i == 3 ? 253 : 60, i == 0 || i == 3 ? 25 : 60) << i;
  }
}

TEST(OverlayFilm, WithoutAFrameThereIsNoFile) {
  const test::TempDir dir;
  { OverlayFilm film((dir / "film.avi").string()); }
  EXPECT_TRUE(dir.entries().empty());
  OverlayFilm film((dir / "film.xyz").string());
  EXPECT_THAT(test::usage_error([&] { film.add(grey(32, 32)); }), HasSubstr("film.xyz"));
  EXPECT_THAT(test::failure([&] { film.add(Image()); }), HasSubstr("no picture"));
}

}  // namespace
}  // namespace vit
