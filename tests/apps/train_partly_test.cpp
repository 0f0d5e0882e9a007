// Training parts of a model: linear probe, freezing, a new head, adapters. What is frozen stays as it was, to the byte.
// And the attention monitor: it changes nothing.
#include <cstring>
#include <map>
#include <set>

#include "apps/train_setup.h"
#include "tests/apps/verb_test.h"
#include "tests/support/errors.h"
#include "tests/support/tolerance.h"
#include "vit/core/rng.h"
#include "vit/models/build.h"
#include "vit/train/run_folder.h"

namespace vit::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Values = std::map<std::string, Tensor>;

/// Sixteen scenes of ten classes; the tiny checkpoint has five, so it gets a new head. Four updates in two epochs.
constexpr const char* kConfig = R"(
data_dir: scenes:1:16:32
val_data_dir: scenes:2:6:32
allow_empty_classes: true
batch_size: 8
epochs: 2
warmup_epochs: 0
lr: 0.01
weight_decay: 0.1
log_interval: 1
)";

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.nbytes())) == 0;
}

class TrainPartly : public VerbTest {
 protected:
  struct Finished {
    Values before, after;  ///< of every parameter
    std::set<std::string> changed;
    std::filesystem::path checkpoint;
    Tensor logits;  ///< of the trained model, before anything was exported
    bool finished = false;
  };

  /// A run in the folder `output`; `stop_after` batches when above 0.
  Finished train(const std::string& output, std::vector<std::string> overrides, int64_t stop_after = 0,
                 bool resume = false) const {
    overrides.insert(overrides.end(), {"model=" + model(), "output=" + path(output)});
    auto config = read_config<apps::TrainConfig>(ConfigNode::parse(kConfig, "test.yaml", overrides));
    const ConfigNode resolved = write_config(config);
    apps::TrainSetup setup = apps::prepare_training(config);
    ClassificationTask task(*setup.model, config.loss, setup.val.get(), setup.files);
    RunFolder folder(path(output), resume ? RunMode::resume : RunMode::fresh);
    Finished run;
    run.before = values_of(*setup.model);
    int64_t batches = 0;
    const TrainerHooks hooks{.stop_requested = [&] { return ++batches == stop_after; }};
    run.finished = vit::train(task, *setup.train, config.trainer, folder, resolved, setup.facts, hooks).finished;
    run.after = values_of(*setup.model);
    for (const auto& [name, value] : run.after)
      if (!same_bytes(value, run.before.at(name))) run.changed.insert(name);
    run.checkpoint = folder.checkpoints() / "last";
    Context ctx;
    run.logits = setup.model->forward(ctx, pixels()).value();
    return run;
  }

  static Values values_of(Module& module) {
    Values values;
    module.visit_parameters(
        [&](const std::string& name, Parameter& parameter) { values[name] = parameter.value.value().clone(); });
    return values;
  }

  static Tensor pixels() {
    Tensor tensor = Tensor::empty({2, 3, 32, 32});
    Rng rng(8);
    fill_normal(tensor, rng, 1.0f);
    return tensor;
  }

  /// What did not change is in the checkpoint as it was in the one that the run began with.
  void expect_frozen_in_files(const Finished& run) const {
    const Weights start = Weights::open(model()), end = Weights::open(run.checkpoint);
    for (const std::string& name : end.names())
      if (!run.changed.count(name) && !name.starts_with("head")) {
        EXPECT_TRUE(same_bytes(end.get(name), start.get(name))) << name;
      }
  }
};

TEST_F(TrainPartly, LinearProbeTrainsTheHeadOnly) {
  const Finished run = train("run", {"linear_probe=true"});
  EXPECT_THAT(run.changed, ElementsAre("head.bias", "head.weight"));
  EXPECT_EQ(run.after.at("head.weight").size(0), 10) << "five classes became ten";
  expect_frozen_in_files(run);
}

TEST_F(TrainPartly, LinearProbeKeepsAveragedWeightsToo) {
  const Finished run = train("run", {"linear_probe=true", "model_ema=true", "model_ema_decay=0.9"});
  EXPECT_THAT(run.changed, ElementsAre("head.bias", "head.weight"));
  expect_frozen_in_files(run);
}

TEST_F(TrainPartly, FreezingIsByPattern) {
  const Finished run = train("run", {"freeze=[patch_embed, pos_embed, cls_token, blocks.0, '*.norm?.*']"});
  ASSERT_FALSE(run.changed.empty());
  for (const auto& [name, value] : run.after) {
    const bool frozen = name.starts_with("patch_embed") || name == "pos_embed" || name == "cls_token" ||
                        name.starts_with("blocks.0.") || name.starts_with("blocks.1.norm");
    EXPECT_EQ(run.changed.count(name), frozen ? 0u : 1u) << name;
  }
  expect_frozen_in_files(run);
}

TEST_F(TrainPartly, GradCheckpointingReachesWhatIsBehindFrozenParts) {
  const std::vector<std::string> frozen = {"freeze=[patch_embed, pos_embed, cls_token]"};
  std::vector<std::string> recomputed = frozen;
  recomputed.emplace_back("grad_checkpointing=true");
  const Finished a = train("a", frozen), b = train("b", recomputed);
  for (const auto& [name, value] : a.after) EXPECT_TRUE(same_bytes(value, b.after.at(name))) << name;
}

TEST_F(TrainPartly, LoraTrainsAdaptersAndHeadAndExportsAPlainModel) {
  const Finished run = train("run", {"lora={rank: 2, alpha: 8}"});
  std::set<std::string> expected = {"head.bias", "head.weight"};
  std::set<std::string> merged;
  for (const char* layer : {"blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.1.attn.qkv", "blocks.1.attn.proj"}) {
    expected.insert({std::string(layer) + ".lora_a", std::string(layer) + ".lora_b"});
    merged.insert(std::string(layer) + ".weight");
  }
  EXPECT_EQ(run.changed, expected);

  const Weights start = Weights::open(model()), end = Weights::open(run.checkpoint);
  EXPECT_EQ(end.names(), start.names());
  for (const std::string& name : end.names())
    if (!name.starts_with("head")) {
      EXPECT_EQ(same_bytes(end.get(name), start.get(name)), merged.count(name) == 0) << name;
    }
  const auto plain = load_model(Checkpoint::open(run.checkpoint.string()));
  Context ctx;
  const Tensor logits = plain->forward(ctx, pixels()).value();
  EXPECT_LT(relative_l2(logits.f32(), run.logits.f32(), logits.numel()), 1e-5);
}

TEST_F(TrainPartly, LoraGoesOnToTheByte) {
  const std::vector<std::string> lora = {"lora={rank: 2, targets: [attn.qkv, mlp.fc1], dropout: 0.1}",
                                         "model_ema=true"};
  const Finished whole = train("whole", lora);
  EXPECT_FALSE(train("parts", lora, 3).finished);
  const Finished parts = train("parts", lora, 0, true);
  EXPECT_TRUE(parts.finished);
  for (const char* file : {"model.safetensors", "train_state.safetensors"})
    EXPECT_TRUE(slurp(whole.checkpoint / file) == slurp(parts.checkpoint / file)) << file;
  EXPECT_EQ(slurp(dir_ / "whole/metrics.jsonl"), slurp(dir_ / "parts/metrics.jsonl"));
}

TEST_F(TrainPartly, LoraRefusesWhatContradictsIt) {
  EXPECT_THAT(usage_error([&] { train("a", {"lora={rank: 2}", "linear_probe=true"}); }), HasSubstr("linear_probe"));
  EXPECT_THAT(usage_error([&] { train("b", {"lora={targets: [qvk]}"}); }),
              AllOf(HasSubstr("qvk"), HasSubstr("did you mean 'qkv'")));
}

TEST_F(TrainPartly, MonitoringAndPlotsChangeNoByte) {
  const Finished watched = train("watched", {}), blind = train("blind", {"monitor.every=0", "plots=false"});
  for (const char* file : {"model.safetensors", "train_state.safetensors"})
    EXPECT_TRUE(slurp(watched.checkpoint / file) == slurp(blind.checkpoint / file)) << file;
  const std::string metrics = slurp(dir_ / "watched/metrics.jsonl");
  for (const char* name : {"attention/blocks.0/entropy", "attention/blocks.1/head.1/max_logit",
                           "attention/blocks.1/head.0/prefix_share", "attention/blocks.0/distance"})
    EXPECT_THAT(metrics, HasSubstr(name));
  EXPECT_THAT(slurp(dir_ / "blind/metrics.jsonl"), Not(HasSubstr("attention")));
  EXPECT_EQ(slurp(dir_ / "watched/metrics.csv"), slurp(dir_ / "blind/metrics.csv"));
  for (const char* file : {"loss.png", "accuracy.png", "lr.png", "attention_entropy.png"})
    EXPECT_TRUE(std::filesystem::exists(dir_ / "watched/plots" / file)) << file;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "blind/plots"));
}

TEST_F(TrainPartly, PlotsThatFailFailNoRun) {
  dir_.write("run/plots", "a file where the folder should be");
  EXPECT_TRUE(train("run", {}, 0, true).finished);
}

}  // namespace
}  // namespace vit::test
