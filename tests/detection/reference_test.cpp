// Reference runs of detectors: thresholds in names, pictures of sizes that a file names or only shows, masks as bytes.
#include "detection/reference.h"

#include <gtest/gtest.h>

#include <map>

#include "detection/model.h"
#include "detection/postprocess.h"
#include "tests/support/errors.h"

namespace detection {
namespace {

using vit::Tensor;

/// Two levels of fixed answers for each picture of a batch; remembers its input.
class Fixed : public DetectionModel {
 public:
  explicit Fixed(Scoring scoring) : scoring_(scoring) {}
  DetectionOutput detect(vit::Context&, const DetectionInput& input) const override {
    seen = input;
    DetectionOutput output;
    for (int64_t level = input.all_levels ? 0 : 1; level < 2; ++level) {
      Tensor logits = Tensor::empty({2, 3, 3}), boxes = Tensor::empty({2, 3, 4});
      for (int64_t i = 0; i < logits.numel(); ++i) logits.f32()[i] = static_cast<float>((i * 7 + level) % 5);
      for (int64_t i = 0; i < boxes.numel(); ++i) boxes.f32()[i] = 0.1f + 0.03f * static_cast<float>(i % 11);
      output.levels.push_back({logits, boxes});
    }
    return output;
  }
  Scoring scoring() const override { return scoring_; }
  int64_t num_queries() const override { return 3; }
  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override {
    return output_reference_names();
  }
  vit::ConfigNode describe() const override { return {}; }
  void set_training(const vit::TrainingOptions&) override {}
  std::vector<std::string> replace_head(int64_t) override { return {}; }
  void set_input_size(int64_t, int64_t) override {}
  mutable DetectionInput seen;

 private:
  Scoring scoring_;
};

/// Everything that is observed under the wanted names.
struct Keeper : vit::Observer {
  explicit Keeper(std::vector<std::string> names) : wanted(std::move(names)) {}
  bool wants(const std::string& name) override { return std::find(wanted.begin(), wanted.end(), name) != wanted.end(); }
  void observe(const std::string& name, const Tensor& value) override { seen[name] = value.clone(); }
  std::vector<std::string> wanted;
  std::map<std::string, Tensor> seen;
};

std::map<std::string, Tensor> run(const Fixed& model, std::map<std::string, Tensor> inputs,
                                  const std::vector<std::string>& wanted) {
  inputs.emplace("input", Tensor::zeros({2, 3, 8, 8}));
  Keeper keeper(wanted);
  vit::Context ctx;
  ctx.observer = &keeper;
  model.run_reference(ctx, {.inputs = std::move(inputs), .wanted = wanted});
  return keeper.seen;
}

std::vector<Detection> expected(const Fixed& model, double threshold, int64_t picture, vit::Extent size,
                                int64_t top_k = 3) {
  vit::Context ctx;
  const DetectionLevel level = model.detect(ctx, {.images = Tensor::zeros({2, 3, 8, 8})}).levels.back();
  return postprocess(level.logits.value(), level.boxes.value(), picture, model.scoring(), top_k, size,
                     {.threshold = threshold});
}

Tensor sizes(std::vector<int64_t> numbers) { return Tensor::from<int64_t>(numbers, {2, 2}); }

TEST(ReferenceRun, PostProcessesAtTheThresholdAndSizeOfTheName) {
  const Fixed model(Scoring::softmax);
  const auto seen = run(model, {{"post.target_sizes", sizes({100, 200, 30, 40})}},
                        {"post.thr0.3.1.boxes", "post.thr0.3.1.labels", "post.thr0.3.1.scores"});
  const auto want = expected(model, 0.3, 1, {30, 40});
  ASSERT_FALSE(want.empty());
  const Tensor boxes = seen.at("post.thr0.3.1.boxes"), labels = seen.at("post.thr0.3.1.labels");
  ASSERT_EQ(boxes.shape(), (vit::Shape{static_cast<int64_t>(want.size()), 4}));
  EXPECT_EQ(labels.dtype(), vit::DType::i64);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(labels.data<int64_t>()[i], want[i].index);
    EXPECT_EQ(boxes.f32()[4 * i + 2], static_cast<float>(want[i].box[2]));
    EXPECT_EQ(seen.at("post.thr0.3.1.scores").f32()[i], static_cast<float>(want[i].score));
  }
}

TEST(ReferenceRun, WithoutAThresholdEveryQueryIsThere) {
  const auto seen = run(Fixed(Scoring::softmax), {{"post.target_sizes", sizes({9, 9, 9, 9})}}, {"post.0.boxes"});
  EXPECT_EQ(seen.at("post.0.boxes").size(0), 3);
}

TEST(ReferenceRun, SizesThatTheFileLacksAreThoseOfItsBoxes) {
  for (const Scoring scoring : {Scoring::softmax, Scoring::sigmoid}) {
    const Fixed model(scoring);
    const std::string name = "post.thr0.0.boxes";
    const Tensor stored = run(model, {{"post.target_sizes", sizes({480, 640, 1, 1})}}, {name}).at(name);
    const Tensor again = run(model, {{name, stored}}, {name}).at(name);
    ASSERT_EQ(again.shape(), stored.shape());
    for (int64_t i = 0; i < stored.numel(); ++i) EXPECT_EQ(again.f32()[i], stored.f32()[i]);
  }
}

TEST(ReferenceRun, AListThatKeepsEverythingTellsWhereItsAuthorCut) {
  const Fixed model(Scoring::sigmoid);
  const auto seen = run(model, {{"post.target_sizes", sizes({9, 9, 9, 9})}, {"post.thr0.1.scores", Tensor::zeros({7})}},
                        {"post.thr0.1.labels"});
  EXPECT_EQ(seen.at("post.thr0.1.labels").size(0), 7);
}

TEST(ReferenceRun, MasksAreGivenAsIntegersAndLevelsWhereWanted) {
  const Fixed model(Scoring::softmax);
  Tensor mask = Tensor::zeros({2, 8, 8}, vit::DType::u8);
  mask.data<uint8_t>()[3] = 1;
  const auto seen = run(model, {{"pixel_mask", mask}}, {"levels.0.logits", "levels.1.boxes", "logits", "boxes"});
  EXPECT_EQ(model.seen.pixel_mask.dtype(), vit::DType::i64);
  EXPECT_EQ(model.seen.pixel_mask.data<int64_t>()[3], 1);
  EXPECT_TRUE(model.seen.all_levels);
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen.at("levels.1.boxes").f32()[5], seen.at("boxes").f32()[5]);
  EXPECT_NE(seen.at("levels.0.logits").f32()[0], seen.at("logits").f32()[0]);
}

TEST(ReferenceRun, RefusesSizesAndPicturesThatAreNotThere) {
  const Fixed model(Scoring::softmax);
  EXPECT_THAT(vit::test::failure([&] {
                run(model, {{"post.target_sizes", Tensor::zeros({3, 2}, vit::DType::i64)}}, {"post.0.boxes"});
              }),
              testing::HasSubstr("[2, 2]"));
  EXPECT_THAT(vit::test::failure([&] { run(model, {}, {"post.2.boxes"}); }), testing::HasSubstr("no picture 2"));
}

}  // namespace
}  // namespace detection
