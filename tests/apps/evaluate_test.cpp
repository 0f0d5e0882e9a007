#include <filesystem>

#include "tests/apps/verb_test.h"
#include "vit/heads/classification_metrics.h"
#include "vit/image/preprocess.h"
#include "vit/predictor.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class EvaluateVerb : public VerbTest {
 protected:
  EvaluateVerb() {
    for (const char* folder : {"cat", "dog", "horse"})
      for (int i = 0; i < 4; ++i)
        jpeg(std::string("data/val/") + folder + "/" + std::to_string(i) + ".jpg", 30 + 7 * i,
             40 + static_cast<int>(folder[0]) % 9 * 5);
  }
  CommandResult evaluate(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"evaluate", "--model", model()});
    return run_vitkit(arguments);
  }
};

TEST_F(EvaluateVerb, GivesWhatTheLibraryGives) {
  const CommandResult result = evaluate({"--data", path("data"), "--format", "json", "--batch-size", "5"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto record = records(result).at(0);
  EXPECT_EQ(record["images"], 12);
  EXPECT_EQ(record["errors"], 0);
  EXPECT_EQ(record["classes"], 3);
  EXPECT_EQ(record["mapping"], "name");
  EXPECT_THAT(result.err, HasSubstr("by name"));

  const Classifier classifier = Classifier::load(model());
  vit::ClassificationMetrics metrics;
  for (const auto& [folder, index] : {std::pair{"cat", 0}, {"dog", 1}, {"horse", 3}}) {
    for (int i = 0; i < 4; ++i) {
      const Image image = load_image(path(std::string("data/val/") + folder + "/" + std::to_string(i) + ".jpg"));
      const Tensor pixels = classifier.preprocessor()(image);
      metrics.add(classifier.logits(pixels.view({1, 3, 32, 32})).f32(), 5, index);
    }
  }
  EXPECT_DOUBLE_EQ(record["top1"].get<double>(), metrics.top1());
  EXPECT_EQ(record["top5"], 1.0) << "five classes";
  EXPECT_NEAR(record["loss"].get<double>(), metrics.loss(), 1e-6);
}

TEST_F(EvaluateVerb, CountsUnreadablePicturesAndGoesOn) {
  const std::string broken = dir_.write("data/val/cat/broken.jpg", "no picture").string();
  const CommandResult result = evaluate({"--data", "imagefolder:" + path("data/val"), "--format", "json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(records(result).at(0)["images"], 12);
  EXPECT_EQ(records(result).at(0)["errors"], 1);
  EXPECT_THAT(result.err, HasSubstr(broken));
}

TEST_F(EvaluateVerb, TextIsInPercent) {
  const CommandResult result = evaluate({"--data", path("data"), "--quiet"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("top-5 100.00 %"));
}

TEST_F(EvaluateVerb, RefusesDataThatDoNotFit) {
  expect_refused(evaluate({"--data", path("none")}), path("none"));
  expect_refused(evaluate({"--data", path("data"), "--split", "test"}), "no split test");
  std::filesystem::create_directories(dir_ / "data" / "val" / "unicorn");
  expect_refused(evaluate({"--data", path("data")}), "unicorn");
  for (const char* folder : {"1", "2", "3", "4", "5", "6"}) jpeg(std::string("more/") + folder + "/a.jpg");
  expect_refused(evaluate({"--data", path("more")}), "6 classes, but the model has 5 classes");
  std::filesystem::create_directories(dir_ / "empty" / "cat");
  expect_refused(evaluate({"--data", path("empty")}), "no picture");
}

TEST_F(EvaluateVerb, MapsByRankAndByWnid) {
  for (const char* folder : {"a", "b"}) jpeg(std::string("rank/") + folder + "/x.jpg");
  const CommandResult rank = evaluate({"--data", path("rank"), "--format", "json"});
  EXPECT_EQ(records(rank).at(0)["mapping"], "rank");
  EXPECT_THAT(rank.err, HasSubstr("warning"));
  write_tiny_checkpoint(dir_ / "thousand", {.classes = 1000});
  for (const char* folder : {"n01440764", "n02102040"}) jpeg(std::string("wnid/") + folder + "/x.jpg");
  const CommandResult wnid =
      run_vitkit({"evaluate", "--model", path("thousand"), "--data", path("wnid"), "--format", "json"});
  ASSERT_EQ(wnid.status, 0) << wnid.err;
  EXPECT_EQ(records(wnid).at(0)["mapping"], "wnid");
}

TEST_F(EvaluateVerb, ReadsOtherFormats) {
  std::string batch;
  for (const char label : {'\3', '\5', '\3'}) batch += label + std::string(3072, static_cast<char>(40 * label));
  dir_.write("cifar/test_batch.bin", batch);
  expect_refused(evaluate({"--data", path("cifar")}), "10 classes, but the model has 5 classes");
  const CommandResult result = evaluate({"--data", "manifest:" + path("data/list.csv")});
  expect_refused(result, "list.csv");
  dir_.write("data/list.csv", "path,label\nval/cat/0.jpg,1\nval/dog/1.jpg,0\n");
  const std::string names = dir_.write("names.yaml", "[dog, cat]").string();
  const CommandResult table = evaluate({"--data", path("data/list.csv"), "--class-map", names, "--format", "json"});
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_EQ(records(table).at(0)["images"], 2);
  EXPECT_EQ(records(table).at(0)["mapping"], "name");
}

}  // namespace
}  // namespace vit::test
