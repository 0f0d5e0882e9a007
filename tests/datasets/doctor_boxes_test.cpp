#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "datasets/doctor.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::HasSubstr;
using vit::test::TempDir;

std::vector<Finding> findings_of(const std::string& spec, const std::string& kind) {
  std::vector<Finding> found = diagnose(examine(spec, "", {}));
  if (!kind.empty()) std::erase_if(found, [&](const Finding& finding) { return finding.kind != kind; });
  return found;
}

std::string coco(const std::string& annotations) {
  return R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30},
                        {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
                        {"id": 3, "file_name": "c.jpg", "width": 80, "height": 60}],
             "annotations": [)" +
         annotations + R"(], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]})";
}

std::string box(int64_t image, const std::string& bbox) {
  return R"({"category_id": 1, "image_id": )" + std::to_string(image) + R"(, "bbox": )" + bbox + "}";
}

TEST(DoctorBoxes, ReportsWhatIsWrongWithBoxes) {
  const TempDir dir;
  // Different pictures: copies would be findings too.
  int quality = 30;
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg"})
    dir.write(name, vit::test::encode_jpeg(vit::test::pattern(30, 40), {.quality = quality += 20}));
  std::string many;
  for (int i = 0; i < 12; ++i) many += "," + box(1, "[" + std::to_string(i) + ", 1, 9, 9]");
  dir.write("set.json", coco(box(1, "[1, 2, 0, 5]") + "," + box(1, "[30, 20, 30, 30]") + "," + box(1, "[5, 5, 2, 9]") +
                             "," + box(1, "[20, 5, 10, 9]") + "," + box(1, "[20, 5, 10, 9.1]") + "," +
                             box(3, "[50, 40, 20, 15]") + many));
  const std::string spec = dir.path().string();

  const std::vector<Finding> bad = findings_of(spec, "bad_box");
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].severity, Severity::error);
  EXPECT_THAT(bad[0].detail, HasSubstr("left out"));
  EXPECT_EQ(bad[1].severity, Severity::warning);
  EXPECT_THAT(bad[1].detail, HasSubstr("clipped and used"));
  ASSERT_EQ(findings_of(spec, "duplicate_box").size(), 1u);
  EXPECT_THAT(findings_of(spec, "duplicate_box")[0].source, HasSubstr("a.jpg"));
  ASSERT_EQ(findings_of(spec, "tiny_box").size(), 1u);
  EXPECT_THAT(findings_of(spec, "tiny_box")[0].detail, HasSubstr("1 box has a side below 4"));
  ASSERT_EQ(findings_of(spec, "size_mismatch").size(), 1u);
  EXPECT_THAT(findings_of(spec, "size_mismatch")[0].detail,
              HasSubstr("annotated as 80 x 60 pixels, but it has 40 x 30"));
  EXPECT_EQ(findings_of(spec, "size_mismatch")[0].severity, Severity::error);
  ASSERT_EQ(findings_of(spec, "no_boxes").size(), 1u);
  EXPECT_THAT(findings_of(spec, "no_boxes")[0].detail, HasSubstr("1 of 3 pictures has no box: this one"));
  ASSERT_EQ(findings_of(spec, "empty_class").size(), 1u);
  EXPECT_THAT(findings_of(spec, "empty_class")[0].detail, HasSubstr("'cat'"));
  EXPECT_THAT(findings_of(spec, "box_counts").at(0).detail, HasSubstr("dog 17, cat 0"));
  for (const char* kind : {"label_out_of_range", "class_counts", "label_conflict"})
    EXPECT_TRUE(findings_of(spec, kind).empty()) << kind << " is about classes of pictures";
}

TEST(DoctorBoxes, SaysThatThereIsNoBoxAtAll) {
  const TempDir dir;
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg"})
    dir.write(name, vit::test::encode_jpeg(vit::test::pattern(30, 40)));
  dir.write("set.json", coco(""));
  ASSERT_EQ(findings_of(dir.path().string(), "no_boxes").size(), 1u);
  EXPECT_EQ(findings_of(dir.path().string(), "no_boxes")[0].severity, Severity::error);
}

TEST(DoctorBoxes, LeavesGeneratedSetsAlone) {
  EXPECT_TRUE(findings_of("scenes:1:3:32", "box_counts").empty());
  EXPECT_FALSE(findings_of("scenes:1:3:32", "class_counts").empty());
}

}  // namespace
}  // namespace datasets
