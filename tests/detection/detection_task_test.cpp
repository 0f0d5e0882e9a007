// Training of a detector from the pictures to the figures: a tiny RT-DETR learns a handful of scenes by heart.
#include "detection/detection_task.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "datasets/box_loader.h"
#include "datasets/scenes.h"
#include "detection/processor.h"
#include "tests/support/errors.h"
#include "vit/autograd/tape.h"
#include "vit/models/build.h"
#include "vit/models/load.h"
#include "vit/train/optimizer.h"
#include "vit/train/param_group.h"

namespace detection {
namespace {

using testing::Contains;
using vit::Context;
using vit::Var;

constexpr const char* kTiny = R"(
type: rt_detr
img_size: [64, 64]
num_classes: 10
backbone: {type: resnet, block: basic, layers: [1, 1, 1, 1], channels: [16, 24, 32, 48], stem_channels: 16}
encoder_hidden_dim: 32
encoder_ffn_dim: 48
encoder_attention_heads: 4
csp_blocks: 1
d_model: 32
num_queries: 12
decoder_layers: 2
decoder_ffn_dim: 48
decoder_attention_heads: 4
decoder_n_points: 2
num_denoising: 12
)";

std::unique_ptr<vit::ImageModel> tiny_model() {
  auto model = vit::build_model(vit::ConfigNode::parse(kTiny, "test"), "test");
  vit::initialise_parameters(*model, 3, vit::Purpose::training);
  return model;
}

datasets::LoaderConfig batches_of(int64_t size) {
  datasets::LoaderConfig config;
  config.batch_size = size;
  return config;
}

datasets::BoxAugmentConfig unchanged() {
  datasets::BoxAugmentConfig config;
  config.no_aug = true;
  return config;
}

class OnScenes : public testing::Test {
 protected:
  static constexpr int64_t kScenes = 4;

  OnScenes()
      : model_(tiny_model()),
        detector_(dynamic_cast<DetectionModel&>(*model_)),
        scenes_(11, kScenes, 64),
        preprocessor_(vit::Preprocessor::from_hugging_face(
            nlohmann::json(processor_config(nullptr, detector_, {.mean = kHalf, .std = kHalf})), "test")),
        train_(datasets::make_box_train_loader(scenes_, preprocessor_, unchanged(), {}, batches_of(kScenes), 1)),
        val_(datasets::make_box_eval_loader(scenes_, preprocessor_, batches_of(3))),
        task_(detector_, default_criterion(detector_.class_loss()), {val_.get(), &scenes_}, {{"config.json", "{}"}}) {}

  std::map<std::string, double> evaluate() {
    const std::vector<vit::Metric> metrics = task_.evaluate();
    return {metrics.begin(), metrics.end()};
  }

  static constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};
  std::unique_ptr<vit::ImageModel> model_;
  DetectionModel& detector_;
  datasets::ScenesDataset scenes_;
  vit::Preprocessor preprocessor_;
  std::unique_ptr<datasets::Loader> train_, val_;
  DetectionTask task_;
};

/// Full-batch AdamW on the loader's pictures.
void learn(DetectionTask& task, vit::BatchSource& source, int updates, double rate) {
  std::vector<std::pair<std::string, Var>> leaves;
  task.module().visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (parameter.buffer) return;
    parameter.value = Var::leaf(parameter.value.value());
    leaves.emplace_back(name, parameter.value);
  });
  const auto parameters = [&] {
    std::vector<vit::NamedParameter> list;
    for (const auto& [name, leaf] : leaves) list.push_back({name, leaf.value(), leaf.grad()});
    return list;
  };
  vit::OptimizerConfig config;
  config.weight_decay = 0.0;
  const auto optimizer = vit::make_optimizer(config, parameters(), vit::plan_param_groups(parameters(), config));
  Context ctx;
  ctx.training = true;
  vit::Batch batch;
  for (int step = 0; step < updates; ++step) {
    source.start(step, 0);
    ASSERT_TRUE(source.next(batch));
    ctx.seed = static_cast<uint64_t>(step);
    vit::Tape tape(ctx);
    ctx.tape = &tape;
    const Var loss = task.loss(ctx, batch);
    ctx.tape = nullptr;
    tape.backward(loss);
    optimizer->step(parameters(), rate);
    for (const auto& [name, leaf] : leaves) leaf.clear_grad();
  }
}

TEST_F(OnScenes, AHandfulIsLearntByHeart) {
  const auto before = evaluate();
  learn(task_, *train_, 150, 2e-3);
  const auto after = evaluate();
  EXPECT_LT(after.at("loss"), 0.35 * before.at("loss"));
  EXPECT_LT(after.at("loss_giou"), 0.4 * before.at("loss_giou"));
  EXPECT_GT(after.at("map50"), 0.8);
  EXPECT_LT(before.at("map50"), 0.2);
}

TEST_F(OnScenes, NamesOfFiguresAreKnownBefore) {
  std::vector<std::string> given;
  for (const auto& [name, value] : task_.evaluate()) given.push_back(name);
  std::vector<std::string> named = task_.metric_names();
  EXPECT_THAT(named, testing::UnorderedElementsAreArray(given));
  for (const char* name : {"map", "map50", "map75", "mar100", "loss", "loss_vfl", "loss_bbox", "loss_giou"})
    EXPECT_THAT(named, Contains(name));
  EXPECT_EQ(task_.checkpoint_files().at("config.json"), "{}");
}

TEST_F(OnScenes, ProbeRunsTheModelOnTheFirstPictures) {
  struct Counting : vit::Observer {
    int64_t pictures = 0;
    bool wants(const std::string& name) override { return name == "logits"; }
    void observe(const std::string&, const vit::Tensor&) override {}
  } observer;
  Context ctx;
  ctx.observer = &observer;
  EXPECT_TRUE(task_.probe(ctx, 2));
  DetectionTask blind(detector_, default_criterion(detector_.class_loss()), {}, {});
  EXPECT_FALSE(blind.probe(ctx, 2));
  EXPECT_TRUE(blind.evaluate().empty());
  EXPECT_TRUE(blind.metric_names().empty());
}

TEST_F(OnScenes, ABatchWithoutObjectsHasALoss) {
  vit::Batch batch;
  train_->start(0, 0);
  ASSERT_TRUE(train_->next(batch));
  for (vit::BoxTargets& picture : batch.boxes)
    picture = {vit::Tensor::zeros({0, 4}), vit::Tensor::zeros({0}, vit::DType::i64)};
  Context ctx;
  ctx.training = true;
  EXPECT_TRUE(std::isfinite(task_.loss(ctx, batch).value().f32()[0]));
}

}  // namespace
}  // namespace detection
