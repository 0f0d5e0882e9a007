#include "tests/apps/verb_test.h"
#include "tests/support/tiny_detector.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class BenchmarkVerb : public VerbTest {};

TEST_F(BenchmarkVerb, HasThePromisedFields) {
  const CommandResult result = run_vitkit(
      {"benchmark", "--model", model(), "--batch-size", "3", "--runs", "2", "--threads", "1", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto record = records(result).at(0);
  for (const char* field : {"params", "gflop", "batch", "threads", "median_ms", "min_ms", "images_per_s", "gflops",
                            "peak_gflops", "peak_rss_mb", "load_ms"}) {
    ASSERT_TRUE(record[field].is_number()) << field;
    EXPECT_GT(record[field].get<double>(), 0.0) << field;
  }
  EXPECT_EQ(record["model"], model());
  EXPECT_EQ(record["batch"], 3);
  EXPECT_EQ(record["threads"], 1);
  EXPECT_EQ(record["precision"], "f32");
  EXPECT_LE(record["min_ms"], record["median_ms"]);
  EXPECT_NEAR(record["images_per_s"].get<double>(), 3e3 / record["median_ms"].get<double>(), 1e-6);
}

/// The work of this ViT, counted by hand: the last block computes keys and values of all 17 tokens, the rest of the
/// class token only.
TEST_F(BenchmarkVerb, CountsTheWorkOfTheMatrixProducts) {
  const CommandResult result = run_vitkit({"benchmark", "--model", model(), "--runs", "0", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const double c = 32, n = 17, hidden = 4 * c;
  const double patches = 16 * c * 3 * 8 * 8, qkv = n * c * 3 * c, head = c * 5;
  const auto after_qkv = [&](double tokens) { return 2 * tokens * n * c + tokens * c * c + 2 * tokens * c * hidden; };
  const double products = patches + 2 * qkv + after_qkv(n) + after_qkv(1) + head;
  EXPECT_NEAR(records(result).at(0)["gflop"].get<double>(), 2e-9 * products, 1e-12);
}

TEST_F(BenchmarkVerb, TakesConfigurationsAndSizes) {
  const CommandResult result =
      run_vitkit({"benchmark", "--model", "vit_cifar", "--img-size", "48", "--runs", "1", "-v", "--format", "json"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("48 x 48"));
  for (const char* stage : {"stage", "linear", "attention", "layer_norm", "(whole run)"})
    EXPECT_THAT(result.err, HasSubstr(stage));
  EXPECT_EQ(records(result).at(0)["model"], "vit_cifar");
}

TEST_F(BenchmarkVerb, MeasuresStepsOfTraining) {
  write_tiny_detector(dir_ / "detector");
  for (const std::string& trained : {model(), path("detector")}) {
    const CommandResult result =
        run_vitkit({"benchmark", "--model", trained, "--train", "--runs", "1", "--format", "json"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(records(result).at(0)["train"], true) << result.out;
  }
}

TEST_F(BenchmarkVerb, RefusesWhatThisVersionLacks) {
  expect_refused(run_vitkit({"benchmark", "--model", model(), "--precision", "int8"}), "int8");
  expect_refused(run_vitkit({"benchmark"}), "--model is missing");
}

}  // namespace
}  // namespace vit::test
