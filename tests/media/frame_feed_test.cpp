#include "vit/media/frame_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/support/fake_stream.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::film;
using test::NextEvent;
using testing::ElementsAre;
using Kind = VideoEvent::Kind;
using Strings = std::vector<std::string>;

Image tiny(int64_t) { return Image(2, 3); }

VideoEvent event_of(Kind kind, const std::string& reason = "") {
  VideoEvent event;
  event.kind = kind;
  event.reason = reason;
  return event;
}

/// "source:number" for frames, "source!reason" for errors, "source." for ends, "source?" and "source~" for gaps.
std::string text_of(const FeedItem& item, const std::string& folder) {
  std::string name = item.source;
  if (name.starts_with(folder)) name.erase(0, folder.size() + 1);
  switch (item.event.kind) {
    case Kind::frame:
      return item.picture() ? name : name + ":" + std::to_string(item.event.number);
    case Kind::error:
      return name + "!" + item.event.reason;
    case Kind::lost:
      return name + "?";
    case Kind::gap:
      return name + "~";
    case Kind::end:
      break;
  }
  return name + ".";
}

class Feed : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return (dir_ / name).string(); }

  /// Everything that a feed of these sources gives, whose videos are `films_`.
  Strings all(const Strings& arguments, FeedOptions options = {}) {
    options.open = [this](const std::string& source, const VideoOptions&) {
      return std::make_unique<test::FakeStream>(films_.at(source), VideoInfo{{2, 3}, 25.0, 0});
    };
    FrameFeed feed(arguments, options);
    Strings texts;
    for (FeedItem item; texts.size() < 1000 && feed.next(item);) texts.push_back(text_of(item, dir_.path().string()));
    return texts;
  }

  test::TempDir dir_;
  std::map<std::string, NextEvent> films_;
};

TEST_F(Feed, PicturesAndFilmsComeInTheOrderOfTheArguments) {
  const std::string a = dir_.write("a.jpg", "x"), film_path = dir_.write("b.mp4", "x"), c = dir_.write("c.png", "x");
  films_[film_path] = film(2, tiny);
  EXPECT_THAT(all({c, film_path, at("none.jpg"), a}),
              ElementsAre("c.png", "b.mp4:0", "b.mp4:1", "b.mp4.", "none.jpg!no such file or folder", "a.jpg"));
}

TEST_F(Feed, LiveSourcesTakeTurnsBesideTheFiles) {
  const std::string a = dir_.write("a.jpg", "x"), b = dir_.write("b.jpg", "x"), c = dir_.write("c.jpg", "x");
  films_["rtsp://one"] = film(3, tiny);
  films_["0"] = film(2, tiny);
  EXPECT_THAT(all({a, "rtsp://one", b, "0", c}), ElementsAre("a.jpg", "rtsp://one:0", "0:0", "b.jpg", "rtsp://one:1",
                                                             "0:1", "c.jpg", "rtsp://one:2", "0.", "rtsp://one."));
}

TEST_F(Feed, ASilentSourceKeepsNobodyWaiting) {
  int asked = 0;
  films_["rtsp://silent"] = [&](VideoEvent& event) {
    event = event_of(Kind::error, "given up");
    return ++asked > 50;
  };
  films_["rtsp://busy"] = film(20, tiny);
  const Strings texts = all({"rtsp://silent", "rtsp://busy"});
  ASSERT_EQ(texts.size(), 22u);
  EXPECT_EQ(texts.front(), "rtsp://busy:0");
  EXPECT_EQ(texts.back(), "rtsp://silent!given up");
}

TEST_F(Feed, AStreamsFileListsWhatRunsAtOnce) {
  const std::string x = dir_.write("x.mp4", "x"), y = dir_.write("y.mp4", "x");
  films_[x] = film(2, tiny);
  films_[y] = film(2, tiny);
  const std::string list = dir_.write("all.streams", "# two films\n" + x + "\n\n" + y + "\r\n");
  EXPECT_THAT(all({list}), ElementsAre("x.mp4:0", "y.mp4:0", "x.mp4:1", "y.mp4:1", "x.mp4.", "y.mp4."));
  EXPECT_THAT(all({at("none.streams")}), ElementsAre("none.streams!no such file or folder"));
}

TEST_F(Feed, ALiveLineOfAListRunsBesideTheOthers) {
  const std::string a = dir_.write("a.jpg", "x"), b = dir_.write("b.jpg", "x");
  films_["rtsp://one"] = film(2, tiny);
  std::istringstream input("rtsp://one\n" + a + "\n" + b + "\n");
  FeedOptions options;
  options.input = &input;
  const Strings texts = all({"-"}, options);
  EXPECT_THAT(texts, testing::UnorderedElementsAre("a.jpg", "b.jpg", "rtsp://one:0", "rtsp://one:1", "rtsp://one."));
  EXPECT_EQ(texts.front(), "a.jpg");
}

TEST_F(Feed, ErrorsAndGapsAreItemsAndTheOthersGoOn) {
  const std::string bad = dir_.write("bad.mp4", "x"), good = dir_.write("good.mp4", "x");
  films_[bad] = film(1, tiny, event_of(Kind::error, "truncated"));
  films_[good] = film(1, tiny);
  EXPECT_THAT(all({bad, good}), ElementsAre("bad.mp4:0", "bad.mp4!truncated", "good.mp4:0", "good.mp4."));
  films_["rtsp://one"] = [step = 0](VideoEvent& event) mutable {
    const Kind kinds[] = {Kind::lost, Kind::gap, Kind::end};
    event = event_of(kinds[step++]);
    return true;
  };
  EXPECT_THAT(all({"rtsp://one"}), ElementsAre("rtsp://one?", "rtsp://one~", "rtsp://one."));
}

TEST_F(Feed, StopEndsEverySourceAndDropsFrames) {
  films_["rtsp://endless"] = film(1'000'000, tiny);
  films_["rtsp://silent"] = [](VideoEvent&) { return false; };
  const std::string a = dir_.write("a.mp4", "x"), b = dir_.write("b.mp4", "x");
  films_[a] = film(1'000'000, tiny);
  int asked = 0;
  FeedOptions options;
  options.stop_requested = [&] { return ++asked > 4; };
  const Strings texts = all({a, b, "rtsp://endless", "rtsp://silent"}, options);
  EXPECT_THAT(texts, testing::IsSupersetOf({"a.mp4.", "rtsp://endless.", "rtsp://silent."}));
  EXPECT_LE(texts.size(), 8u) << "frames after the stop";
  for (const std::string& text : texts) EXPECT_FALSE(text.starts_with("b.mp4")) << "opened after the stop";
}

TEST_F(Feed, KnowsWhetherASourceIsLive) {
  EXPECT_FALSE(FrameFeed({"a.jpg", "b.mp4"}).has_live());
  EXPECT_TRUE(FrameFeed({"a.jpg", "rtsp://x"}).has_live());
  EXPECT_TRUE(FrameFeed({dir_.write("l.streams", "0\n").string()}).has_live());
}

TEST_F(Feed, FramesCarryTheirVideo) {
  const std::string x = dir_.write("x.mp4", "x"), y = dir_.write("y.mp4", "x");
  films_[x] = film(1, tiny);
  films_[y] = film(1, tiny);
  FeedOptions options;
  options.open = [this](const std::string& source, const VideoOptions& video) {
    EXPECT_EQ(video.stride, 3);
    return std::make_unique<test::FakeStream>(films_.at(source), VideoInfo{{2, 3}, 12.5, 9});
  };
  options.video.stride = 3;
  FrameFeed feed({x, y}, options);
  FeedItem item;
  ASSERT_TRUE(feed.next(item));
  EXPECT_EQ(item.stream, 0);
  EXPECT_FALSE(item.live);
  EXPECT_EQ(item.info.frame_rate, 12.5);
  ASSERT_TRUE(feed.next(item) && feed.next(item));
  EXPECT_EQ(item.stream, 1);
}

}  // namespace
}  // namespace vit
