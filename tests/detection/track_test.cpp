#include "detection/track.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "datasets/scenes.h"
#include "detection/track_eval.h"
#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"

namespace detection {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using vit::test::failure;
using vit::test::usage_error;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kRate = 30.0;

std::unique_ptr<Tracker> tracker_of(const std::string& yaml) {
  return make_tracker(vit::ConfigNode::parse(yaml, "tracker.yaml"));
}

Detection at(double x, double y, double score = 0.9, int64_t label = 0) {
  return {.index = label, .score = score, .box = {x, y, x + 20, y + 40}};
}

/// The id of the only object reported; -2: there is another number of them.
int64_t only_id(const std::vector<TrackedDetection>& reported) {
  return reported.size() == 1 ? reported.front().track : -2;
}

class Trackers : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Tracker> tracker_ = tracker_of(GetParam());
  int64_t frame_ = 0;
  std::vector<TrackedDetection> update(const std::vector<Detection>& detections) {
    return tracker_->update(detections, static_cast<double>(frame_++) / kRate);
  }
};
INSTANTIATE_TEST_SUITE_P(All, Trackers, ::testing::ValuesIn(tracker_registry().names()));

TEST_P(Trackers, FollowsOneObject) {
  for (int i = 0; i < 30; ++i) EXPECT_EQ(only_id(update({at(100 + 3 * i, 50 - i)})), 1) << "frame " << i;
}

TEST_P(Trackers, KeepsTheNumberThroughShortOcclusion) {
  for (int i = 0; i < 40; ++i) {
    if (i >= 20 && i < 26) {
      EXPECT_TRUE(update({}).empty());
      continue;
    }
    const int64_t id = only_id(update({at(100 + 4 * i, 50)}));
    const bool may_be_unsure = i >= 26 && i < 30;  // SORT asks for a few frames in a row again
    EXPECT_TRUE(id == 1 || (id == -1 && may_be_unsure)) << "frame " << i << ": " << id;
  }
}

TEST_P(Trackers, ForgetsWhatWasAwayForLong) {
  for (int i = 0; i < 10; ++i) update({at(100, 50)});
  for (int i = 0; i < 60; ++i) update({});
  for (int i = 0; i < 10; ++i) update({at(100, 50)});
  EXPECT_EQ(only_id(update({at(100, 50)})), 2);
}

TEST_P(Trackers, ObjectsThatPassOneAnotherKeepTheirNumbers) {
  std::map<int64_t, std::set<int64_t>> ids_of_row;
  for (int i = 0; i < 60; ++i) {
    const std::vector<TrackedDetection> reported = update({at(10 + 5 * i, 50), at(310 - 5 * i, 62)});
    EXPECT_EQ(reported.size(), 2u);
    for (const TrackedDetection& object : reported)
      ids_of_row[static_cast<int64_t>(object.detection.box[1])].insert(object.track);
  }
  EXPECT_EQ(ids_of_row[50].size(), 1u);
  EXPECT_EQ(ids_of_row[62].size(), 1u);
  EXPECT_NE(ids_of_row[50], ids_of_row[62]);
}

TEST_P(Trackers, ReportsBestFirstAndNothingTwice) {
  for (int i = 0; i < 5; ++i) {
    const auto reported = update({at(10, 10, 0.7), at(200, 10, 0.95), at(100, 10, 0.8), at(300, 300, 0.05)});
    ASSERT_EQ(reported.size(), 3u);
    EXPECT_EQ(reported[0].detection.score, 0.95);
    EXPECT_EQ(reported[1].detection.score, 0.8);
    EXPECT_EQ(reported[2].detection.score, 0.7);
    std::set<int64_t> ids;
    for (const auto& object : reported) ids.insert(object.track);
    EXPECT_EQ(ids, (std::set<int64_t>{1, 2, 3}));
  }
}

TEST_P(Trackers, NumbersBeginAtOneAndLeaveNoneOut) {
  std::set<int64_t> ids;
  for (int i = 0; i < 60; ++i) {
    std::vector<Detection> detections = {at(10, 10), at(500, 40.0 + 60.0 * (i / 20))};
    if (i % 7 == 3) detections.push_back(at(900.0 + 100 * i, 900));  // flashes up once
    for (const auto& object : update(detections)) ids.insert(object.track);
  }
  ids.erase(-1);
  EXPECT_EQ(*ids.begin(), 1);
  EXPECT_EQ(*ids.rbegin(), static_cast<int64_t>(ids.size()));
}

TEST_P(Trackers, WhatIsNotFiniteIsRefusedAndChangesNothing) {
  for (int i = 0; i < 5; ++i) update({at(10, 10)});
  EXPECT_THAT(failure([&] { update({at(10, kNaN)}); }), HasSubstr("expected finite numbers"));
  EXPECT_THAT(failure([&] { update({at(10, 10, kNaN)}); }), HasSubstr("expected finite numbers"));
  EXPECT_THAT(failure([&] { tracker_->update({at(10, 10)}, kNaN); }), HasSubstr("time of a frame"));
  EXPECT_EQ(only_id(update({at(10, 10)})), 1);
}

TEST_P(Trackers, BoxesWithoutAreaAreReportedAndNotFollowed) {
  const Detection flat{.score = 0.9, .box = {10, 10, 10, 50}}, inverted{.score = 0.9, .box = {50, 50, 10, 10}};
  for (int i = 0; i < 5; ++i)
    for (const auto& object : update({flat, inverted})) EXPECT_EQ(object.track, -1);
}

TEST_P(Trackers, ManyDetections) {
  std::vector<Detection> all;
  for (int i = 0; i < 400; ++i) all.push_back(at(30.0 * (i % 20), 50.0 * (i / 20), 0.9 - 1e-4 * i));
  std::vector<TrackedDetection> reported;
  for (int i = 0; i < 5; ++i) reported = update(all);
  std::set<int64_t> ids;
  for (const auto& object : reported) ids.insert(object.track);
  EXPECT_EQ(ids.size(), 400u);
}

TEST_P(Trackers, KeepsToOneClassWhereAsked) {
  tracker_ = tracker_of("{type: " + GetParam() + ", by_class: true}");
  std::set<int64_t> ids;
  for (int i = 0; i < 20; ++i)
    for (const auto& object : update({at(10, 10, 0.9, i / 10)})) ids.insert(object.track);
  EXPECT_TRUE(ids.count(1) > 0 && ids.count(2) > 0);
  tracker_ = tracker_of(GetParam());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(only_id(update({at(10, 10, 0.9, i / 10)})), 1);
}

TEST_P(Trackers, TimesThatStandStillDoNotMatter) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(only_id(tracker_->update({at(100 + 2 * i, 50)}, 0.0)), 1);
}

/// The boxes of a clip, found by a detector that is so and so good.
struct Clip {
  std::vector<TrackBox> truth;
  std::vector<std::vector<Detection>> detections;  // per frame
};

/// Boxes are shifted by up to `jitter` of their size, `missed` of them left out.
Clip draw_clip(int64_t index, double jitter, double missed) {
  constexpr int64_t kFrames = 80, kSide = 96;
  const datasets::SceneClip clip(5, index, kFrames, kSide);
  vit::Rng rng(17, static_cast<uint64_t>(index));
  const auto noise = [&](double size) { return (2.0 * static_cast<double>(rng.uniform()) - 1.0) * jitter * size; };
  Clip result;
  for (int64_t f = 0; f < kFrames; ++f) {
    result.detections.emplace_back();
    for (const datasets::SceneObject& object : clip.frame(f).objects) {
      if (object.visibility < 0.3f) continue;
      vit::Corners box{object.box[0], object.box[1], object.box[2], object.box[3]};
      const double width = box[2] - box[0], height = box[3] - box[1];
      if (width < 3.0 || height < 3.0) continue;
      result.truth.push_back({.frame = f, .track = object.id, .box = box});
      const bool is_missed = static_cast<double>(rng.uniform()) < missed;
      for (size_t i = 0; i < 4; ++i) box[i] += noise(i % 2 == 0 ? width : height);
      if (!is_missed)
        result.detections.back().push_back({.score = 0.7 + 0.3 * static_cast<double>(rng.uniform()), .box = box});
    }
  }
  return result;
}

TrackFigures follow(Tracker& tracker, const Clip& clip) {
  std::vector<TrackBox> found;
  for (size_t f = 0; f < clip.detections.size(); ++f)
    for (const TrackedDetection& object : tracker.update(clip.detections[f], static_cast<double>(f) / kRate))
      if (object.track >= 0)
        found.push_back({.frame = static_cast<int64_t>(f), .track = object.track, .box = object.detection.box});
  return figures_of(count_tracks(clip.truth, found));
}

TEST_P(Trackers, FollowsTheObjectsOfGeneratedClips) {
  for (int64_t index = 0; index < 2; ++index) {
    const TrackFigures perfect = follow(*tracker_of(GetParam()), draw_clip(index, 0.0, 0.0));
    EXPECT_GT(perfect.mota, 0.9) << index;
    EXPECT_GT(perfect.idf1, 0.85) << index;
    const TrackFigures noisy = follow(*tracker_of(GetParam()), draw_clip(index, 0.05, 0.1));
    EXPECT_GT(noisy.mota, 0.6) << index;
    EXPECT_GT(noisy.idf1, 0.6) << index;
  }
}

TEST(ByteTrack, LowScoresContinueATrackButBeginNone) {
  const auto tracker = tracker_of("bytetrack");
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(only_id(tracker->update({at(100 + 2 * i, 50, i < 5 ? 0.9 : 0.2)}, i / kRate)), 1) << i;
  const auto other = tracker_of("bytetrack");
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(other->update({at(100, 50, 0.2)}, i / kRate).empty());
  EXPECT_EQ(other->least_score(), 0.1);
}

TEST(ByteTrack, OutOfSightIsMeasuredInTime) {
  // Half a second away, at 10 frames per second: five frames. A whole second and a half is too long.
  for (const auto& [away, id] : {std::pair<int, int64_t>{5, 1}, {15, 2}}) {
    const auto tracker = tracker_of("bytetrack");
    int frame = 0;
    for (; frame < 10; ++frame) tracker->update({at(100, 50)}, frame / 10.0);
    for (int i = 0; i < away; ++i, ++frame) tracker->update({}, frame / 10.0);
    tracker->update({at(100, 50)}, frame++ / 10.0);
    EXPECT_EQ(only_id(tracker->update({at(100, 50)}, frame / 10.0)), id) << away;
  }
  // A stream that was away itself begins anew.
  const auto tracker = tracker_of("bytetrack");
  for (int i = 0; i < 5; ++i) tracker->update({at(100, 50)}, i / kRate);
  tracker->update({at(100, 50)}, 60.0);
  EXPECT_EQ(only_id(tracker->update({at(100, 50)}, 60.03)), 2);
}

TEST(ByteTrack, FollowsAtFramesThatAreSecondsApart) {
  const auto tracker = tracker_of("bytetrack");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(only_id(tracker->update({at(100 + i, 50)}, 3.0 * i)), 1) << "frame " << i;
  EXPECT_TRUE(tracker->update({}, 15.0).empty());
  EXPECT_EQ(only_id(tracker->update({at(106, 50)}, 18.0)), 1) << "one frame may lack it";
  EXPECT_EQ(only_id(tracker->update({at(107, 50)}, 60.0)), -1) << "after a gap, all begins anew";
}

TEST(ByteTrack, AnObjectOfOneFrameGetsNoNumber) {
  const auto tracker = tracker_of("bytetrack");
  tracker->update({}, 0.0);
  EXPECT_EQ(only_id(tracker->update({at(10, 10)}, 1 / kRate)), -1);
  EXPECT_TRUE(tracker->update({}, 2 / kRate).empty());
  EXPECT_EQ(only_id(tracker->update({at(10, 10)}, 3 / kRate)), -1);
  EXPECT_EQ(only_id(tracker->update({at(10, 10)}, 4 / kRate)), 1);
}

TEST(SortTrack, AsksForSomeFramesInARow) {
  const auto tracker = tracker_of("{type: sort, min_hits: 3}");
  for (int i = 0; i < 10; ++i) tracker->update({at(10, 10)}, i / kRate);
  std::vector<int64_t> ids;
  for (int i = 0; i < 5; ++i)
    for (const auto& object : tracker->update({at(10, 10), at(300, 10, 0.8)}, (10 + i) / kRate))
      if (object.detection.score == 0.8) ids.push_back(object.track);
  EXPECT_EQ(ids, (std::vector<int64_t>{-1, -1, -1, 2, 2}));
}

TEST(MakeTracker, ReadsConfigurationsStrictly) {
  EXPECT_THAT(usage_error([] { tracker_of("bytrack"); }), AllOf(HasSubstr("unknown tracker"), HasSubstr("bytetrack")));
  EXPECT_THAT(usage_error([] { tracker_of("{type: sort, max_aeg: 3}"); }), HasSubstr("max_age"));
  EXPECT_THAT(usage_error([] { tracker_of("{type: bytetrack, match_thresh: 2}"); }), HasSubstr("match_thresh"));
  EXPECT_THAT(usage_error([] { tracker_of("{type: bytetrack, track_low_thresh: 0.7}"); }),
              HasSubstr("above track_high_thresh"));
}

TEST(MakeTracker, TakesNamesAndFiles) {
  for (const std::string& name : tracker_registry().names()) EXPECT_NE(make_tracker(name), nullptr) << name;
  const vit::test::TempDir dir;
  const auto file = dir.write("mine.yaml", "{type: bytetrack, track_low_thresh: 0.3}");
  EXPECT_EQ(make_tracker(file.string())->least_score(), 0.3);
  EXPECT_THAT(usage_error([] { make_tracker(std::string("botsort")); }),
              AllOf(HasSubstr("unknown tracker 'botsort'"), HasSubstr("sort"), HasSubstr(".yaml")));
  EXPECT_THAT(usage_error([&] { make_tracker((dir / "none.yaml").string()); }), HasSubstr("none.yaml"));
}

TEST(Associate, LeavesOverWhatCostsTooMuch) {
  using Pairs = std::vector<std::pair<size_t, size_t>>;
  EXPECT_EQ(associate({0.1, 0.9, 0.9, 0.2}, 2, 2, 0.5), (Pairs{{0, 0}, {1, 1}}));
  EXPECT_EQ(associate({0.1, 0.9, 0.9, 0.6}, 2, 2, 0.5), (Pairs{{0, 0}}));
  // Row 0 leaves its best column to row 1, which has no other: two pairs at 0.3 + 0.1 beat one at 0.0.
  EXPECT_EQ(associate({0.0, 0.3, 0.1, 0.9}, 2, 2, 0.5), (Pairs{{0, 1}, {1, 0}}));
  EXPECT_TRUE(associate({}, 0, 3, 0.5).empty());
}

}  // namespace
}  // namespace detection
