#include "vit/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/autograd/losses.h"
#include "vit/core/config_node.h"
#include "vit/core/rng.h"
#include "vit/nn/linear.h"
#include "vit/train/run_folder.h"

namespace vit {
namespace {

namespace fs = std::filesystem;
using test::failure;
using test::slurp;
using test::TempDir;
using test::usage_error;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kFeatures = 6, kClasses = 3;

/// A linear classifier of pictures [B, 1, 1, 6]; its evaluation says what it is told to.
class LinearTask : public Task {
 public:
  LinearTask() {
    linear_.visit_parameters([](const std::string& name, Parameter& parameter) {
      Tensor value = Tensor::empty(parameter.shape);
      Rng rng(3, Rng::stream_of(name));
      fill_normal(value, rng, 0.1f);
      parameter.value = Var(value);
    });
  }
  Module& module() override { return linear_; }
  Var loss(Context& ctx, const Batch& batch) override {
    return cross_entropy(ctx, linear_.forward(ctx, Var(batch.images.view({batch.size(), kFeatures}))), batch.targets);
  }
  std::vector<Metric> evaluate() override {
    ++evaluations;
    return {{"top1", 0.5}, {"loss", 0.25}};
  }
  std::vector<std::string> metric_names() const override { return names; }
  std::map<std::string, std::string> checkpoint_files() override { return {{"config.json", "{}\n"}}; }

  std::vector<std::string> names = {"top1", "loss"};
  int evaluations = 0;

 private:
  Linear linear_{kFeatures, kClasses};
};

/// `batches` of four samples each; those in `left_out` never come, and from `poison` on they are infinite.
class Source : public BatchSource {
 public:
  explicit Source(int64_t batches, std::vector<int64_t> left_out = {}) : batches_(batches), left_out_(left_out) {}
  int64_t batches_per_epoch() const override { return batches_; }
  void start(int64_t epoch, int64_t first_batch) override {
    epoch_ = epoch;
    next_ = first_batch;
  }
  bool next(Batch& batch) override {
    while (std::find(left_out_.begin(), left_out_.end(), next_) != left_out_.end()) ++next_;
    if (next_ >= batches_) return false;
    batch.images = Tensor::empty({4, 1, 1, kFeatures});
    Rng rng(static_cast<uint64_t>(epoch_), static_cast<uint64_t>(next_));
    fill_normal(batch.images, rng, 1.0f);
    if (next_ >= poison) batch.images.f32()[0] = std::numeric_limits<float>::infinity();
    batch.targets = Tensor::from<int64_t>({0, 1, 2, next_ % kClasses}, {4});
    batch.index = next_++;
    return true;
  }
  double seconds_waited() const override { return 0.0; }

  int64_t poison = 1 << 20;

 private:
  int64_t batches_;
  std::vector<int64_t> left_out_;
  int64_t epoch_ = 0, next_ = 0;
};

class Trainer : public testing::Test {
 protected:
  Trainer() {
    config_.schedule.epochs = 2;
    config_.optimizer.lr = 0.05;
    config_.checkpoint_interval = 1;
    config_.log_interval = 1;
    config_.ema.model_ema = true;
  }
  /// `stop_after`: batches after which it is asked to stop.
  TrainResult run(const std::string& folder, RunMode mode, Source& source, int64_t stop_after = 1 << 20) {
    LinearTask task;
    RunFolder run_folder(dir_ / folder, mode);
    int64_t batches = 0;
    const TrainerHooks hooks{.on_batch = [&](const TrainProgress&) { ++batches; },
                             .stop_requested = [&] { return batches >= stop_after; }};
    return train(task, source, config_, run_folder, ConfigNode::make_map(), facts_, hooks);
  }
  void expect_same(const std::string& one, const std::string& other) const {
    for (const char* file : {"checkpoints/last/model.safetensors", "checkpoints/last/train_state.safetensors",
                             "metrics.csv", "metrics.jsonl"})
      EXPECT_TRUE(slurp(dir_ / one / file) == slurp(dir_ / other / file)) << file;
  }

  TempDir dir_;
  TrainerConfig config_;
  std::map<std::string, std::string> facts_ = {{"data", "as they were"}};
};

TEST_F(Trainer, StoppedAfterAnyBatchItEndsTheSame) {
  config_.optimizer.grad_accum_steps = 2;  // the last group of five batches is one
  Source source(5);
  const TrainResult whole = run("whole", RunMode::fresh, source);
  EXPECT_TRUE(whole.finished);
  EXPECT_EQ(whole.step, 6);
  for (int64_t stop = 1; stop <= 4; ++stop) {
    const std::string folder = "stop" + std::to_string(stop);
    int64_t lives = 0;
    while (!run(folder, RunMode::resume, source, stop).finished) ASSERT_LT(++lives, 12);
    expect_same("whole", folder);
  }
}

TEST_F(Trainer, GoesOnBehindBatchesThatWereLeftOut) {
  Source source(6, {0, 2, 3});
  ASSERT_TRUE(run("whole", RunMode::fresh, source).finished);
  int64_t lives = 0;
  while (!run("parts", RunMode::resume, source, 1).finished) ASSERT_LT(++lives, 12);
  EXPECT_GT(lives, 2);
  expect_same("whole", "parts");
}

TEST_F(Trainer, KilledBeforeTheFirstCheckpoint) {
  Source source(3);
  ASSERT_TRUE(run("whole", RunMode::fresh, source).finished);
  // What such a run leaves: a configuration, a head of a table, rows without a checkpoint, a temporary file.
  dir_.write("run/config.yaml", "{}\n");
  dir_.write("run/metrics.csv", slurp(dir_ / "whole/metrics.csv").substr(0, 60));
  dir_.write("run/metrics.jsonl", "{\"epoch\": 0, \"step\": 1, \"loss\": 1}\n{\"epo");
  dir_.write("run/.config.yaml.4711-0.tmp", "half");
  EXPECT_THAT(usage_error([&] { run("run", RunMode::fresh, source); }), HasSubstr("holds another run"));
  ASSERT_TRUE(run("run", RunMode::resume, source).finished);
  expect_same("whole", "run");
  EXPECT_FALSE(fs::exists(dir_ / "run/.config.yaml.4711-0.tmp"));
}

TEST_F(Trainer, RefusesAnUnknownMetricAtOnce) {
  config_.eval_metric = "top3";
  Source source(3);
  LinearTask task;
  {
    RunFolder folder(dir_ / "run", RunMode::fresh);
    EXPECT_THAT(usage_error([&] { train(task, source, config_, folder, ConfigNode::make_map(), facts_); }),
                AllOf(HasSubstr("eval_metric"), HasSubstr("did you mean 'top1'"), HasSubstr("top1, loss")));
  }
  EXPECT_EQ(task.evaluations, 0);
  EXPECT_FALSE(holds_run(dir_ / "run")) << "what was refused is in nobody's way";
  task.names.clear();  // known only when it is evaluated
  RunFolder folder(dir_ / "late", RunMode::fresh);
  EXPECT_THAT(usage_error([&] { train(task, source, config_, folder, ConfigNode::make_map(), facts_); }),
              HasSubstr("there are top1, loss"));
}

TEST_F(Trainer, NotANumberStopsWithTheStep) {
  Source source(4);
  source.poison = 2;
  const std::string message = failure([&] { run("run", RunMode::fresh, source); });
  EXPECT_THAT(message, AllOf(HasSubstr("epoch 0, batch 2 (after update 2)"), HasSubstr("lower lr"),
                             HasSubstr("last good checkpoint is"), HasSubstr("step-00000002")));
  // The checkpoint is good: with the data repaired the run goes on as if nothing had been.
  source.poison = 1 << 20;
  ASSERT_TRUE(run("run", RunMode::resume, source).finished);
  ASSERT_TRUE(run("whole", RunMode::fresh, source).finished);
  expect_same("whole", "run");
}

TEST_F(Trainer, FactsMustNotChange) {
  Source source(3);
  ASSERT_FALSE(run("run", RunMode::fresh, source, 1).finished);
  facts_["data"] = "others";
  EXPECT_THAT(usage_error([&] { run("run", RunMode::resume, source); }),
              AllOf(HasSubstr("the data changed"), HasSubstr("as they were"), HasSubstr("others")));
}

TEST_F(Trainer, EstimatingLeavesTheModelAsItWas) {
  Source source(1);
  source.start(0, 0);
  Batch batch;
  ASSERT_TRUE(source.next(batch));
  LinearTask task;
  EXPECT_GT(estimate_memory(task, batch, config_, 4), 0);
  task.module().visit_parameters(
      [](const std::string& name, Parameter& parameter) { EXPECT_FALSE(parameter.value.requires_grad()) << name; });
}

}  // namespace
}  // namespace vit
