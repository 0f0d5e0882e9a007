// Films on disk: every container the writer knows is read back, and what is wrong with a file is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "tests/support/errors.h"
#include "tests/support/film.h"
#include "tests/support/temp_dir.h"
#include "vit/media/video.h"

namespace vit {
namespace {

using test::numbers_of;
using test::read_all;
using test::TempDir;
using test::write_film;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = VideoEvent::Kind;

std::vector<int64_t> first_numbers(int64_t count, int64_t step = 1) {
  std::vector<int64_t> numbers;
  for (int64_t number = 0; number < count; number += step) numbers.push_back(number);
  return numbers;
}

class Container : public testing::TestWithParam<const char*> {};

TEST_P(Container, KeepsFramesRateAndTimes) {
  const TempDir dir;
  const std::string path = write_film(dir / (std::string("film.") + GetParam()), 40, 12.5);
  VideoReader reader(path);
  const std::vector<VideoEvent> events = read_all(reader);
  ASSERT_EQ(events.back().kind, Kind::end) << events.back().reason;
  EXPECT_EQ(numbers_of(events), first_numbers(40));
  EXPECT_EQ(reader.info().size, (Extent{48, 64}));
  const bool has_times = GetParam() != std::string("mjpeg");
  if (!has_times) return;
  EXPECT_NEAR(reader.info().frame_rate, 12.5, 0.01);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(events[i].number, i);
    EXPECT_NEAR(events[i].time_s, static_cast<double>(i) / 12.5, 2e-3);
  }
}

TEST_P(Container, IsWrittenToTheSameBytes) {
  const TempDir dir;
  const std::string ending = GetParam();
  EXPECT_EQ(test::slurp(write_film(dir / ("a." + ending), 12)), test::slurp(write_film(dir / ("b." + ending), 12)));
}

INSTANTIATE_TEST_SUITE_P(Endings, Container, testing::Values("mp4", "m4v", "mov", "mkv", "avi", "webm", "ts", "mjpeg"),
                         [](const auto& ending) { return std::string(ending.param); });

TEST(VideoFile, StrideSkipsFrames) {
  const TempDir dir;
  const std::vector<VideoEvent> events = read_all(write_film(dir / "film.mp4", 20), {.stride = 7});
  EXPECT_EQ(numbers_of(events), first_numbers(20, 7));
  EXPECT_EQ(events[1].number, 7);
  EXPECT_NEAR(events[1].time_s, 7.0 / 25.0, 1e-3);
}

TEST(VideoFile, TheSizeMayChangeInTheMiddle) {
  const TempDir dir;
  std::string joined;
  for (const int64_t height : {48, 96, 24}) {
    const std::string part = (dir / ("part" + std::to_string(height) + ".mjpeg")).string();
    joined += test::slurp(write_film(part, 5, 25.0, height, 2 * height));
  }
  const std::vector<VideoEvent> events = read_all(dir.write("film.mjpeg", joined).string());
  EXPECT_THAT(numbers_of(events), ElementsAre(0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4));
  EXPECT_EQ(events[4].image.height(), 48);
  EXPECT_EQ(events[5].image.height(), 96);
  EXPECT_EQ(events[14].image.width(), 48);
}

TEST(VideoFile, OddSizesLoseARowOrColumn) {
  const TempDir dir;
  const std::vector<VideoEvent> events = read_all(write_film(dir / "film.mp4", 3, 25.0, 47, 65));
  EXPECT_EQ(events[0].image.height(), 46);
  EXPECT_EQ(events[0].image.width(), 64);
  EXPECT_THAT(numbers_of(events), ElementsAre(0, 1, 2));
}

TEST(VideoFile, FramesOfAnotherShapeGetBars) {
  const TempDir dir;
  const std::string path = (dir / "film.avi").string();
  VideoWriter writer(path, {48, 128});
  writer.write(test::numbered_frame(4095, 96, 96));
  writer.finish();
  const std::vector<VideoEvent> events = read_all(path);
  const Image& frame = events[0].image;
  EXPECT_LT(frame.row(24)[3 * 30], 20) << "black to the left";
  EXPECT_GT(frame.row(24)[3 * 64], 200) << "white in the middle";
  EXPECT_LT(frame.row(24)[3 * 98], 20) << "black to the right";
}

TEST(VideoFile, ColoursKeepTheirPlaces) {
  const TempDir dir;
  for (const char* name : {"film.mp4", "film.avi"}) {
    Image frame(48, 96);
    const uint8_t colours[3][3] = {{200, 30, 40}, {40, 190, 60}, {30, 50, 210}};
    for (int64_t y = 0; y < 48; ++y)
      for (int64_t x = 0; x < 96; ++x) std::memcpy(frame.row(y) + 3 * x, colours[x / 32], 3);
    const std::string path = (dir / name).string();
    VideoWriter writer(path, {48, 96});
    writer.write(frame);
    writer.finish();
    const Image read = read_all(path)[0].image;
    for (int64_t third = 0; third < 3; ++third)
      for (int channel = 0; channel < 3; ++channel)
        EXPECT_NEAR(read.row(24)[3 * (32 * third + 16) + channel], colours[third][channel], 12) << name;
  }
}

TEST(VideoFile, ThePicturesAreUpright) {
  const TempDir dir;
  std::string film = test::slurp(write_film(dir / "film.mp4", 2));
  // The track header's matrix: a quarter turn clockwise, as telephones write it.
  const size_t matrix = film.find("tkhd") + 44;
  const std::string turn = std::string("\0\0\0\0\0\1\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0", 24);
  film.replace(matrix, turn.size(), turn);
  VideoReader reader(dir.write("turned.mp4", film).string());
  reader.next();
  const Image second = reader.next().image;
  EXPECT_EQ(reader.info().size, (Extent{64, 48}));
  ASSERT_EQ(second.height(), 64);
  EXPECT_GT(second.row(4)[3 * 44], 150) << "what was above to the left is above to the right";
  EXPECT_LT(second.row(4)[3 * 4], 100);
}

TEST(VideoFile, FirstBytesTellWhereThereIsNoEnding) {
  const TempDir dir;
  const std::string film = write_film(dir / "film.mp4", 3);
  std::filesystem::rename(film, dir / "film");
  EXPECT_TRUE(is_video_source((dir / "film").string()));
  EXPECT_FALSE(is_video_source(dir.write("text", "no film at all").string()));
  EXPECT_FALSE(is_video_source((dir / "missing").string()));
  EXPECT_TRUE(is_video_source("missing.MP4"));
  EXPECT_TRUE(is_video_source("0"));
  EXPECT_TRUE(is_video_source("rtsp://camera/1"));
  EXPECT_FALSE(is_video_source("photo.jpg"));
  EXPECT_FALSE(is_live_source("film.mp4"));
  EXPECT_TRUE(is_live_source("http://camera/film.mp4"));
}

TEST(VideoFile, AColonIsNoProtocol) {
  const TempDir dir;
  EXPECT_EQ(numbers_of(read_all(write_film(dir / "12:30.mp4", 2))), first_numbers(2));
}

/// The reason why a file gives no frame.
std::string refusal(const std::string& path, const VideoOptions& options = {}) {
  const std::vector<VideoEvent> events = read_all(path, options);
  EXPECT_EQ(events.size(), 1u);
  EXPECT_EQ(events.back().kind, Kind::error);
  return events.back().reason;
}

TEST(BadVideo, NothingThere) {
  const TempDir dir;
  EXPECT_EQ(refusal((dir / "none.mp4").string()), "no such file");
  EXPECT_EQ(refusal(dir.path().string()), "it is a folder");
  EXPECT_EQ(refusal(dir.write("empty.mp4", "").string()), "the file is empty");
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("not a file on a disk"));
}

TEST(BadVideo, NoVideo) {
  const TempDir dir;
  std::string noise(20'000, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * i * 31 + i / 7);
  EXPECT_THAT(refusal(dir.write("text.mp4", "this is no film").string()), HasSubstr("no video in a known format"));
  EXPECT_THAT(refusal(dir.write("noise.avi", noise).string()), HasSubstr("no video"));
  EXPECT_THAT(refusal(dir.write("list.mp4", "ffconcat version 1.0\nfile /etc/passwd\n").string()),
              HasSubstr("no video in a known format"));
}

TEST(BadVideo, CutOff) {
  const TempDir dir;
  const std::string whole = test::slurp(write_film(dir / "film.avi", 100));
  const std::vector<VideoEvent> events = read_all(dir.write("cut.avi", whole.substr(0, whole.size() / 2)).string());
  ASSERT_EQ(events.back().kind, Kind::error);
  EXPECT_THAT(events.back().reason, AllOf(HasSubstr("its header promises"), HasSubstr("cut off")));
  ASSERT_GT(events.size(), 20u) << "what is there is given";
  EXPECT_EQ(numbers_of(events), first_numbers(static_cast<int64_t>(events.size()) - 1));
  // Without its table at the end, an mp4 file is nothing.
  const std::string mp4 = test::slurp(write_film(dir / "film.mp4", 100));
  EXPECT_THAT(refusal(dir.write("cut.mp4", mp4.substr(0, mp4.size() / 2)).string()), HasSubstr("cut off"));
}

/// The film with the 32-bit little-endian number at the first place of `before` + `skip` replaced.
std::string with_number(std::string film, const std::string& before, size_t skip, uint32_t number) {
  const size_t at = film.find(before);
  EXPECT_NE(at, film.npos);
  std::memcpy(film.data() + at + skip, &number, sizeof number);
  return film;
}

TEST(BadVideo, AHeaderThatLiesAboutTheNumberOfFrames) {
  const TempDir dir;
  const std::string film = test::slurp(write_film(dir / "film.avi", 50));
  // The stream header's dwLength is 32 bytes behind its type.
  const std::vector<VideoEvent> few = read_all(dir.write("few.avi", with_number(film, "vids", 32, 3)).string());
  EXPECT_EQ(few.back().kind, Kind::end) << few.back().reason;
  EXPECT_EQ(numbers_of(few), first_numbers(50));
  const std::vector<VideoEvent> many =
      read_all(dir.write("many.avi", with_number(film, "vids", 32, 1'000'000)).string());
  EXPECT_EQ(many.back().kind, Kind::error);
  EXPECT_THAT(many.back().reason, HasSubstr("1000000 frames"));
  EXPECT_EQ(numbers_of(many), first_numbers(50));
}

TEST(BadVideo, AHeaderThatLiesAboutTheSize) {
  const TempDir dir;
  const std::string film = test::slurp(write_film(dir / "film.avi", 5));
  // biWidth follows biSize in the stream's format.
  const std::string wide = with_number(film, "strf", 12, 60);
  EXPECT_EQ(read_all(dir.write("wide.avi", wide).string())[0].image.width(), 64) << "the pictures know better";
  const std::string huge = with_number(film, "strf", 12, 4'000'000);
  EXPECT_THAT(refusal(dir.write("huge.avi", huge).string()), HasSubstr("more than the limit"));
}

TEST(BadVideo, MorePixelsThanAllowed) {
  const TempDir dir;
  EXPECT_THAT(refusal(write_film(dir / "film.mp4", 3), {.max_pixels = 1000}),
              HasSubstr("64 x 48 pixels, more than the limit of 1000"));
}

TEST(BadVideo, DamageInTheMiddleCostsFramesAndNotTheFilm) {
  const TempDir dir;
  std::string film = test::slurp(write_film(dir / "film.avi", 60));
  for (size_t i = film.size() / 2; i < film.size() / 2 + 300; ++i) film[i] = static_cast<char>(i * 7);
  const std::vector<VideoEvent> events = read_all(dir.write("damaged.avi", film).string());
  const std::vector<int64_t> numbers = numbers_of(events);
  EXPECT_GE(numbers.size(), 50u);
  EXPECT_EQ(numbers.back(), 59);
}

TEST(BadVideo, OptionsOutOfRange) {
  using test::usage_error;
  EXPECT_THAT(usage_error([] { VideoReader("a.mp4", {.timeout = 0.0}); }), HasSubstr("timeout"));
  EXPECT_THAT(usage_error([] { VideoReader("a.mp4", {.stride = 0}); }), HasSubstr("stride of at least 1, got 0"));
  EXPECT_THAT(usage_error([] { VideoReader("a.mp4", {.retry_first = 5.0, .retry_most = 1.0}); }),
              HasSubstr("retry_first"));
}

TEST(VideoFile, StopEndsIt) {
  const TempDir dir;
  VideoReader reader(write_film(dir / "film.mp4", 10));
  EXPECT_EQ(reader.next().kind, Kind::frame);
  reader.stop();
  EXPECT_EQ(reader.next().kind, Kind::end);
  EXPECT_EQ(reader.next().kind, Kind::end);
}

TEST(VideoOut, AppearsOnlyWhenFinished) {
  const TempDir dir;
  const std::string path = (dir / "film.mp4").string();
  {
    VideoWriter writer(path, {48, 64});
    writer.write(test::numbered_frame(0));
    EXPECT_FALSE(std::filesystem::exists(path));
  }  // as when the program ends early
  EXPECT_EQ(numbers_of(read_all(path)), first_numbers(1));
  EXPECT_THAT(dir.entries(), ElementsAre("film.mp4"));
}

TEST(VideoOut, WithoutFramesThereIsNoFile) {
  const TempDir dir;
  { VideoWriter writer((dir / "film.mp4").string(), {48, 64}); }
  EXPECT_THAT(dir.entries(), IsEmpty());
}

TEST(VideoOut, RefusesWhatItCannotWrite) {
  using test::failure;
  using test::usage_error;
  const TempDir dir;
  const auto at = [&](const char* name) { return (dir / name).string(); };
  EXPECT_THAT(usage_error([&] {
                VideoWriter(at("film.xyz"), {48, 64});
              }),
              AllOf(HasSubstr("film.xyz"), HasSubstr(".xyz; known: .mp4")));
  EXPECT_THAT(usage_error([&] {
                VideoWriter(at("film.mp4"), {48, 64}, {.codec = "NONE"});
              }),
              HasSubstr("codec 'NONE'; known: avc1"));
  EXPECT_THAT(usage_error([&] {
                VideoWriter(at("film.webm"), {48, 64}, {.codec = "MJPG"});
              }),
              HasSubstr("do not go together"));
  EXPECT_THAT(usage_error([&] { VideoWriter(at("film.mp4"), {0, 64}); }), HasSubstr("64 x 0"));
  EXPECT_THAT(usage_error([&] {
                VideoWriter(at("film.mp4"), {48, 64}, {.frame_rate = 0.0});
              }),
              HasSubstr("frames per second"));
  EXPECT_THAT(failure([&] { VideoWriter(at("none/film.mp4"), {48, 64}); }), HasSubstr("No such file"));
  EXPECT_THAT(dir.entries(), IsEmpty()) << "no temporary file stays";
}

/// 0: a film that outgrows what a file may have is an error that names it, and nothing of it stays.
int write_to_a_full_disk() {
  const TempDir dir;
  read_all(write_film(dir / "small.avi", 1));  // loads the modules
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{20'000, 20'000};
  setrlimit(RLIMIT_FSIZE, &limit);
  std::string reason;
  try {
    write_film(dir / "film.avi", 400, 25.0, 96, 128);
  } catch (const Error& error) {
    reason = error.what();
  }
  const bool named = reason.find("film.avi") != reason.npos && reason.find("too large") != reason.npos;
  return named && dir.entries() == std::vector<std::string>{"small.avi"} ? 0 : 1;
}

// In a process of its own, whose files may not grow.
TEST(VideoOutDeathTest, AFullDiskIsNamedAndNothingIsLeft) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(write_to_a_full_disk()), testing::ExitedWithCode(0), "");
}

TEST(VideoOut, CodecsByTheirLetters) {
  const TempDir dir;
  for (const char* codec : {"avc1", "mp4v", "MJPG"}) {
    const std::string path = (dir / (std::string(codec) + ".mp4")).string();
    VideoWriter writer(path, {48, 64}, {.codec = codec});
    for (int64_t number = 0; number < 3; ++number) writer.write(test::numbered_frame(number));
    writer.finish();
    EXPECT_THAT(numbers_of(read_all(path)), ElementsAre(0, 1, 2)) << codec;
  }
}

}  // namespace
}  // namespace vit
