#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "datasets/box_dataset.h"
#include "datasets/open.h"
#include "datasets/voc_xml.h"
#include "tests/datasets/shared_set.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vit::test::TempDir;
using vit::test::usage_error;

std::string object(const std::string& name, const std::string& corners, const std::string& more = {}) {
  static const char* kTags[] = {"xmin", "ymin", "xmax", "ymax"};
  std::string box;
  size_t at = 0;
  for (const char* tag : kTags) {
    const size_t end = std::min(corners.find(' ', at), corners.size());
    box += vit::str("<", tag, ">", corners.substr(at, end - at), "</", tag, ">");
    at = std::min(end + 1, corners.size());
  }
  return "<object><name>" + name + "</name>" + more + "<bndbox>" + box + "</bndbox></object>";
}

std::string annotation(const std::string& objects, const std::string& size = "<width>40</width><height>30</height>") {
  return "<?xml version=\"1.0\"?>\n<annotation><filename>x.jpg</filename><size>" + size + "</size>" + objects +
         "</annotation>";
}

/// Three pictures in VOC's own layout, a and b in train, c in val.
void write_voc(const TempDir& dir) {
  const std::string jpeg = vit::test::encode_jpeg(vit::test::pattern(30, 40));
  for (const char* name : {"a", "b", "c"}) dir.write(vit::str("JPEGImages/", name, ".jpg"), jpeg);
  dir.write("Annotations/a.xml",
            annotation(object("dog", "1 1 40 30", "<difficult>1</difficult>") + object("cat", "5 6 10 20")));
  dir.write("Annotations/b.xml", annotation(""));
  dir.write("Annotations/c.xml", annotation(object("owl", "2.5 3 10 20")));
  dir.write("ImageSets/Main/train.txt", "a\nb\n");
  dir.write("ImageSets/Main/val.txt", "c  1\r\n");
  dir.write("ImageSets/Main/trainval.txt", "a\nb\nc\n");
  dir.write("ImageSets/Main/dog_train.txt", "a 1\nb -1\n");
}

std::shared_ptr<const BoxDataset> open_boxes(const std::string& spec, const std::string& split = {}) {
  return require_boxes(open_dataset(spec, {.split = split}).data, spec);
}

TEST(Voc, ReadsCornersFromOneClassesOfAllSplitsAndDifficulty) {
  const TempDir dir;
  write_voc(dir);
  const std::string path = dir.path().string();
  EXPECT_THAT(dataset_splits(path), ElementsAre("train", "val"));
  const OpenedDataset opened = open_dataset(path, {.split = "train"});
  EXPECT_EQ(opened.format, "voc");
  const auto data = require_boxes(opened.data, path);
  EXPECT_THAT(data->class_names(), ElementsAre("cat", "dog", "owl"));
  ASSERT_EQ(data->size(), 2);
  const std::vector<BoxAnnotation> boxes = data->boxes(0);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_THAT(boxes[0].box, ElementsAre(0, 0, 40, 30)) << "the whole picture";
  EXPECT_TRUE(boxes[0].difficult);
  EXPECT_EQ(boxes[0].label, 1);
  EXPECT_THAT(boxes[1].box, ElementsAre(4, 5, 10, 20));
  EXPECT_EQ(boxes[1].area, 90.0);
  EXPECT_THAT(data->boxes(1), IsEmpty());
  EXPECT_EQ(data->load(1).width(), 40);
  EXPECT_THAT(data->bad_boxes(), IsEmpty());
  EXPECT_EQ(open_boxes(path, "trainval")->size(), 3);
  EXPECT_THAT(open_boxes(path, "val")->boxes(0).at(0).box, ElementsAre(1.5, 2, 10, 20));
}

TEST(Voc, ReadsXmlBesidePictures) {
  const TempDir dir;
  const std::string png = vit::test::encode_jpeg(vit::test::pattern(30, 40));
  for (const char* split : {"train/", "valid/"}) {
    dir.write(vit::str(split, "a.jpg"), png);
    dir.write(vit::str(split, "a.xml"), annotation(object("dog", "1 1 9 9"), ""));
  }
  EXPECT_THAT(dataset_splits(dir.path().string()), ElementsAre("train", "valid"));
  const auto data = open_boxes(dir.path().string(), "val");
  EXPECT_EQ(data->source(0), (dir / "valid/a.jpg").string());
  EXPECT_EQ(data->picture_size(0), (vit::Extent{30, 40})) << "from the picture, where the XML does not say";
  EXPECT_EQ(open_boxes((dir / "train").string())->size(), 1);
}

TEST(Voc, ReportsWhatCannotBeUsed) {
  const TempDir dir;
  write_voc(dir);
  dir.write("Annotations/a.xml",
            annotation(object("dog", "7 7 7 9") + object("dog", "9 2 5 8") + object("dog", "nan 2 5 8") +
                       object("dog", "1 2 x 8") + object("", "1 2 3 4") + object("dog", "50 2 60 8") +
                       object("dog", "30 20 99 99") + "<object><name>cat</name></object>" + object("dog", "0 0 9 9")));
  dir.write("Annotations/b.xml", "<annotation><object>");
  dir.write("ImageSets/Main/train.txt", "a\nb\nnowhere\n");
  const auto data = open_boxes(dir.path().string(), "train");
  ASSERT_EQ(data->size(), 1) << "b cannot be read, nowhere is not there";
  EXPECT_THAT(data->skipped(), ElementsAre(HasSubstr("nowhere.xml")));
  std::vector<std::string> reasons;
  for (const BadBox& bad : data->bad_boxes()) reasons.push_back(bad.reason);
  EXPECT_THAT(reasons,
              ElementsAre(HasSubstr("no area: (7, 7, 7, 9)"), HasSubstr("swapped"), HasSubstr("not a number"),
                          HasSubstr("not a number"), "no name", HasSubstr("outside the picture"),
                          HasSubstr("reaches outside"), HasSubstr("not a number"), HasSubstr("b.xml:1: no XML")));
  ASSERT_EQ(data->boxes(0).size(), 2u);
  EXPECT_THAT(data->boxes(0)[0].box, ElementsAre(29, 19, 40, 30));
  EXPECT_THAT(data->boxes(0)[1].box, ElementsAre(0, 0, 9, 9)) << "counted from 0: one pixel is no fault";
}

TEST(VocXml, RefusesEntitiesAndOtherDocuments) {
  const auto error = [](const std::string& text) { return usage_error([&] { parse_voc(text, "x.xml"); }); };
  // A billion laughs, which is refused before the first.
  std::string laughs = "<?xml version=\"1.0\"?>\n<!DOCTYPE annotation [<!ENTITY a \"ha\">";
  for (char c = 'b'; c <= 'k'; ++c) {
    laughs += vit::str("<!ENTITY ", c, " \"");
    for (int i = 0; i < 10; ++i) laughs += vit::str("&", static_cast<char>(c - 1), ";");
    laughs += "\">";
  }
  EXPECT_THAT(error(laughs + "]><annotation><filename>&k;</filename></annotation>"), HasSubstr("document type"));
  EXPECT_THAT(error("<!DOCTYPE annotation SYSTEM \"file:///etc/passwd\"><annotation/>"), HasSubstr("document type"));
  EXPECT_THAT(error("<annotation>&ha;</annotation>"), HasSubstr("x.xml:1: no XML: undefined entity"));
  EXPECT_THAT(error("<html></html>"), HasSubstr("expected <annotation>, got <html>"));
  EXPECT_THAT(error(""), HasSubstr("no element found"));
  EXPECT_THAT(error("<annotation>\n<object>\n</annotation>"), HasSubstr("x.xml:3: no XML: mismatched tag"));
  std::string deep = "<annotation>";
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_THAT(error(deep), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(error(std::string(static_cast<size_t>(kMaxVocBytes) + 1, ' ')), HasSubstr("longer than the limit"));
}

TEST(VocXml, PassesOverPartsOfObjects) {
  const VocAnnotation read =
      parse_voc(annotation("<object><name>person</name><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
                           "<bndbox><xmin> 3 </xmin><ymin>4</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>"),
                "x.xml");
  ASSERT_EQ(read.objects.size(), 1u);
  EXPECT_EQ(read.objects[0].name, "person");
  EXPECT_THAT(read.objects[0].box, ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(read.size, (vit::Extent{30, 40}));
}

TEST(Voc, SaysThatNothingCanBeRead) {
  const TempDir dir;
  dir.write("Annotations/a.xml", "<annotation><object>");
  EXPECT_THAT(usage_error([&] { open_dataset(dir.path().string()); }),
              testing::AllOf(HasSubstr("no picture with annotations"), HasSubstr("a.xml:1: no XML")));
}

TEST(Voc, GivesTheBoxesOfTheSameSetInCoco) {
  const test::SharedSet set("bccd.tar");
  if (!set.is_there()) GTEST_SKIP() << "../shared is not there";
  for (const char* split : {"train", "val"}) {
    const auto coco = open_boxes("coco:" + set.path(), split), voc = open_boxes("voc:" + set.path(), split);
    ASSERT_EQ(coco->size(), voc->size());
    EXPECT_EQ(voc->bad_boxes().size(), 1u) << "the degenerate box that the COCO file leaves out";
    for (int64_t i = 0; i < coco->size(); ++i) {
      EXPECT_EQ(coco->source(i), voc->source(i));
      const std::vector<BoxAnnotation> a = coco->boxes(i), b = voc->boxes(i);
      ASSERT_EQ(a.size(), b.size()) << coco->source(i);
      for (size_t k = 0; k < a.size(); ++k) {
        EXPECT_EQ(a[k].box, b[k].box) << coco->source(i);
        EXPECT_EQ(coco->class_names()[static_cast<size_t>(a[k].label)],
                  voc->class_names()[static_cast<size_t>(b[k].label)]);
      }
    }
  }
}

}  // namespace
}  // namespace datasets
