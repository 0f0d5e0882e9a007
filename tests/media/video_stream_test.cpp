// Streams from a server on this machine that behaves as badly as real ones do. Every test is bounded by its timeouts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/support/film.h"
#include "tests/support/stream_server.h"
#include "tests/support/temp_dir.h"
#include "vit/core/timer.h"
#include "vit/media/video.h"

namespace vit {
namespace {

using test::number_of;
using test::numbers_of;
using test::read_all;
using test::StreamConnection;
using test::StreamServer;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = VideoEvent::Kind;

/// Impatient, so that the tests are quick.
VideoOptions hasty(int64_t max_retries = -1) {
  VideoOptions options;
  options.timeout = 0.8;
  options.retry_first = 0.02;
  options.retry_most = 0.1;
  options.max_retries = max_retries;
  return options;
}

/// Frames in order, none left out.
VideoOptions hasty_all(int64_t max_retries = -1) {
  VideoOptions options = hasty(max_retries);
  options.keep_all = true;
  return options;
}

/// The next event that is of a kind, within so many events.
VideoEvent next_of(VideoReader& reader, Kind kind, int within = 500) {
  VideoEvent event;
  for (int i = 0; i < within; ++i) {
    event = reader.next();
    if (event.kind == kind || event.kind == Kind::end || event.kind == Kind::error) break;
  }
  EXPECT_EQ(event.kind, kind) << event.reason;
  return event;
}

std::vector<Kind> kinds_without_frames(const std::vector<VideoEvent>& events) {
  std::vector<Kind> kinds;
  for (const VideoEvent& event : events)
    if (event.kind != Kind::frame) kinds.push_back(event.kind);
  return kinds;
}

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

/// Loads the modules, which takes a moment that no test's clock counts.
void warm_up() {
  const test::TempDir dir;
  read_all(test::write_film(dir / "film.avi", 1));
  const StreamServer server([](StreamConnection& client) { client.frame(0); });
  read_all(server.url(), hasty());
}

class VideoStream : public testing::Test {
 protected:
  static void SetUpTestSuite() { warm_up(); }
};

TEST_F(VideoStream, AllFramesComeInOrderWithABuffer) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 40, 0.0);
    client.stall();
  });
  VideoReader reader(server.url(), hasty_all());
  for (int64_t number = 0; number < 39; ++number) {  // the last part's end is not there yet
    const VideoEvent event = reader.next();
    ASSERT_EQ(event.kind, Kind::frame) << event.reason;
    EXPECT_EQ(number_of(event.image), number);
    EXPECT_EQ(event.number, number);
    EXPECT_EQ(event.dropped, 0);
  }
  EXPECT_EQ(reader.info().size, (Extent{48, 64}));
}

TEST_F(VideoStream, TheNewestFrameIsGivenAndTheOthersAreCounted) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 3000, 0.005);
  });
  VideoReader reader(server.url(), hasty());
  int64_t known = 0;
  double last_time = -1.0;
  for (int i = 0; i < 6; ++i) {
    const VideoEvent event = next_of(reader, Kind::frame);
    known += 1 + event.dropped;
    EXPECT_EQ(event.number, known - 1) << "every frame is given or counted";
    EXPECT_EQ(number_of(event.image), event.number);
    EXPECT_GT(event.time_s, last_time);
    EXPECT_LT(steady_seconds() - event.captured_s, 1.0);
    last_time = event.time_s;
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
  }
  EXPECT_GT(known, 12) << "a slow consumer misses frames";
}

TEST_F(VideoStream, StrideAppliesToStreams) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 60, 0.0);
    client.stall();
  });
  VideoOptions options = hasty_all();
  options.stride = 5;
  VideoReader reader(server.url(), options);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(number_of(next_of(reader, Kind::frame).image), 5 * i);
}

/// What a connection may do after its frames, and the words that the loss is told with.
struct Fault {
  const char* name;
  void (*strike)(StreamConnection&);
  const char* reason;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class StreamFault : public testing::TestWithParam<Fault> {
 protected:
  static void SetUpTestSuite() { warm_up(); }
};

TEST_P(StreamFault, IsTriedAgainAndToldAsAGap) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(20 * client.number(), 8, 0.002);
    if (client.number() == 0) return GetParam().strike(client);
    client.frames(100, 1000, 0.01);
  });
  VideoReader reader(server.url(), hasty_all());
  const Timer timer;
  const VideoEvent lost = next_of(reader, Kind::lost);
  EXPECT_THAT(lost.reason, HasSubstr(GetParam().reason));
  const VideoEvent gap = reader.next();
  ASSERT_EQ(gap.kind, Kind::gap) << gap.reason;
  EXPECT_EQ(gap.reason, lost.reason);
  EXPECT_EQ(gap.from_s, lost.from_s);
  EXPECT_GT(gap.to_s, gap.from_s);
  const VideoEvent frame = reader.next();
  ASSERT_EQ(frame.kind, Kind::frame);
  EXPECT_EQ(number_of(frame.image), 20) << "the second connection's first frame";
  EXPECT_NEAR(frame.time_s, gap.to_s, 1e-6);
  EXPECT_LT(timer.seconds(), 10.0);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, StreamFault,
    testing::Values(Fault{"stall", [](StreamConnection& client) { client.stall(); }, "no frame for 0.8 s"},
                    Fault{"close", [](StreamConnection&) {}, "the connection was closed"},
                    Fault{"half_close",
                          [](StreamConnection& client) {
                            client.half_close();
                            client.stall();
                          },
                          "the connection was closed"},
                    Fault{"half_a_frame",
                          [](StreamConnection& client) {
                            client.send("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 90000\r\n\r\n\xff\xd8");
                            client.stall();
                          },
                          "no frame for 0.8 s"},
                    Fault{"reset", [](StreamConnection& client) { client.reset(); }, ""}),
    [](const auto& fault) { return fault.param.name; });

TEST_F(VideoStream, TheSizeMayChange) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 10, 0.0);
    client.frames(10, 10, 0.0, 96, 128);
    client.frames(20, 10, 0.0, 24, 32);
    client.stall();
  });
  VideoReader reader(server.url(), hasty_all());
  for (int64_t number = 0; number < 29; ++number) {
    const VideoEvent event = next_of(reader, Kind::frame);
    EXPECT_EQ(number_of(event.image), number);
    EXPECT_EQ(event.image.height(), number < 10 ? 48 : number < 20 ? 96 : 24);
  }
}

TEST_F(VideoStream, ASizeBeyondTheLimitIsNotDecoded) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    if (client.number() == 0) client.frames(0, 10, 0.0);
    client.frames(10, 10, 0.0, 480, 640);
    client.stall();
  });
  VideoOptions options = hasty_all(1);
  options.max_pixels = 48 * 64;
  VideoReader reader(server.url(), options);
  const std::vector<VideoEvent> events = read_all(reader);
  EXPECT_THAT(numbers_of(events), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(kinds_without_frames(events), ElementsAre(Kind::lost, Kind::gap, Kind::error));
}

TEST_F(VideoStream, AServerThatNeverAnswersIsAnErrorAtTheDeadline) {
  const StreamServer server([](StreamConnection& client) { client.stall(); });
  const Timer timer;
  const std::vector<VideoEvent> events = read_all(server.url(), hasty());
  EXPECT_LT(timer.seconds(), 5.0);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Kind::error);
  EXPECT_THAT(events[0].reason, HasSubstr("no answer within 0.8 s"));
}

TEST_F(VideoStream, AHeaderThatComesByDropsIsAnErrorAtTheDeadline) {
  const StreamServer server([](StreamConnection& client) {
    for (const char letter : std::string("HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace"))
      if (!client.send(std::string(1, letter)) || !client.sleep(0.1)) return;
  });
  const Timer timer;
  EXPECT_THAT(read_all(server.url(), hasty()).back().reason, HasSubstr("no answer within 0.8 s"));
  EXPECT_LT(timer.seconds(), 5.0);
}

TEST_F(VideoStream, NobodyListensIsTriedAgainUntilTheDeadline) {
  std::string url;
  {
    url = StreamServer([](StreamConnection&) {}).url();
  }
  const std::vector<VideoEvent> events = read_all(url, hasty());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].reason, HasSubstr("refused"));
}

TEST_F(VideoStream, AServerThatIsSlowToStartIsWaitedFor) {
  const StreamServer server([](StreamConnection& client) {
    if (client.number() < 2) return;  // closes without an answer
    client.begin_mjpeg();
    client.frames(0, 100, 0.01);
  });
  VideoReader reader(server.url(), hasty());
  EXPECT_EQ(reader.next().kind, Kind::frame);
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(VideoStream, WhatCannotGetBetterIsAnErrorAtOnce) {
  const StreamServer server([](StreamConnection& client) {
    client.send("HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>no camera here</html>");
  });
  EXPECT_THAT(read_all(server.url(), hasty()).back().reason, HasSubstr("404"));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(VideoStream, APageIsNoVideo) {
  const StreamServer server([](StreamConnection& client) {
    client.send("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body>" + std::string(5000, 'x') +
                "</body></html>");
  });
  EXPECT_THAT(read_all(server.url(), hasty()).back().reason, HasSubstr("the connection was closed"));
}

TEST_F(VideoStream, GivesUpAfterSoManyReconnections) {
  const StreamServer server([](StreamConnection& client) {
    if (client.number() > 0) return;
    client.begin_mjpeg();
    client.frames(0, 5, 0.0);
  });
  const std::vector<VideoEvent> events = read_all(server.url(), hasty_all(3));
  EXPECT_THAT(kinds_without_frames(events), ElementsAre(Kind::lost, Kind::gap, Kind::error));
  EXPECT_THAT(events.back().reason, HasSubstr("gave up after 3 reconnections"));
  EXPECT_EQ(server.connections(), 4);
}

TEST_F(VideoStream, StopTellsTheGapThatIsOpen) {
  const StreamServer server([](StreamConnection& client) {
    if (client.number() > 0) return client.stall();
    client.begin_mjpeg();
    client.frames(0, 5, 0.0);
  });
  VideoReader reader(server.url(), hasty_all());
  const VideoEvent lost = next_of(reader, Kind::lost);
  VideoEvent event;
  EXPECT_FALSE(reader.poll(event, 0.05)) << "nothing to tell while it is away";
  reader.stop();
  event = reader.next();
  ASSERT_EQ(event.kind, Kind::gap);
  EXPECT_GT(event.to_s, lost.from_s);
  EXPECT_EQ(reader.next().kind, Kind::end);
  EXPECT_EQ(reader.next().kind, Kind::end);
}

TEST_F(VideoStream, StopFromAnotherThreadEndsNext) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 5, 0.0);
    client.stall();
  });
  VideoOptions options = hasty();
  options.timeout = 60.0;
  VideoReader reader(server.url(), options);
  next_of(reader, Kind::frame);
  const Timer timer;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    reader.stop();
  });
  next_of(reader, Kind::end);
  stopper.join();
  EXPECT_LT(timer.seconds(), 5.0);
}

TEST_F(VideoStream, TheDestructorDoesNotWaitForTheSource) {
  const StreamServer server([](StreamConnection& client) { client.stall(); });
  VideoOptions options = hasty();
  options.timeout = 60.0;
  const Timer timer;
  {
    VideoReader reader(server.url(), options);
    VideoEvent event;
    EXPECT_FALSE(reader.poll(event, 0.1));
  }
  EXPECT_LT(timer.seconds(), 5.0);
}

TEST_F(VideoStream, OneDeadSourceDoesNotKeepAnotherWaiting) {
  const StreamServer dead([](StreamConnection& client) { client.stall(); });
  const StreamServer alive([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 1000, 0.01);
  });
  VideoOptions options = hasty();
  options.timeout = 20.0;
  VideoReader first(dead.url(), options), second(alive.url(), options);
  const Timer timer;
  VideoEvent event;
  EXPECT_FALSE(first.poll(event, 0.05));
  EXPECT_EQ(second.next().kind, Kind::frame);
  EXPECT_LT(timer.seconds(), 10.0);
}

/// A film's bytes as a server sends them that knows how long it is.
std::string film_answer(const std::string& film, const std::string& type) {
  return "HTTP/1.0 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(film.size()) +
         "\r\n\r\n" + film;
}

TEST_F(VideoStream, AFilmBehindAnAddressIsReadOnceAndWhole) {
  const test::TempDir dir;
  const std::string film = test::slurp(test::write_film(dir / "film.mkv", 60));
  const StreamServer server([&](StreamConnection& client) { client.send(film_answer(film, "video/x-matroska")); });
  const std::vector<VideoEvent> events = read_all(server.url("film.mkv"), hasty());
  EXPECT_EQ(events.back().kind, Kind::end) << events.back().reason;
  ASSERT_EQ(numbers_of(events).size(), 60u) << "nothing is left out of a film";
  EXPECT_EQ(number_of(events[59].image), 59);
  EXPECT_NEAR(events[59].time_s, 59.0 / 25.0, 0.01) << "the film's time";
}

TEST_F(VideoStream, MpegTransportStreams) {
  const test::TempDir dir;
  const std::string film = test::slurp(test::write_film(dir / "film.ts", 60));
  const StreamServer server([&](StreamConnection& client) {
    client.send("HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n");
    client.send(film);
    client.stall();
  });
  VideoReader reader(server.url("live.ts"), hasty_all());
  for (int64_t number = 0; number < 40; ++number) ASSERT_EQ(number_of(next_of(reader, Kind::frame).image), number);
}

TEST_F(VideoStream, ReconnectionsKeepNothing) {
  const StreamServer server([](StreamConnection& client) {
    client.begin_mjpeg();
    client.frames(0, 3, 0.0);
  });
  VideoOptions options = hasty_all();
  options.retry_first = options.retry_most = 0.001;
  VideoReader reader(server.url(), options);
  size_t early = 0;
  for (int connection = 0; connection < 25; ++connection) {
    next_of(reader, Kind::gap);
    if (connection == 10) early = open_descriptors();
  }
  // The server's closed connections come and go by themselves.
  EXPECT_LE(open_descriptors(), early + 4);
}

TEST(Camera, ThatIsNotThere) {
  if (std::filesystem::exists("/dev/video97")) GTEST_SKIP() << "this machine has 98 cameras";
  const std::vector<VideoEvent> events = read_all("97", hasty());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].reason, HasSubstr("no camera /dev/video97"));
}

}  // namespace
}  // namespace vit
