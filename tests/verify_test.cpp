#include "vit/verify.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit {
namespace {

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(VITKIT_SOURCE_DIR) / "tests/goldens" / name;
}

std::unique_ptr<ImageModel> model_of(const std::string& name) {
  return load_model(Checkpoint::open(golden(name).string()));
}

TEST(Verify, ComparesEverythingTheReferenceHas) {
  const VerifyReport report =
      verify_model(*model_of("A1b_vit_gap"), {.golden = golden("A1b_vit_gap") / "golden.safetensors"});
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.unknown.empty());
  EXPECT_EQ(report.compared.size(), 7u);  // attn and hidden of two blocks, features, pre_logits, output
  for (const Comparison& c : report.compared) EXPECT_FALSE(c.relative) << c.name << " has a tolerance of its own";
}

TEST(Verify, SuffixedInputsLeadToTheirOutputs) {
  const auto model = model_of("A3_dinov2_reg4");
  const VerifyReport report =
      verify_model(*model, {.golden = golden("A7_posembed_resize_of_A3_dinov2_reg4") / "golden.safetensors"});
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.unknown.empty());
  EXPECT_EQ(report.compared.size(), 10u);
}

TEST(Verify, AWrongReferenceFails) {
  const test::TempDir dir;
  const SafetensorsFile file = SafetensorsFile::open(golden("A1b_vit_gap") / "golden.safetensors");
  Tensor output = file.view("output").clone();
  output.f32()[3] += 0.01f;
  write_safetensors(dir / "golden.safetensors", {{"input", file.view("input")},
                                                 {"output", output},
                                                 {"hidden.7", Tensor::zeros({1})},
                                                 {"nonsense", Tensor::zeros({1})}});
  const VerifyReport report = verify_model(*model_of("A1b_vit_gap"), {.golden = dir / "golden.safetensors"});
  ASSERT_EQ(report.compared.size(), 1u);
  EXPECT_FALSE(report.ok());
  EXPECT_NEAR(report.compared[0].max_abs, 0.01, 1e-4);
  EXPECT_TRUE(report.compared[0].relative) << "no case.json beside it";
  EXPECT_THAT(report.unknown, testing::UnorderedElementsAre("hidden.7", "nonsense"));
}

TEST(Verify, NothingComparedIsNotOk) {
  const test::TempDir dir;
  write_safetensors(dir / "golden.safetensors",
                    {{"input", Tensor::zeros({1, 3, 96, 96})}, {"odd", Tensor::zeros({1})}});
  EXPECT_FALSE(verify_model(*model_of("A1b_vit_gap"), {.golden = dir / "golden.safetensors"}).ok());
  write_safetensors(dir / "golden.safetensors", {{"output", Tensor::zeros({1})}});
  EXPECT_THAT(
      test::usage_error([&] { verify_model(*model_of("A1b_vit_gap"), {.golden = dir / "golden.safetensors"}); }),
      testing::HasSubstr("no tensor 'input'"));
}

TEST(Verify, AnInputThatIsNoBatchOfImagesIsNamed) {
  const test::TempDir dir;
  for (const Shape& shape : {Shape{3, 96, 96}, Shape{0, 3, 96, 96}}) {
    write_safetensors(dir / "golden.safetensors", {{"input", Tensor::zeros(shape)}, {"output", Tensor::zeros({1, 7})}});
    EXPECT_THAT(
        test::usage_error([&] { verify_model(*model_of("A1b_vit_gap"), {.golden = dir / "golden.safetensors"}); }),
        testing::HasSubstr("golden.safetensors: input: expected images"));
  }
}

/// Offers `pixel_mask` as it came, and "doubled.X.i" for whatever text X is asked for.
class Echo : public ImageModel {
 public:
  Var forward(Context&, const Var& images) const override { return images; }
  ConfigNode describe() const override { return {}; }
  void set_training(const TrainingOptions&) override {}
  std::vector<std::string> replace_head(int64_t) override { return {}; }
  void set_input_size(int64_t, int64_t) override {}
  const std::map<std::string, ReferenceOutput>& reference_names() const override {
    static const std::map<std::string, ReferenceOutput> names = {{"seen", "seen"}, {"post.thr{t}.{i}.n", "n.{t}.{i}"}};
    return names;
  }
  std::vector<std::string> reference_inputs() const override { return {"pixel_mask"}; }
  void run_reference(Context& ctx, const ReferenceRun& run) const override {
    ctx.observe("seen", run.inputs.at("pixel_mask"));
    for (const std::string& name : run.wanted)
      if (name.starts_with("n.")) ctx.observe(name, Tensor::full({1}, name == "n.0.1.2" ? 1.0f : 2.0f));
  }
};

TEST(Verify, InputsBesideTheImagesAndNamesWithText) {
  const test::TempDir dir;
  const Tensor mask = Tensor::wrap(std::vector<uint8_t>{1, 0}.data(), {1, 2}, DType::u8, nullptr).clone();
  Tensor other = mask.clone();
  other.data<uint8_t>()[1] = 1;
  const Tensor images = Tensor::zeros({1, 3, 2, 2});
  write_safetensors(dir / "golden.safetensors", {{"input", images},
                                                 {"pixel_mask", mask},
                                                 {"seen", mask},
                                                 {"post.thr0.1.2.n", Tensor::full({1}, 1.0f)},
                                                 {"post.thr0.3.n", Tensor::full({1}, 2.0f)}});
  const VerifyReport report = verify_model(Echo(), {.golden = dir / "golden.safetensors"});
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.unknown.empty());
  ASSERT_EQ(report.compared.size(), 3u);
  write_safetensors(dir / "golden.safetensors", {{"input", images}, {"pixel_mask", mask}, {"seen", other}});
  const VerifyReport wrong = verify_model(Echo(), {.golden = dir / "golden.safetensors"});
  ASSERT_EQ(wrong.compared.size(), 1u);
  EXPECT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.compared[0].limit, 0.0) << "integers are compared exactly";
}

TEST(Tolerances, PostProcessedResultsTakeThatOfTheirSourcesInTheirUnit) {
  const test::TempDir dir;
  dir.write("case.json", R"({"atol": {"logits": 1e-5, "pred_boxes": 2e-6}, "fp32_vs_fp64": {}})");
  const Tolerances tolerances(dir / "case.json", 1e-3);
  const Tensor box = Tensor::full({1, 4}, 640.0f), score = Tensor::full({1}, 0.5f), none = Tensor::zeros({0, 4});
  EXPECT_NEAR(tolerances.compare("post.thr0.5.0.boxes", box, box).limit, 640 * 2e-6, 1e-9);
  EXPECT_EQ(tolerances.compare("post.1.scores", score, score).limit, 1e-5);
  EXPECT_TRUE(tolerances.compare("post.thr0.9.1.boxes", none, none).ok);
  EXPECT_FALSE(tolerances.compare("post.thr0.9.1.boxes", box, none).ok);
}

TEST(Tolerances, OwnThenDerivedThenTwentyTimesTheErrorThenRelative) {
  const test::TempDir dir;
  dir.write("case.json",
            R"({"atol": {"output_sq": 0.5}, "fp32_vs_fp64": {"hidden.0": [0.01, 1, 1], "output_sq": [9, 9, 9]}})");
  const Tolerances tolerances(dir / "case.json", 1e-3);
  const Tensor zero = Tensor::zeros({2}), one = Tensor::full({2}, 1.0f);
  EXPECT_EQ(tolerances.compare("output_sq", zero, zero).limit, 0.5);
  EXPECT_EQ(tolerances.compare("output_dynamic_sq", zero, zero).limit, 0.5);
  EXPECT_EQ(tolerances.compare("hidden.0", zero, zero).limit, 0.2);
  const Comparison relative = tolerances.compare("other", Tensor::full({2}, 1.0005f), one);
  EXPECT_TRUE(relative.relative);
  EXPECT_TRUE(relative.ok);
  EXPECT_FALSE(tolerances.compare("other", zero, one).ok);
  EXPECT_FALSE(tolerances.compare("output_sq", Tensor::full({2}, NAN), one).ok);
  EXPECT_THAT(tolerances.compare("output_sq", Tensor::zeros({3}), one).detail, testing::HasSubstr("shape [3]"));
}

}  // namespace
}  // namespace vit
