// What `vitkit detect` is made of: records, file names, the table of stages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/detect_run.h"
#include "apps/detection_files.h"
#include "apps/detection_records.h"
#include "apps/stage_table.h"
#include "tests/support/errors.h"
#include "tests/support/film.h"
#include "tests/support/temp_dir.h"
#include "vit/image/decode.h"
#include "vit/models/labels.h"

namespace apps {
namespace {

using detection::FrameResult;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = vit::VideoEvent::Kind;

const vit::ClassLabels& labels() {
  static const vit::ClassLabels names = vit::ClassLabels::from_names({"cat", "sea lion", "2"});
  return names;
}

FrameResult frame_of(const std::string& source, int64_t stream, int64_t number, double time_s) {
  FrameResult frame;
  frame.item.source = source;
  frame.item.stream = stream;
  frame.item.event.kind = Kind::frame;
  frame.item.event.number = number;
  frame.item.event.time_s = time_s;
  frame.item.event.image = vit::test::numbered_frame(number);
  frame.size = {48, 64};
  frame.detections = {{{.index = 1, .score = 0.75, .box = {-4.0, 6.0, 32.0, 30.0}}, 7}};
  frame.rendering.picture = frame.item.event.image;
  return frame;
}

TEST(DetectionRecords, HaveTheFieldsThatWerePromised) {
  const Record picture = detection_record(frame_of("a.jpg", -1, 0, 0.0), labels());
  EXPECT_EQ(json_line(picture),
            R"({"source":"a.jpg","frame":0,"time_s":0.0,"width":64,"height":48,"detections":[)"
            R"({"label":"sea lion","index":1,"score":0.75,"box":[-4.0,6.0,32.0,30.0],"track":7}]})");
  FrameResult untracked = frame_of("film.mp4", 0, 12, 0.5);
  untracked.detections[0].track = -1;
  EXPECT_TRUE(detection_record(untracked, labels())["detections"][0]["track"].is_null());
}

TEST(DetectionRecords, LiveSourcesAddLagDropsAndGaps) {
  FrameResult frame = frame_of("rtsp://one", 0, 12, 0.5);
  frame.item.live = true;
  frame.item.event.captured_s = vit::steady_seconds() - 0.25;
  frame.item.event.dropped = 3;
  const Record record = detection_record(frame, labels());
  EXPECT_GE(record["lag_ms"].get<double>(), 250.0);
  EXPECT_LT(record["lag_ms"].get<double>(), 60'000.0);
  EXPECT_EQ(record["dropped"], 3);
  frame.item.event.kind = Kind::gap;
  frame.item.event.from_s = 1.0;
  frame.item.event.to_s = 2.5;
  frame.item.event.reason = "reset";
  EXPECT_EQ(json_line(detection_record(frame, labels())),
            R"({"source":"rtsp://one","gap":{"from":1.0,"to":2.5,"reason":"reset"}})");
}

TEST(DetectionRecords, SayWhatFailed) {
  FrameResult frame = frame_of("film.mp4", 0, 12, 0.5);
  frame.error = "the model's output is not finite";
  EXPECT_EQ(json_line(detection_record(frame, labels())),
            R"({"source":"film.mp4","frame":12,"time_s":0.5,"error":"the model's output is not finite"})");
  frame.item.stream = -1;
  EXPECT_EQ(detection_record(frame, labels()).size(), 2u) << "a picture: source and error";
  frame.error.clear();
  frame.item.event.kind = Kind::error;
  frame.item.event.reason = "truncated";
  EXPECT_EQ(json_line(detection_record(frame, labels())), R"({"source":"film.mp4","error":"truncated"})");
  EXPECT_EQ(failure_of(frame), "truncated");
  for (const Kind kind : {Kind::end, Kind::lost}) {
    frame.item.event.kind = kind;
    EXPECT_TRUE(detection_record(frame, labels()).is_null());
  }
}

TEST(DetectionClasses, AreNamesOrNumbers) {
  EXPECT_THAT(chosen_classes("--classes", "", labels()), testing::IsEmpty());
  EXPECT_THAT(chosen_classes("--classes", "sea lion, cat", labels()), ElementsAre(1, 0));
  EXPECT_THAT(chosen_classes("--classes", "1,0,", labels()), ElementsAre(1, 0));
  EXPECT_THAT(chosen_classes("--classes", "2", labels()), ElementsAre(2)) << "a name goes before a number";
  EXPECT_THAT(vit::test::usage_error([] { chosen_classes("--classes", "cat,sealion", labels()); }),
              HasSubstr("'sea lion'"));
  for (const char* wrong : {"3", "-1", "1.5", "0x1"})
    EXPECT_THAT(vit::test::usage_error([&] { chosen_classes("--classes", wrong, labels()); }), HasSubstr(wrong));
}

TEST(SavedNames, AreTheSourcesAndNeverTwice) {
  SavedNames names;
  EXPECT_EQ(names.take("photos/a.jpg"), "a");
  EXPECT_EQ(names.take("other/a.png"), "a_2");
  EXPECT_EQ(names.take("a_2.jpg"), "a_2_2");
  EXPECT_EQ(names.take("a.tar.jpg"), "a.tar");
  EXPECT_EQ(names.take("rtsp://user:secret@host:554/live/1?token=x"), "host_554_live_1");
  EXPECT_EQ(names.take("http://host/"), "host");
  EXPECT_EQ(names.take("7"), "camera7");
}

class DetectionFilesTest : public testing::Test {
 protected:
  DetectionFiles files(DetectionFileOptions options = {}) {
    options.folder = (dir_ / "out").string();
    return DetectionFiles(options, labels(), [this](const std::string& message) { failures_.push_back(message); });
  }
  void add(DetectionFiles& to, FrameResult frame) const {
    to.encode(frame);
    to.write(frame);
  }
  FrameResult end_of(int64_t stream) const {
    FrameResult end = frame_of("x", stream, 0, 0.0);
    end.item.event.kind = Kind::end;
    return end;
  }

  vit::test::TempDir dir_;
  std::vector<std::string> failures_;
};

TEST_F(DetectionFilesTest, LabelsAndCropsAreClippedToThePicture) {
  DetectionFiles out = files({.txt = true, .crops = true});
  FrameResult frame = frame_of("a.jpg", -1, 0, 0.0);
  frame.detections.push_back({{.index = 0, .score = 0.6, .box = {70, 0, 90, 20}}, -1});  // beyond the picture
  add(out, frame);
  EXPECT_EQ(vit::test::slurp(dir_ / "out/labels/a.txt"), "1 0.250000 0.375000 0.500000 0.500000\n");
  const vit::Image crop = vit::load_image((dir_ / "out/crops/sea_lion/a_1.jpg").string());
  EXPECT_EQ(crop.width(), 32);
  EXPECT_EQ(crop.height(), 24);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/crops/cat"));
  EXPECT_THAT(failures_, testing::IsEmpty());
}

TEST_F(DetectionFilesTest, ALiveFilmKeepsItsPaceAndStandsStillDuringGaps) {
  DetectionFiles out = files();
  const auto live = [](int64_t number, double time_s) {
    FrameResult frame = frame_of("rtsp://one", 0, number, time_s);
    frame.item.live = true;
    frame.item.info.frame_rate = 10.0;
    return frame;
  };
  add(out, live(0, 5.0));
  add(out, live(1, 5.04));  // too early for a film of 10 frames per second
  add(out, live(2, 5.5));
  FrameResult gap = live(0, 0.0);
  gap.item.event.kind = Kind::gap;
  gap.item.event.from_s = 5.5;
  gap.item.event.to_s = 105.5;
  out.write(gap);
  add(out, live(3, 106.0));
  out.finish();
  const auto numbers = vit::test::numbers_of(vit::test::read_all((dir_ / "out/one.mp4").string()));
  EXPECT_THAT(numbers, ElementsAre(0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3)) << "each when it was seen, from 0 to 1 s";
}

TEST_F(DetectionFilesTest, AFilmIsFinishedWithItsSourceAndTheNextOfThatNameIsAnother) {
  DetectionFiles out = files();
  for (int64_t n = 0; n < 3; ++n) add(out, frame_of("a/film.avi", 0, n, 0.0));
  out.write(end_of(0));
  EXPECT_EQ(vit::test::read_all((dir_ / "out/film.avi").string()).size(), 4u);
  add(out, frame_of("b/film.avi", 1, 0, 0.0));
  out.finish();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/film_2.avi"));
}

TEST_F(DetectionFilesTest, WhatCannotBeWrittenIsToldAndTheRestIs) {
  DetectionFiles out = files({.txt = true});
  std::filesystem::create_directories(dir_ / "out/film.mp4");  // a folder where the film is to be
  for (int64_t n = 0; n < 3; ++n) add(out, frame_of("film.mp4", 0, n, 0.0));
  out.finish();
  EXPECT_EQ(failures_.size(), 1u) << "once, not for every frame";
  EXPECT_THAT(failures_.at(0), HasSubstr("film.mp4"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/labels/film_000002.txt"));
}

TEST(StageTable, ComparesTheWallWithThreadsThatAreNeverIdle) {
  const vit::PipelineReport report{{{"read", 0.2}, {"infer", 1.8}}, 10, 1.1};
  const std::string table = stage_table(report, 2);
  EXPECT_THAT(table, HasSubstr("read                20.000\n"));
  EXPECT_THAT(table, HasSubstr("sum                200.000\n"));
  EXPECT_THAT(table, HasSubstr("wall               110.000   1.82 of 2 threads busy; 100.000"));
  EXPECT_THAT(table, HasSubstr("(+10.0 %)"));
  EXPECT_EQ(stage_table({}, 2), "");
}

}  // namespace
}  // namespace apps
