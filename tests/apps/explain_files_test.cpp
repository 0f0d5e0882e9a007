// vitkit explain --save: the files.
#include <algorithm>

#include "tests/apps/verb_test.h"
#include "tests/support/film.h"
#include "tests/support/tiny_detector.h"
#include "vit/image/decode.h"
#include "vit/io/npy.h"

namespace vit::test {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class ExplainFilesTest : public VerbTest {
 protected:
  CommandResult explain(const std::string& model, const std::string& folder, std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"explain", "--model", path(model), "--save", path(folder)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_vitkit(arguments);
  }
  std::vector<std::string> files(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  /// What the page's script reads.
  json report(const std::string& folder) const {
    const std::string page = slurp(dir_ / folder / "report.html"), open = "id=\"data\">";
    const size_t from = page.find(open) + open.size();
    return json::parse(page.substr(from, page.find("</script>", from) - from));
  }
};

TEST_F(ExplainFilesTest, PicturesLeaveMapsSheetsAndAReport) {
  jpeg("in/one.jpg", 40, 60);
  jpeg("in/two.jpg", 32, 32);
  const CommandResult result = explain("model", "out", {"--method", "attention,input_x_gradient", path("in")});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(files("out"),
            (std::vector<std::string>{
                "one_attention.npy", "one_attention.png", "one_attention_map.png", "one_heads.png",
                "one_input_x_gradient.npy", "one_input_x_gradient.png", "one_input_x_gradient_map.png", "report.html",
                "two_attention.npy", "two_attention.png", "two_attention_map.png", "two_heads.png",
                "two_input_x_gradient.npy", "two_input_x_gradient.png", "two_input_x_gradient_map.png"}));
  EXPECT_EQ(read_npy(dir_ / "out" / "one_attention.npy").shape(), (Shape{4, 4}));
  const Image map = load_image(path("out/one_attention_map.png"));
  EXPECT_EQ(map.height(), 40);
  EXPECT_EQ(map.width(), 60);
  EXPECT_GE(load_image(path("out/one_attention.png")).width(), 480) << "never too small to read";
  const json data = report("out");
  ASSERT_EQ(data["pictures"].size(), 2u);
  const json& picture = data["pictures"][0];
  ASSERT_EQ(picture["layers"].size(), 2u);
  EXPECT_EQ(picture["layers"][1]["name"], "blocks.1.attn");
  EXPECT_EQ(picture["layers"][1]["heads"].size(), 2u);
  EXPECT_EQ(picture["layers"][0]["queries"]["rows"], 4);
  ASSERT_EQ(picture["maps"].size(), 2u);
  EXPECT_EQ(picture["maps"][1]["signed"], true);
  EXPECT_TRUE(picture["maps"][0]["figures"]["deletion AUC"]["value"].is_number());
}

TEST_F(ExplainFilesTest, TheSameRunMakesTheSameBytes) {
  jpeg("in/one.jpg", 40, 60);
  for (const std::string folder : {"a", "b"}) {
    const CommandResult result =
        explain("model", folder, {"--method", "gradcam", "--threads", folder == "a" ? "1" : "2", path("in")});
    ASSERT_EQ(result.status, 0) << result.err;
  }
  ASSERT_EQ(files("a"), files("b"));
  for (const std::string& file : files("a")) {
    // The report names the model's and the pictures' paths, which are the same.
    EXPECT_EQ(slurp(dir_ / "a" / file), slurp(dir_ / "b" / file)) << file;
  }
}

TEST_F(ExplainFilesTest, FilmsBecomeFilms) {
  write_film(dir_ / "a.avi", 3);
  write_film(dir_ / "a_b.avi", 2);
  const CommandResult result =
      explain("model", "out", {"--method", "attention", "--faithfulness", "never", path("a.avi"), path("a_b.avi")});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(files("out"), (std::vector<std::string>{"a_attention.mp4", "a_b_attention.mp4"}));
  EXPECT_EQ(read_all(path("out/a_attention.mp4")).size(), 4u) << "three frames and the end";
  EXPECT_EQ(read_all(path("out/a_b_attention.mp4")).size(), 3u);
}

TEST_F(ExplainFilesTest, DetectorsShowTheirPointsAndCaptionersTheirWords) {
  write_tiny_detector(dir_ / "detector");
  jpeg("one.jpg", 48, 64);
  const CommandResult found = explain(
      "detector", "objects", {"--method", "gradcam", "--conf", "0.01", "--faithfulness", "never", path("one.jpg")});
  ASSERT_EQ(found.status, 0) << found.err;
  const json detector = report("objects")["pictures"][0];
  ASSERT_FALSE(detector["layers"].empty());
  const json& points = detector["layers"].back();
  EXPECT_THAT(points["note"].get<std::string>(), HasSubstr("deformable attention"));
  ASSERT_EQ(points["queries"]["before"].size(), 5u);
  EXPECT_EQ(points["keys"]["rows"], 80) << "cells of 8 of the 640 pixels";
  // A model that has learnt to write: captions of others may have no words.
  const CommandResult said = explain(VITKIT_SOURCE_DIR "/models/scenes_captioner", "words",
                                     {"--method", "attention", "--faithfulness", "never", path("one.jpg")});
  ASSERT_EQ(said.status, 0) << said.err;
  const json captioner = report("words")["pictures"][0];
  ASSERT_FALSE(captioner["layers"].empty());
  const json& words = captioner["layers"].back();
  EXPECT_EQ(words["keys"]["rows"], 8);
  EXPECT_THAT(words["queries"]["before"], Not(Contains(HasSubstr("query")))) << "words are called by themselves";
}

TEST_F(ExplainFilesTest, TheReportKeepsToItsSize) {
  for (int i = 0; i < 12; ++i) jpeg("in/" + std::to_string(i) + ".jpg", 400, 400);
  const CommandResult result =
      explain("model", "out", {"--method", "attention", "--faithfulness", "never", "--report-mb", "1", path("in")});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_LE(std::filesystem::file_size(dir_ / "out" / "report.html"), 1'000'000u);
  const json data = report("out");
  EXPECT_LT(data["pictures"].size(), 12u);
  EXPECT_THAT(data["notes"][0].get<std::string>(), HasSubstr("further pictures are not in it"));
}

}  // namespace
}  // namespace vit::test
