// vitkit evaluate on the data of a training configuration, and on checkpoints that training wrote.
#include <filesystem>

#include "tests/apps/verb_test.h"
#include "vit/core/file.h"

namespace vit::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kModel =
    "model: {type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 1, num_heads: 2}\n";

class EvaluateConfig : public VerbTest {
 protected:
  std::string config(const std::string& text) const { return dir_.write("train.yaml", text).string(); }
  CommandResult evaluate(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"evaluate", "--format", "json"});
    return run_vitkit(arguments);
  }
  /// Ten pictures each of two classes of the tiny checkpoint.
  void write_folders(const std::string& where) const {
    for (const char* folder : {"dog", "horse"})
      for (int i = 0; i < 10; ++i) jpeg(where + "/" + folder + "/" + std::to_string(i) + ".jpg", 30 + i, 40);
  }
};

TEST_F(EvaluateConfig, GivesWhatTrainingSaid) {
  const std::string file =
      config(std::string(kModel) +
             "data_dir: scenes:1:60:32\nval_data_dir: scenes:2:40:32\nbatch_size: 20\nepochs: 1\nwarmup_epochs: 0\n"
             "lr: 1.0e-3\noutput: " +
             path("run") + "\n");
  const CommandResult trained = run_vitkit({"train", file, "--format", "json", "--quiet"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  const json epoch = records(trained).back();
  for (const std::string& model : {path("run/checkpoints/best"), path("run/checkpoints/last")}) {
    const CommandResult result = evaluate({"--model", model, "--data", path("run/config.yaml")});
    ASSERT_EQ(result.status, 0) << result.err;
    const json record = records(result).at(0);
    EXPECT_EQ(record["data"], "scenes:2:40:32");
    EXPECT_EQ(record["mapping"], "name") << "the checkpoint has the data's names";
    EXPECT_EQ(record["images"], 40);
    EXPECT_NEAR(record["top1"].get<double>(), epoch["top1"].get<double>(), 1e-9);
    EXPECT_NEAR(record["top5"].get<double>(), epoch["top5"].get<double>(), 1e-9);
    EXPECT_NEAR(record["loss"].get<double>(), epoch["val_loss"].get<double>(), 1e-4);
  }
}

TEST_F(EvaluateConfig, DividesAsTheRunDoes) {
  write_folders("photos");
  const std::string file = config("data_dir: " + path("photos") + "\nval_ratio: 0.2\n");
  const auto images = [&](const std::string& split) {
    std::vector<std::string> arguments = {"--model", model(), "--data", file};
    if (!split.empty()) arguments.insert(arguments.end(), {"--split", split});
    const CommandResult result = evaluate(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return records(result).at(0)["images"].get<int>();
  };
  EXPECT_EQ(images(""), 4);
  EXPECT_EQ(images("val"), 4);
  EXPECT_EQ(images("train"), 16);
  expect_refused(evaluate({"--model", model(), "--data", file, "--split", "test"}), "no other split");
}

TEST_F(EvaluateConfig, TakesAnotherSplitAndOverrides) {
  write_folders("photos/train");
  write_folders("photos/val");
  for (int i = 0; i < 3; ++i) jpeg("photos/test/horse/" + std::to_string(i) + ".jpg");
  const std::string file = config("model: " + path("model") + "\nval_split: val\n");
  expect_refused(evaluate({"--model", model(), "--data", file}), "data_dir is not set");
  const std::string data = "data_dir=" + path("photos");
  const CommandResult val = evaluate({"--model", model(), "--data", file, data});
  EXPECT_EQ(records(val).at(0)["images"], 20) << val.err;
  const CommandResult test = evaluate({"--model", model(), "--data", file, data, "--split", "test", "--per-class"});
  ASSERT_EQ(test.status, 0) << test.err;
  const std::vector<json> lines = records(test);
  EXPECT_EQ(lines.at(0)["images"], 3);
  EXPECT_EQ(lines.at(1)["class"], "dog") << "training's classes, although the split has no dog";
  EXPECT_EQ(lines.at(1)["pictures"], 0);
  EXPECT_EQ(lines.at(2)["pictures"], 3);
}

TEST_F(EvaluateConfig, RefusesWhatIsWrong) {
  write_folders("photos");
  expect_refused(evaluate({"--model", model(), "--data", path("none.yaml")}), path("none.yaml"));
  expect_refused(evaluate({"--model", model(), "--data", config("data_dirr: x\n")}), "did you mean 'data_dir'");
  expect_refused(evaluate({"--model", model(), "--data", path("photos"), "val_ratio=0.1"}), "val_ratio=0.1");
}

}  // namespace
}  // namespace vit::test
