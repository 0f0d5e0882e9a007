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
