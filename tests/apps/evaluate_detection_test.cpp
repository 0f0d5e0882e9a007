// vitkit evaluate on boxes: detectors, detections from a file, tracking.
#include <filesystem>

#include "datasets/scenes.h"
#include "detection/coco_json.h"
#include "detection/mot_text.h"
#include "tests/apps/verb_test.h"
#include "vit/core/file.h"
#include "vit/image/decode.h"

namespace vit::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A case of the reference outputs as a checkpoint: a detector with random weights.
std::string golden(const std::string& name) {
  return (std::filesystem::path(VITKIT_SOURCE_DIR) / "tests" / "goldens" / name).string();
}

class EvaluateDetections : public VerbTest {
 protected:
  std::string truth_ = golden("C3_coco_map") + "/annotations.json", found_ = golden("C3_coco_map") + "/detections.json";
  static CommandResult evaluate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "evaluate");
    return run_vitkit(arguments);
  }
};

TEST_F(EvaluateDetections, GivesPycocotoolsFiguresOfAFile) {
  const CommandResult result =
      evaluate({"--detections", found_, "--data", truth_, "--format", "json", "--per-class", "--save", path("report")});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = records(result);
  const json reference = json::parse(read_file(golden("C3_coco_map") + "/golden.json"));
  const json& stats = reference["stats"];
  for (const auto& [ours, theirs] : {std::pair{"map", "AP"},
                                     {"map50", "AP50"},
                                     {"map75", "AP75"},
                                     {"map_small", "AP_small"},
                                     {"map_medium", "AP_medium"},
                                     {"map_large", "AP_large"},
                                     {"mar1", "AR_1"},
                                     {"mar10", "AR_10"},
                                     {"mar100", "AR_100"},
                                     {"mar_small", "AR_small"},
                                     {"mar_medium", "AR_medium"},
                                     {"mar_large", "AR_large"}})
    EXPECT_NEAR(lines[0][ours].get<double>(), stats[theirs].get<double>(), 1e-9) << ours;
  ASSERT_EQ(lines.size(), 1 + reference["per_category"].size());
  for (size_t k = 1; k < lines.size(); ++k) {
    const json& expected = reference["per_category"][std::to_string(lines[k]["category_id"].get<int64_t>())];
    EXPECT_NEAR(lines[k]["map"].get<double>(), expected["AP"].get<double>(), 1e-9);
    EXPECT_EQ(lines[k]["f1"].is_null(), expected["AP"] == -1.0);
  }
  for (const char* file : {"report.json", "per_class.csv", "detections.json", "pr_curve.png", "ap_per_class.png"})
    EXPECT_TRUE(std::filesystem::exists(dir_ / "report" / file)) << file;
  EXPECT_EQ(load_image(path("report/pr_curve.png")).width(), 640);
  // What was saved is what was read.
  EXPECT_EQ(detection::read_coco_detections(path("report/detections.json")).size(),
            detection::read_coco_detections(found_).size());
}

TEST_F(EvaluateDetections, TextIsInPercent) {
  const CommandResult result = evaluate({"--detections", found_, "--data", truth_, "-v"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("AP 16.81 %"), HasSubstr("AR 17.62 % (1 per picture)"), HasSubstr("at score")));
}

TEST_F(EvaluateDetections, OddFilesAreToldOfAndWrongOnesRefused) {
  const std::string truth = dir_.write("t.json", R"({"images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 3, "name": "cat"}], "annotations": [
    {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
    {"id": 2, "image_id": 1, "category_id": 91, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0}]})");
  const auto found = [&](const std::string& text) { return dir_.write("d.json", text).string(); };
  const CommandResult odd =
      evaluate({"--detections", found(R"([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.5},
                                 {"image_id": 1, "category_id": 8, "bbox": [0, 0, 50, 50], "score": 0.5}])"),
                "--data", truth, "--format", "json"});
  ASSERT_EQ(odd.status, 0) << odd.err;
  EXPECT_NEAR(records(odd)[0]["map"].get<double>(), 1.0, 1e-12);
  EXPECT_THAT(odd.err, AllOf(HasSubstr("category 91 is not in the file"), HasSubstr("leaves them out: 8")));
  const CommandResult none = evaluate({"--detections", found("[]"), "--data", truth, "--format", "json"});
  EXPECT_EQ(records(none)[0]["map"], 0.0);
  const CommandResult stranger =
      evaluate({"--detections", found(R"([{"image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 5], "score": 0.5}])"),
                "--data", truth});
  EXPECT_NE(stranger.status, 0);
  EXPECT_THAT(stranger.err, HasSubstr("image 7, which is not among the images"));
  expect_refused(evaluate({"--detections", found("[{\"image_id\": 1, \"score\": NaN}]"), "--data", truth}), "not JSON");
  expect_refused(evaluate({"--detections", path("none.json"), "--data", truth}), "none.json");
  expect_refused(evaluate({"--detections", found("[]"), "--data", truth, "--model", model()}), "--model");
  expect_refused(evaluate({"--detections", found("[]"), "--data", truth, "--tracks", "x"}), "one of them");
}

TEST_F(EvaluateDetections, ReadsTracks) {
  const std::string truth =
      dir_.write("gt/a.txt", "1,1,0,0,10,10,1,1,1\n2,1,0,0,10,10,1,1,1\n3,1,0,0,10,10,1,1,1\n4,1,0,0,10,10,1,1,1\n");
  const std::string found =
      dir_.write("out/a.txt", "1,7,0,0,10,10,0.9\n2,7,0,0,10,10,0.9\n3,8,0,0,10,10,0.9\n4,8,0,0,10,10,0.9\n");
  const CommandResult result = evaluate({"--tracks", found, "--data", truth, "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const json record = records(result).at(0);
  EXPECT_EQ(record["id_switches"], 1);
  EXPECT_NEAR(record["mota"].get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(record["idf1"].get<double>(), 0.5, 1e-12);
  const CommandResult folders = evaluate(
      {"--tracks", path("out"), "--data", path("gt"), "--format", "json", "--per-class", "--save", path("report")});
  ASSERT_EQ(folders.status, 0) << folders.err;
  EXPECT_EQ(records(folders).at(1)["sequence"], "a");
  EXPECT_EQ(detection::read_mot(path("report/a.txt"), detection::MotKind::results).size(), 4u);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "report" / "per_sequence.csv"));
  expect_refused(evaluate({"--tracks", found, "--data", path("gt")}), "two files, or two folders");
  expect_refused(evaluate({"--tracks", dir_.write("bad.txt", "1,2\n").string(), "--data", truth}), "bad.txt:1");
  dir_.write("out/b.txt", "1,1,0,0,5,5\n");
  expect_refused(evaluate({"--tracks", path("out"), "--data", path("gt")}), "b/gt/gt.txt");
}

/// A detector with random weights; scenes are pictures with boxes.
class EvaluateDetector : public EvaluateDetections {
 protected:
  std::string detector_ = golden("B2_yolos");
};

TEST_F(EvaluateDetector, FiguresAreThoseOfTheSavedDetections) {
  std::filesystem::create_directories(dir_ / "data");
  json annotations = {{"images", json::array()}, {"categories", json::array()}, {"annotations", json::array()}};
  for (int i = 0; i < 3; ++i) {
    const std::string name = "p" + std::to_string(i) + ".jpg";
    jpeg("data/images/" + name, 60 + 10 * i, 80);
    annotations["images"].push_back(
        {{"id", 10 * (i + 1)}, {"file_name", name}, {"width", 80}, {"height", 60 + 10 * i}});
    annotations["annotations"].push_back({{"id", i + 1},
                                          {"image_id", 10 * (i + 1)},
                                          {"category_id", 2 + i % 2},
                                          {"bbox", {20, 15, 40, 30}},
                                          {"area", 1200},
                                          {"iscrowd", 0}});
  }
  for (int k = 1; k < 4; ++k) annotations["categories"].push_back({{"id", k}, {"name", "thing " + std::to_string(k)}});
  const std::string truth = dir_.write("data/annotations.json", annotations.dump());
  const CommandResult result =
      evaluate({"--model", detector_, "--data", truth, "--format", "json", "--save", path("report")});
  ASSERT_EQ(result.status, 0) << result.err;
  const json record = records(result).at(0);
  EXPECT_EQ(record["images"], 3);
  EXPECT_EQ(record["objects"], 3);
  EXPECT_GT(record["found"].get<int64_t>(), 0);
  EXPECT_GT(record["images_per_s"].get<double>(), 0.0);
  const CommandResult again =
      evaluate({"--detections", path("report/detections.json"), "--data", truth, "--format", "json"});
  ASSERT_EQ(again.status, 0) << again.err;
  const json counted = records(again).at(0);
  for (const char* name : {"map", "map50", "map_medium", "mar1", "mar100"})
    EXPECT_EQ(record[name], counted[name]) << name;

  std::filesystem::remove(dir_ / "data" / "images" / "p1.jpg");
  const CommandResult partly = evaluate({"--model", detector_, "--data", truth, "--format", "json"});
  EXPECT_EQ(partly.status, 1);
  EXPECT_EQ(records(partly).at(0)["images"], 2);
  EXPECT_EQ(records(partly).at(0)["errors"], 1);
  EXPECT_THAT(partly.err, HasSubstr("p1.jpg"));
}

TEST_F(EvaluateDetector, FollowsObjectsThroughClips) {
  detector_ = dir_.write("tiny.yaml",
                         "{type: yolos, img_size: [48, 48], patch_size: 16, num_classes: 10, num_queries: 5, "
                         "embed_dim: 24, depth: 1, num_heads: 2}");
  const CommandResult result = evaluate({"--model", detector_, "--data", "clips:3:2:4:48", "--track", "--tracker",
                                         "sort", "--format", "json", "--per-class", "--save", path("report")});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = records(result);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["sequences"], 2);
  EXPECT_EQ(lines[0]["tracker"], "sort");
  EXPECT_GT(lines[0]["objects"].get<int64_t>(), 0);
  EXPECT_LE(lines[0]["hota"].get<double>(), 1.0);
  EXPECT_EQ(lines[1]["sequence"], "clip_0");
  EXPECT_TRUE(std::filesystem::exists(dir_ / "report" / "clip_1.txt"));
  expect_refused(evaluate({"--model", detector_, "--data", "scenes:3:2:48", "--track"}), "no frames of clips");
  expect_refused(evaluate({"--model", detector_, "--data", "clips:3:1:2:48", "--track", "--tracker", "nobody"}),
                 "unknown tracker 'nobody'");
}

TEST_F(EvaluateDetector, ADetectorNeedsBoxesAndAClassifierClasses) {
  jpeg("photos/cat/a.jpg");
  EXPECT_EQ(evaluate({"--model", detector_, "--data", path("photos")}).status, 2);
  const std::string truth = golden("C3_coco_map") + "/annotations.json";
  EXPECT_EQ(evaluate({"--model", model(), "--data", truth}).status, 2);
  expect_refused(evaluate({"--model", model(), "--data", "clips:3:1:2:48", "--track"}), "detector");
}

}  // namespace
}  // namespace vit::test
