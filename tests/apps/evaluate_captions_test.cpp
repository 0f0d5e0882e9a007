// `vitkit evaluate` of captioners, and of captions in a file.
#include <filesystem>

#include "captioning/caption_metrics.h"
#include "captioning/captioner.h"
#include "datasets/scenes.h"
#include "tests/apps/verb_test.h"
#include "tests/support/tiny_captioner.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class EvaluateCaptions : public VerbTest {
 protected:
  EvaluateCaptions() { write_tiny_captioner(dir_ / "captioner"); }

  static void expect_figures(const nlohmann::json& record, const captioning::CaptionScores& scores) {
    for (const auto& [name, value] : scores.figures()) EXPECT_NEAR(record[name].get<double>(), value, 1e-9) << name;
  }
};

TEST_F(EvaluateCaptions, FiguresAreTheMetricsOfWhatTheModelWrites) {
  const CommandResult result =
      run_vitkit({"evaluate", "--model", path("captioner"), "--data", "scenes:3:5:48", "--num-beams", "2",
                  "--batch-size", "2", "--save", path("report"), "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json record = records(result).at(0);
  EXPECT_EQ(record["images"], 5);
  const auto captioner = captioning::Captioner::load(path("captioner"));
  captioning::GenerationConfig config = captioner.generation();
  config.num_beams = 2;
  std::vector<std::string> candidates;
  std::vector<std::vector<std::string>> references;
  for (int64_t i = 0; i < 5; ++i) {
    const datasets::Scene scene = datasets::draw_scene(3, i, 48);
    candidates.push_back(captioner({scene.image}, config).front().front().text);
    references.push_back(scene.captions);
  }
  expect_figures(record, captioning::caption_metrics(candidates, references).corpus);
  const nlohmann::json saved = nlohmann::json::parse(slurp(dir_ / "report/captions.json"));
  ASSERT_EQ(saved.size(), 5u);
  EXPECT_EQ(saved[4]["caption"], candidates[4]);
  EXPECT_EQ(saved[4]["references"], references[4]);
  EXPECT_EQ(saved[4]["image_id"], 4);
  EXPECT_EQ(nlohmann::json::parse(slurp(dir_ / "report/report.json"))["bleu4"], record["bleu4"]);

  // What was saved is counted the same.
  const CommandResult again = run_vitkit(
      {"evaluate", "--captions", path("report/captions.json"), "--data", "scenes:3:5:48", "--format", "json"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(records(again).at(0)["cider"], record["cider"]);
  EXPECT_THAT(run_vitkit({"evaluate", "--captions", path("report/captions.json"), "--data", "scenes:3:5:48"}).out,
              HasSubstr("BLEU-4"));
}

TEST_F(EvaluateCaptions, WhatDoesNotFitIsSaid) {
  jpeg("set/a.jpg");
  jpeg("set/b.jpg");
  dir_.write("set/captions.tsv", "a.jpg\ta cat\nb.jpg\ta dog\nb.jpg\t\n");
  dir_.write("one.json", R"([{"image_id": 0, "caption": "a cat"}, {"image_id": 17, "caption": "a key"}])");
  const CommandResult one =
      run_vitkit({"evaluate", "--captions", path("one.json"), "--data", path("set"), "--format", "json"});
  EXPECT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(records(one).at(0)["images"], 1);
  EXPECT_NEAR(records(one).at(0)["bleu1"].get<double>(), 1.0, 1e-6);
  for (const char* words : {"1 caption or picture cannot be used", "1 of the data has no caption",
                            "1 picture is not the data's, beginning with 17"})
    EXPECT_THAT(one.err, HasSubstr(words));
  for (const auto& [text, words] :
       {std::pair(R"([{"image_id": "a"}])", "[0]: expected an image_id"),
        std::pair(R"([{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}])", "[1]: the picture 1"),
        std::pair("[", "not JSON")}) {
    dir_.write("wrong.json", text);
    const CommandResult wrong = run_vitkit({"evaluate", "--captions", path("wrong.json"), "--data", path("set")});
    expect_refused(wrong, words);
  }
  expect_refused(run_vitkit({"evaluate", "--model", path("captioner"), "--data", path("set"), "--num-beams", "2",
                             "--captions", path("one.json")}),
                 "--captions evaluates what a file has");
  jpeg("classes/cat/a.jpg");
  expect_refused(run_vitkit({"evaluate", "--model", path("captioner"), "--data", path("classes")}),
                 "it has no captions, which a captioner needs");
}

TEST_F(EvaluateCaptions, AnUnreadablePictureIsReportedAndTheRestCounted) {
  jpeg("set/a.jpg");
  dir_.write("set/b.jpg", "no picture");
  dir_.write("set/captions.tsv", "a.jpg\ta cat\nb.jpg\ta dog\n");
  const CommandResult result =
      run_vitkit({"evaluate", "--model", path("captioner"), "--data", path("set"), "--format", "json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(records(result).at(0)["images"], 1);
  EXPECT_EQ(records(result).at(0)["errors"], 1);
  EXPECT_THAT(result.err, HasSubstr("b.jpg"));
}

}  // namespace
}  // namespace vit::test
