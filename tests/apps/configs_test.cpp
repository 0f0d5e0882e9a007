// Every configuration that comes with the toolkit is one: its keys are known, and its models can be built.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "apps/ablation_config.h"
#include "apps/train_config.h"
#include "vit/models/build.h"

namespace apps {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> training_configurations() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(VITKIT_SOURCE_DIR) / "configs/train"))
    files.push_back(entry.path());
  return files;
}

/// A model given as a map; a name stands for a checkpoint that only a user has.
void expect_model(const TrainConfig& config) {
  if (!config.model.is_map()) return;
  EXPECT_GT(vit::build_model(config.model, "test")->parameter_count(), 0);
}

TEST(TrainingConfigurations, CanBeRun) {
  const auto files = training_configurations();
  EXPECT_GE(files.size(), 8u);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file);
    vit::ConfigNode node = vit::ConfigNode::load(file);
    for (const char* users : {"model", "data_dir"})
      if (node.get(users).text().empty() && !node.get(users).is_map())
        node = node.with(users, vit::ConfigNode::make_scalar("given by the user", true));
    if (!node.has("ablation")) {
      expect_model(vit::read_config<TrainConfig>(node));
      continue;
    }
    const Ablation ablation = load_ablation(file, {});
    EXPECT_GE(ablation.variants.size(), 12u);
    for (const AblationVariant& variant : ablation.variants) {
      SCOPED_TRACE(variant.name);
      expect_model(vit::read_config<TrainConfig>(variant.config));
    }
  }
}

}  // namespace
}  // namespace apps
