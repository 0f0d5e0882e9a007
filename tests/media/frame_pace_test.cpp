#include "vit/media/frame_pace.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/film.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

std::vector<int64_t> given(FramePace pace, int64_t frames, double rate, double from = 0.0) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < frames; ++i)
    if (pace.wants(from + static_cast<double>(i) / rate)) numbers.push_back(i);
  return numbers;
}

TEST(FramePace, GivesEverySoManyFrames) {
  EXPECT_EQ(given({1, 0.0}, 3, 10.0), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(given({4, 0.0}, 10, 10.0), (std::vector<int64_t>{0, 4, 8}));
}

TEST(FramePace, GivesTheFirstFrameOfEveryInterval) {
  EXPECT_EQ(given({1, 1.0}, 35, 10.0), (std::vector<int64_t>{0, 10, 20, 30}));
  EXPECT_EQ(given({1, 0.25}, 10, 10.0), (std::vector<int64_t>{0, 3, 5, 8}));
  EXPECT_EQ(given({1, 1.0}, 30, 10.0, 0.45), (std::vector<int64_t>{0, 6, 16, 26})) << "a film that begins late";
  EXPECT_EQ(given({3, 1.0}, 30, 10.0), (std::vector<int64_t>{0, 12, 21})) << "among every third";
  EXPECT_EQ(given({1, 0.01}, 3, 10.0), (std::vector<int64_t>{0, 1, 2})) << "shorter than a frame";
}

TEST(FramePace, IsWhatAFilmIsReadAt) {
  const test::TempDir dir;
  const std::string film = test::write_film(dir.path() / "film.avi", 25, 10.0);
  const std::vector<VideoEvent> events = test::read_all(film, {.every = 1.0});
  EXPECT_EQ(test::numbers_of(events), (std::vector<int64_t>{0, 10, 20}));
}

}  // namespace
}  // namespace vit
