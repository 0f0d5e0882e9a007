#include "detection/track_eval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"

namespace detection {
namespace {

using ::testing::HasSubstr;
using vit::test::failure;

TrackBox box(int64_t frame, int64_t track, double x, double y = 0.0) {
  return {.frame = frame, .track = track, .box = {x, y, x + 10, y + 10}};
}

TEST(TrackEval, PerfectTracks) {
  std::vector<TrackBox> truth;
  for (int64_t f = 0; f < 5; ++f)
    for (int64_t t = 0; t < 3; ++t) truth.push_back(box(f, t, 100.0 * static_cast<double>(t) + static_cast<double>(f)));
  std::vector<TrackBox> found = truth;
  for (TrackBox& b : found) b.track += 70;
  const TrackCounts counts = count_tracks(truth, found);
  for (const auto& [name, value] : figures_of(counts).figures()) EXPECT_NEAR(value, 1.0, 1e-12) << name;
  EXPECT_EQ(counts.tracks, 3);
  EXPECT_EQ(counts.mostly_tracked, 3);
  EXPECT_EQ(counts.id_switches, 0);
}

TEST(TrackEval, ASwitchInTheMiddle) {
  // One object over four frames; the tracker gives it two numbers, two frames each.
  std::vector<TrackBox> truth, found;
  for (int64_t f = 1; f <= 4; ++f) {
    truth.push_back(box(f, 1, 0));
    found.push_back(box(f, f <= 2 ? 10 : 11, 0));
  }
  const TrackCounts counts = count_tracks(truth, found);
  const TrackFigures figures = figures_of(counts);
  EXPECT_EQ(counts.id_switches, 1);
  EXPECT_EQ(counts.fragments, 0);
  EXPECT_NEAR(figures.mota, 1.0 - 1.0 / 4.0, 1e-12);
  EXPECT_NEAR(figures.idf1, 2.0 * 2.0 / (4.0 + 4.0), 1e-12) << "one number covers two of four frames";
  // Association of each match: 2 frames together of 4 + 2 - 2.
  EXPECT_NEAR(figures.assa, 0.5, 1e-12);
  EXPECT_NEAR(figures.deta, 1.0, 1e-12);
  EXPECT_NEAR(figures.hota, std::sqrt(0.5), 1e-12);
}

TEST(TrackEval, MissesAndFalseAlarms) {
  // Frames 1 to 4 of one object; found in 1, 2 and 4; a false box in 3.
  const std::vector<TrackBox> truth = {box(1, 1, 0), box(2, 1, 0), box(3, 1, 0), box(4, 1, 0)};
  const std::vector<TrackBox> found = {box(1, 5, 0), box(2, 5, 0), box(3, 6, 500), box(4, 5, 0)};
  const TrackCounts counts = count_tracks(truth, found);
  const TrackFigures figures = figures_of(counts);
  EXPECT_EQ(counts.matches, 3);
  EXPECT_EQ(counts.misses, 1);
  EXPECT_EQ(counts.false_positives, 1);
  EXPECT_EQ(counts.fragments, 1);
  EXPECT_EQ(counts.id_switches, 0);
  EXPECT_NEAR(figures.mota, 1.0 - 2.0 / 4.0, 1e-12);
  EXPECT_NEAR(figures.idf1, 2.0 * 3.0 / 8.0, 1e-12);
  EXPECT_NEAR(figures.deta, 3.0 / 5.0, 1e-12);
  EXPECT_NEAR(figures.assa, 3.0 / 4.0, 1e-12);
  EXPECT_EQ(counts.mostly_tracked, 0);
  EXPECT_EQ(counts.mostly_lost, 0);
}

TEST(TrackEval, AFrameWithoutAnyDetectionInterruptsNothing) {
  const std::vector<TrackBox> truth = {box(1, 1, 0), box(2, 1, 0), box(3, 1, 0)};
  const std::vector<TrackBox> found = {box(1, 5, 0), box(3, 5, 0)};
  const TrackCounts counts = count_tracks(truth, found);
  EXPECT_EQ(counts.misses, 1);
  EXPECT_EQ(counts.fragments, 0);
  EXPECT_EQ(counts.id_switches, 0);
}

TEST(TrackEval, MostlyTrackedIsMoreThanFourFifths) {
  std::vector<TrackBox> truth;
  for (int64_t f = 1; f <= 5; ++f) truth.push_back(box(f, 1, 0));
  const std::vector<TrackBox> found = {truth[0], truth[1], truth[2], truth[3]};
  EXPECT_EQ(count_tracks(truth, found).mostly_tracked, 0);
  EXPECT_EQ(count_tracks(truth, truth).mostly_tracked, 1);
}

TEST(TrackEval, OverlapCountsInHotaAndMotp) {
  // Overlap 2/3 in every frame: found at 13 of the 19 overlaps.
  std::vector<TrackBox> truth, found;
  for (int64_t f = 0; f < 3; ++f) {
    truth.push_back(box(f, 1, 0));
    found.push_back(box(f, 1, 2));
  }
  const TrackFigures figures = figures_of(count_tracks(truth, found));
  EXPECT_NEAR(figures.mota, 1.0, 1e-12);
  EXPECT_NEAR(figures.motp, 8.0 / 12.0, 1e-12);
  EXPECT_NEAR(figures.hota, 13.0 / 19.0, 1e-12);
  EXPECT_NEAR(figures.loca, (13.0 * 8.0 / 12.0 + 6.0) / 19.0, 1e-12);
  EXPECT_NEAR(figures_of(count_tracks(truth, found, {.overlap = 0.7})).mota, -1.0, 1e-12);
}

TEST(TrackEval, WhoWasWhomStaysSoThoughAnotherIsNearer) {
  // Found track 2 moves nearer to the object than track 1, which still overlaps enough: no switch.
  const std::vector<TrackBox> truth = {box(1, 1, 0), box(2, 1, 0)};
  const std::vector<TrackBox> found = {box(1, 1, 0), box(2, 1, 2), box(2, 2, 0)};
  const TrackCounts counts = count_tracks(truth, found);
  EXPECT_EQ(counts.id_switches, 0);
  EXPECT_EQ(counts.false_positives, 1);
  EXPECT_NEAR(counts.overlap_sum, 1.0 + 8.0 / 12.0, 1e-12);
}

TEST(TrackEval, ASwitchIsOneAfterAGapToo) {
  const std::vector<TrackBox> truth = {box(1, 1, 0), box(2, 1, 0), box(3, 1, 0)};
  EXPECT_EQ(count_tracks(truth, {box(1, 1, 0), box(3, 2, 0)}).id_switches, 1);
  EXPECT_EQ(count_tracks(truth, {box(1, 1, 0), box(3, 1, 0)}).id_switches, 0);
}

TEST(TrackEval, IgnoredObjectsAreNeitherFoundNorMissed) {
  TrackBox ignored = box(1, 9, 300);
  ignored.ignored = true;
  const TrackCounts counts = count_tracks({box(1, 1, 0), ignored}, {box(1, 1, 0), box(1, 2, 301)});
  EXPECT_EQ(counts.objects, 1);
  EXPECT_EQ(counts.detections, 1);
  EXPECT_EQ(counts.false_positives, 0);
  // What an object that counts needs is not given to one that does not.
  TrackBox beside = box(1, 9, 1);
  beside.ignored = true;
  EXPECT_EQ(count_tracks({box(1, 1, 0), beside}, {box(1, 1, 0)}).matches, 1);
}

TEST(TrackEval, ByClass) {
  TrackBox cat = box(1, 1, 0), dog = box(1, 1, 0);
  cat.label = 0;
  dog.label = 1;
  EXPECT_EQ(count_tracks({cat}, {dog}).matches, 1);
  EXPECT_EQ(count_tracks({cat}, {dog}, {.by_class = true}).matches, 0);
}

TEST(TrackEval, SequencesAddUp) {
  const std::vector<TrackBox> truth = {box(1, 1, 0), box(2, 1, 0)};
  TrackCounts both = count_tracks(truth, truth);
  both += count_tracks(truth, {});
  const TrackFigures figures = figures_of(both);
  EXPECT_NEAR(figures.mota, 0.5, 1e-12);
  EXPECT_NEAR(figures.idf1, 2.0 * 2.0 / 6.0, 1e-12);
  EXPECT_NEAR(figures.deta, 0.5, 1e-12);
  EXPECT_NEAR(figures.assa, 1.0, 1e-12);
  EXPECT_EQ(both.mostly_lost, 1);
}

TEST(TrackEval, NothingToCount) {
  const TrackFigures none = figures_of(count_tracks({}, {}));
  EXPECT_TRUE(std::isnan(none.mota) && std::isnan(none.idf1) && std::isnan(none.hota));
  const TrackFigures missed = figures_of(count_tracks({box(1, 1, 0)}, {}));
  EXPECT_EQ(missed.mota, 0.0);
  EXPECT_EQ(missed.hota, 0.0);
  EXPECT_TRUE(std::isnan(missed.motp));
}

TEST(TrackEval, WhatCannotBeCountedIsRefused) {
  EXPECT_THAT(failure([] {
                count_tracks({box(3, 7, 0), box(3, 7, 50)}, {});
              }),
              HasSubstr("the annotated track 7 stands twice in frame 3"));
  EXPECT_THAT(failure([] { count_tracks({}, {box(1, 2, std::numeric_limits<double>::infinity())}); }),
              HasSubstr("the found track 2 in frame 1 has a box that is not finite"));
  EXPECT_THAT(failure([] { count_tracks({}, {}, {.overlap = 0.0}); }), HasSubstr("overlap"));
}

}  // namespace
}  // namespace detection
