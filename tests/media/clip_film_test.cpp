// Clips out of films: which frames, of long films and of short ones, and what is no film.
#include "vit/media/clip_film.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/film.h"
#include "tests/support/temp_dir.h"
#include "vit/image/strip.h"

namespace vit {
namespace {

using testing::HasSubstr;

/// The frames that are chosen of a film of `count`.
std::vector<int64_t> chosen(int64_t count, int64_t frames) {
  EvenFrames even(frames, {2, 2});
  const Image frame(2, 2);
  for (int64_t i = 0; i < count; ++i) even.add(frame, i, 0.1 * static_cast<double>(i));
  return even.clip().numbers;
}

TEST(EvenFrames, TheMiddlesOfEqualParts) {
  EXPECT_EQ(chosen(24, 8), (std::vector<int64_t>{1, 4, 7, 10, 13, 16, 19, 22}));
  EXPECT_EQ(chosen(8, 8), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(chosen(9, 1), (std::vector<int64_t>{4}));
  EXPECT_EQ(chosen(3, 4), (std::vector<int64_t>{0, 1, 1, 2})) << "too short a film gives some twice";
}

TEST(EvenFrames, LongFilmsTakeBoundedMemoryAndStayEven) {
  for (const int64_t count : {65, 129, 1000, 5003}) {
    const std::vector<int64_t> numbers = chosen(count, 4);
    for (int64_t part = 0; part < 4; ++part) {
      const double middle = (static_cast<double>(part) + 0.5) * static_cast<double>(count) / 4.0;
      EXPECT_NEAR(static_cast<double>(numbers[static_cast<size_t>(part)]), middle,
                  static_cast<double>(count) / 64.0 + 1)
          << count;
    }
  }
}

TEST(EvenFrames, Errors) {
  EXPECT_THAT(test::failure([] { EvenFrames(0, {2, 2}); }), HasSubstr("at least one frame"));
  EXPECT_THAT(test::failure([] { EvenFrames(2, {2, 2}).clip(); }), HasSubstr("no frame"));
}

TEST(FilmClip, ReadsAFilm) {
  const test::TempDir dir;
  const std::string film = test::write_film(dir / "film.avi", 30, 10.0);
  const FilmClip clip = read_film_clip(film, 3, {48, 64});
  EXPECT_EQ(clip.numbers, (std::vector<int64_t>{5, 15, 25}));
  EXPECT_NEAR(clip.times_s[1], 1.5, 1e-3);
  ASSERT_EQ(clip.strip.height(), 3 * 48);
  for (int64_t t = 0; t < 3; ++t) EXPECT_EQ(test::number_of(strip_frame(clip.strip, 3, t)), 5 + 10 * t);
  EXPECT_EQ(read_film_clip(film, 3, {16, 16}).strip.width(), 16);
}

TEST(FilmClip, WhatIsNoFilm) {
  const test::TempDir dir;
  const std::string text = dir.write("text.avi", "no film").string();
  EXPECT_THAT(test::failure([&] { read_film_clip(text, 3, {8, 8}); }), HasSubstr("text.avi: "));
  EXPECT_THAT(test::usage_error([] { read_film_clip("photo.jpg", 3, {8, 8}); }), HasSubstr("a film of 3 frames"));
  EXPECT_THAT(test::usage_error([] { read_film_clip("0", 3, {8, 8}); }), HasSubstr("a whole film"));
}

}  // namespace
}  // namespace vit
