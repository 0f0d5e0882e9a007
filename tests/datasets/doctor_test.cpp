#include "datasets/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vit::test::encode_jpeg;
using vit::test::encode_png;
using vit::test::encode_ppm;
using vit::test::TempDir;

/// A smooth picture that looks like no other seed's.
vit::Image photo(uint64_t seed, int64_t height = 40, int64_t width = 50) {
  vit::Rng rng(seed);
  float level[6][6][3];
  for (auto& row : level)
    for (auto& cell : row)
      for (float& value : cell) value = 255.0f * rng.uniform();
  vit::Image image(height, width);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const float v = 5.0f * static_cast<float>(y) / static_cast<float>(height);
      const float u = 5.0f * static_cast<float>(x) / static_cast<float>(width);
      const int i = static_cast<int>(v), j = static_cast<int>(u);
      const float a = v - static_cast<float>(i), b = u - static_cast<float>(j);
      for (int c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = static_cast<uint8_t>((1 - a) * ((1 - b) * level[i][j][c] + b * level[i][j + 1][c]) +
                                                       a * ((1 - b) * level[i + 1][j][c] + b * level[i + 1][j + 1][c]));
    }
  }
  return image;
}

class Doctor : public testing::Test {
 protected:
  void ppm(const std::string& name, uint64_t seed) const { dir_.write(name, encode_ppm(photo(seed))); }
  std::vector<Finding> examined(const std::string& split = "", const DoctorOptions& options = {}) const {
    return diagnose(examine(dir_.path().string(), split, options));
  }
  /// "severity source: detail" of the findings of a kind; paths relative to the data set.
  std::vector<std::string> found(const std::string& kind, const DoctorOptions& options = {}) const {
    std::vector<std::string> all;
    for (const Finding& finding : examined("", options)) {
      if (finding.kind != kind) continue;
      std::string text = std::string(name_of(finding.severity)) + " " + finding.source + ": " + finding.detail;
      const std::string root = dir_.path().string() + "/";
      for (size_t at = text.find(root); at != std::string::npos; at = text.find(root)) text.erase(at, root.size());
      all.push_back(text);
    }
    return all;
  }
  TempDir dir_;
};

TEST_F(Doctor, FindsNothingWrongWithGoodData) {
  for (int i = 0; i < 4; ++i) {
    ppm("train/a/" + std::to_string(i) + ".ppm", static_cast<uint64_t>(i));
    ppm("train/b/" + std::to_string(i) + ".ppm", static_cast<uint64_t>(10 + i));
  }
  ppm("val/a/0.ppm", 20);
  ppm("val/b/0.ppm", 21);
  for (const Finding& finding : examined()) EXPECT_EQ(finding.kind, "class_counts") << finding.source << finding.detail;
  EXPECT_THAT(found("class_counts"), ElementsAre("note train: 8 pictures in 2 classes: a 4, b 4",
                                                 "note val: 2 pictures in 2 classes: a 1, b 1"));
}

TEST_F(Doctor, FindsWhatCannotBeRead) {
  ppm("a/good.ppm", 1);
  dir_.write("a/text.jpg", "no picture");
  dir_.write("a/empty.png", "");
  const std::string jpeg = encode_jpeg(photo(2));
  dir_.write("a/cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  dir_.write("a/big.ppm", encode_ppm(photo(3, 60, 60)));
  std::filesystem::create_symlink(dir_ / "nowhere", dir_ / "a" / "gone.jpg");
  const DoctorOptions options{.max_pixels = 3000};
  EXPECT_THAT(found("unreadable", options),
              ElementsAre(HasSubstr("error a/empty.png: empty file"), HasSubstr("error a/gone.jpg: cannot be opened"),
                          HasSubstr("error a/text.jpg: ")));
  EXPECT_THAT(found("truncated", options), ElementsAre(HasSubstr("error a/cut.jpg: truncated JPEG")));
  EXPECT_THAT(found("huge", options), ElementsAre(HasSubstr("error a/big.ppm: 60 x 60 pixels, more than")));
}

TEST_F(Doctor, FindsWhatIsOdd) {
  dir_.write("a/lying.jpg", encode_jpeg(photo(1), {.orientation = 6}));
  dir_.write("a/grey.jpg", encode_jpeg(photo(2), {.components = 1}));
  dir_.write("a/misnamed.png", encode_jpeg(photo(3)));
  dir_.write("a/tiny.ppm", encode_ppm(photo(4, 15, 90)));
  dir_.write("a/blank.png", encode_png(20, 20, std::string(20 * 20 * 4, 'x'), {.colour_type = 6}));
  dir_.write("a/large.ppm", encode_ppm(photo(5, 70, 70)));
  dir_.write("a/notes.txt", "x");
  dir_.write("a/more.txt", "x");
  dir_.write("a/Makefile", "x");
  EXPECT_THAT(found("rotated"), ElementsAre(HasSubstr("note a/lying.jpg: EXIF orientation 6")));
  EXPECT_THAT(found("grey"), ElementsAre(HasSubstr("note a/grey.jpg")));
  EXPECT_THAT(found("misnamed"), ElementsAre("note a/misnamed.png: it is a JPEG, whatever its name says"));
  EXPECT_THAT(found("tiny"), ElementsAre("warning a/tiny.ppm: 90 x 15 pixels, a side shorter than 16"));
  EXPECT_THAT(found("tiny", {.min_side = 15}), IsEmpty());
  EXPECT_THAT(found("blank"), ElementsAre("warning a/blank.png: 20 x 20 pixels of one colour"));
  EXPECT_THAT(found("alpha"), ElementsAre(HasSubstr("note a/blank.png")));
  EXPECT_THAT(found("large", {.large_pixels = 4000}), ElementsAre(HasSubstr("warning a/large.ppm: 70 x 70 pixels")));
  EXPECT_THAT(found("skipped"), ElementsAre(HasSubstr("note a/Makefile: 1 file with no ending is not used"),
                                            HasSubstr("note a/more.txt: 2 files with the ending .txt are not used")));
}

TEST_F(Doctor, SaysOnceWhatAllHaveInCommon) {
  for (int i = 0; i < 30; ++i)
    dir_.write("a/" + std::to_string(i) + ".jpg", encode_jpeg(photo(static_cast<uint64_t>(i)), {.components = 1}));
  EXPECT_THAT(found("grey"), ElementsAre(HasSubstr("30 of 30 pictures are grey")));
}

TEST_F(Doctor, FindsCopies) {
  ppm("train/a/1.ppm", 1);
  ppm("train/a/2.ppm", 1);
  ppm("train/b/3.ppm", 1);
  ppm("train/b/4.ppm", 4);
  ppm("val/a/5.ppm", 1);
  ppm("val/a/6.ppm", 1);
  ppm("val/b/7.ppm", 7);
  EXPECT_THAT(found("duplicate"), ElementsAre("warning train/a/2.ppm: the same picture as train/a/1.ppm",
                                              "warning val/a/6.ppm: the same picture as val/a/5.ppm"));
  EXPECT_THAT(found("label_conflict"), ElementsAre(HasSubstr("error train/b/3.ppm: the same picture as train/a/1.ppm, "
                                                             "labelled 'b' here and 'a' there")));
  EXPECT_THAT(found("leak"), ElementsAre(HasSubstr("error val/a/5.ppm: the same picture as train/a/1.ppm of train")));
  EXPECT_THAT(found("near_duplicate"), IsEmpty());
}

TEST_F(Doctor, FindsPicturesThatWereSavedAgain) {
  for (uint64_t i = 0; i < 20; ++i) ppm("train/a/" + std::to_string(10 + i) + ".ppm", i);
  dir_.write("train/a/again.jpg", encode_jpeg(photo(3), {.quality = 40}));
  dir_.write("val/a/scaled.ppm", encode_ppm(photo(4, 80, 100)));
  EXPECT_THAT(found("near_duplicate"), ElementsAre("note train/a/again.jpg: looks like train/a/13.ppm"));
  EXPECT_THAT(found("near_leak"), ElementsAre("warning val/a/scaled.ppm: looks like train/a/14.ppm of train"));
  EXPECT_THAT(found("duplicate"), IsEmpty());
}

TEST_F(Doctor, ComparesClasses) {
  for (int i = 0; i < 22; ++i) ppm("train/Cat/" + std::to_string(i) + ".ppm", static_cast<uint64_t>(i));
  ppm("train/cat /x.ppm", 30);
  ppm("train/cat /y.ppm", 31);
  std::filesystem::create_directories(dir_ / "train" / "dog");
  ppm("train/7/x.ppm", 32);
  ppm("val/Cat/z.ppm", 33);
  ppm("val/bird/z.ppm", 34);
  EXPECT_THAT(found("imbalance"), ElementsAre(HasSubstr("warning train: class 'Cat' has 22 pictures, '7' 1")));
  EXPECT_THAT(found("empty_class"), ElementsAre("error train: class 'dog' has no picture"));
  EXPECT_THAT(found("odd_label"),
              ElementsAre(HasSubstr("classes 'Cat' and 'cat ' differ"), HasSubstr("'cat ' begins or ends with a blank"),
                          HasSubstr("1 of 4 classes are named by numbers")));
  EXPECT_THAT(found("unknown_class"), ElementsAre("error val: not in train: 'bird'"));
  EXPECT_THAT(found("missing_class"), ElementsAre(HasSubstr("in train only: '7', 'cat ', 'dog'")));
}

TEST_F(Doctor, FindsLabelsOutOfRange) {
  std::string batch;
  for (const char label : {'\1', '\x30', '\2', '\x30'}) {
    batch += label;
    for (int i = 0; i < 3072; ++i) batch += static_cast<char>(i * (label + i) / 7);
  }
  dir_.write("test_batch.bin", batch);
  EXPECT_THAT(found("label_out_of_range"), ElementsAre(HasSubstr("error test_batch.bin#1: label 48 of 2 pictures")));
  EXPECT_THAT(found("grey"), IsEmpty()) << "bare pixels have no header, and are examined as well";
}

TEST_F(Doctor, IsTheSameOnAnyNumberOfThreads) {
  for (uint64_t i = 0; i < 40; ++i) ppm("a/" + std::to_string(i) + ".ppm", i % 30);
  dir_.write("a/x.jpg", "no picture");
  std::vector<std::vector<std::string>> all;
  for (const int threads : {1, 2, 8}) {
    vit::set_num_threads(threads);
    all.emplace_back();
    for (const Finding& finding : examined()) all.back().push_back(finding.kind + finding.source + finding.detail);
  }
  vit::set_num_threads(0);
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[0], all[2]);
  EXPECT_EQ(std::count_if(all[0].begin(), all[0].end(), [](const auto& t) { return t.starts_with("duplicate"); }), 10);
}

TEST_F(Doctor, TellsItsProgressAndKeepsToTheSplit) {
  ppm("train/a/1.ppm", 1);
  ppm("val/a/1.ppm", 1);
  int64_t total = 0, done = 0;
  const Examination all = examine(
      dir_.path().string(), "", {}, [&](int64_t count) { total = count; }, [&](int64_t count) { done += count; });
  EXPECT_EQ(total, 2);
  EXPECT_EQ(done, 2);
  EXPECT_EQ(all.format, "image_folder");
  EXPECT_EQ(examine(dir_.path().string(), "val", {}).splits.size(), 1u);
  EXPECT_THAT(vit::test::usage_error([&] { examine(dir_.path().string(), "holdout", {}); }), HasSubstr("no split"));
}

TEST(DoctorChecks, AnybodyMayAddOne) {
  EXPECT_THAT(doctor_checks().names(), testing::IsSupersetOf({"classes", "duplicates", "pictures"}));
}

TEST(Look, IsTheSameForCopiesAndNotForOthers) {
  const vit::Image image = photo(1, 90, 120);
  const Look look = look_of(image), larger = look_of(photo(1, 180, 240)), other = look_of(photo(2, 90, 120));
  EXPECT_LE(distance(look, larger), 12);
  EXPECT_LE(largest_difference(look, larger), 8);
  EXPECT_GT(distance(look, other), 30);
  EXPECT_GT(contrast(look), 40);
  EXPECT_EQ(pixel_hash(image), pixel_hash(photo(1, 90, 120)));
  EXPECT_NE(pixel_hash(photo(1, 4, 9)), pixel_hash(photo(1, 9, 4)));
  EXPECT_EQ(contrast(look_of(vit::test::picture(1, 1, {9, 9, 9}))), 0) << "smaller than the grid";
}

}  // namespace
}  // namespace datasets
