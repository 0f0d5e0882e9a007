#include "detection/mot_text.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace detection {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

TEST(MotText, ReadsAnnotationsAndResults) {
  const TempDir dir;
  const auto truth = dir.write("gt.txt", "1,5,10,20,30,40,1,2,0.9\r\n\n# a comment\n2, 6, 1.5, 2, 3, 4, 0, 7, 1\n");
  const std::vector<TrackBox> boxes = read_mot(truth, MotKind::truth);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].frame, 1);
  EXPECT_EQ(boxes[0].track, 5);
  EXPECT_EQ(boxes[0].box, (vit::Corners{10, 20, 40, 60}));
  EXPECT_EQ(boxes[0].label, 2);
  EXPECT_FALSE(boxes[0].ignored);
  EXPECT_TRUE(boxes[1].ignored);
  const auto results = dir.write("results.txt", "1 5 10 20 30 40 0.25 -1 -1 -1\n3.0\t5\t1\t2\t3\t4\n");
  const std::vector<TrackBox> found = read_mot(results, MotKind::results);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].score, 0.25);
  EXPECT_FALSE(found[0].ignored);
  EXPECT_EQ(found[1].frame, 3);
  EXPECT_TRUE(read_mot(dir.write("empty.txt", ""), MotKind::truth).empty());
}

TEST(MotText, IsReadBackAsItWasWritten) {
  const TempDir dir;
  for (const MotKind kind : {MotKind::truth, MotKind::results}) {
    const std::vector<TrackBox> boxes = {
        {.frame = 1, .track = 2, .box = {0.25, 0.5, 100.75, 7}, .label = kind == MotKind::truth ? 3 : -1},
        {.frame = 9, .track = 1, .box = {-5, 0, 5, 10}, .ignored = kind == MotKind::truth}};
    write_mot(dir / "tracks.txt", boxes, kind);
    const std::vector<TrackBox> read = read_mot(dir / "tracks.txt", kind);
    ASSERT_EQ(read.size(), boxes.size());
    for (size_t i = 0; i < read.size(); ++i) {
      EXPECT_EQ(read[i].frame, boxes[i].frame);
      EXPECT_EQ(read[i].track, boxes[i].track);
      EXPECT_EQ(read[i].box, boxes[i].box);
      EXPECT_EQ(read[i].label, boxes[i].label);
      EXPECT_EQ(read[i].ignored, boxes[i].ignored);
    }
  }
}

TEST(MotText, DamageIsRefusedWithItsLine) {
  const TempDir dir;
  const auto error = [&](const std::string& text) {
    return usage_error([&] { read_mot(dir.write("t.txt", text), MotKind::results); });
  };
  EXPECT_THAT(error("1,1,0,0,5,5\n1,2,3\n"), AllOf(HasSubstr("t.txt:2"), HasSubstr("3 numbers, expected at least 6")));
  EXPECT_THAT(error("1,1,0,0,five,5\n"), HasSubstr("'five' is not a finite number"));
  EXPECT_THAT(error("1,1,0,0,nan,5\n"), HasSubstr("'nan'"));
  EXPECT_THAT(error("1,1,0,0,0,5\n"), HasSubstr("expected more than zero"));
  EXPECT_THAT(error("1.5,1,0,0,5,5\n"), HasSubstr("the frame is 1.5"));
  EXPECT_THAT(error("1e300,1,0,0,5,5\n"), HasSubstr("whole number"));
  EXPECT_THAT(error(std::string(5000, '1')), HasSubstr("longer than"));
  EXPECT_THAT(usage_error([&] { read_mot(dir / "none.txt", MotKind::truth); }), HasSubstr("none.txt"));
  EXPECT_THAT(usage_error([&] { read_mot(dir.path(), MotKind::truth); }), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace detection
