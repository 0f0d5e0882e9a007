#include <filesystem>

#include "tests/apps/verb_test.h"
#include "vit/core/context.h"
#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class VerifyVerb : public VerbTest {
 protected:
  VerifyVerb() {
    const auto model_of_dir = load_model(Checkpoint::open(model()));
    input_ = Tensor::empty({2, 3, 32, 32});
    Rng rng(3, 4);
    fill_normal(input_, rng, 1.0f);
    Context ctx;
    output_ = model_of_dir->forward(ctx, input_).value().clone();
  }
  /// A golden file with this output, and `extra` as a tensor that no model knows.
  void write_golden(const std::filesystem::path& file, const Tensor& output) const {
    write_safetensors(file, {{"input", input_}, {"output", output}, {"extra", output}});
  }
  Tensor input_, output_;
};

TEST_F(VerifyVerb, PassesOnItsOwnOutputAndNamesWhatItCannotCompare) {
  write_golden(dir_ / "model" / "golden.safetensors", output_);
  const CommandResult result = run_vitkit({"verify", "--model", model(), "--format", "json"});
  EXPECT_EQ(result.status, 0) << result.err;
  const auto lines = records(result);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["name"], "output");
  EXPECT_EQ(lines[0]["max_abs"], 0.0);
  EXPECT_EQ(lines[0]["rel"], 0.0);
  EXPECT_EQ(lines[0]["ok"], true);
  EXPECT_THAT(result.err, HasSubstr("extra"));
}

TEST_F(VerifyVerb, FailsOutOfTolerance) {
  Tensor wrong = output_.clone();
  wrong.f32()[3] += 0.01f * std::abs(wrong.f32()[3]) + 0.01f;
  write_golden(dir_ / "g.safetensors", wrong);
  const CommandResult result =
      run_vitkit({"verify", "--model", model(), "--golden", path("g.safetensors"), "--format", "json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(records(result).at(0)["ok"], false);
  EXPECT_EQ(run_vitkit({"verify", "--model", model(), "--golden", path("g.safetensors"), "--rtol", "1"}).status, 0);
  dir_.write("case.json", "{\"atol\": {\"output\": 10.0}}");
  EXPECT_EQ(run_vitkit({"verify", "--model", model(), "--golden", path("g.safetensors")}).status, 0);
}

TEST_F(VerifyVerb, FailsWhenNothingIsCompared) {
  write_safetensors(dir_ / "g.safetensors", {{"input", input_}, {"extra", output_}});
  const CommandResult result = run_vitkit({"verify", "--model", model(), "--golden", path("g.safetensors")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("nothing was compared"));
}

TEST_F(VerifyVerb, RefusesWithoutAGoldenFile) {
  expect_refused(run_vitkit({"verify", "--model", model()}), "golden.safetensors");
  expect_refused(run_vitkit({"verify", "--model", "vit_cifar"}), "--golden");
  expect_refused(run_vitkit({"verify"}), "--model is missing");
  dir_.write("model/golden.safetensors", "nonsense");
  expect_refused(run_vitkit({"verify", "--model", model()}), "golden.safetensors");
}

}  // namespace
}  // namespace vit::test
