// Small training runs through the command, for tests that kill, stop and misuse them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/running_vitkit.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"

namespace vit::test {

/// A model of some thousand weights on generated pictures, with all that has a state of its own: averages, mixing,
/// dropout, drop path, random augmentation, a warm-up, a schedule by updates, accumulation with a smaller last group.
inline constexpr const char* kTinyTraining = R"(
model: {type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 2, num_heads: 2, num_classes: 10}
data_dir: scenes:1:60:32
val_data_dir: scenes:2:20:32
batch_size: 4
grad_accum_steps: 2
epochs: 3
warmup_epochs: 1
sched_on_updates: true
lr: 0.002
clip_grad: 1.0
model_ema: true
model_ema_decay: 0.9
mixup: 0.4
cutmix: 0.5
smoothing: 0.1
reprob: 0.25
drop: 0.1
proj_drop: 0.1
drop_path: 0.2
checkpoint_interval: 2
log_interval: 3
seed: 5
)";

class TrainVerb : public testing::Test {
 protected:
  TrainVerb() { config_ = dir_.write("tiny.yaml", kTinyTraining).string(); }

  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  std::vector<std::string> command(const std::string& folder, std::vector<std::string> more = {}) const {
    if (std::find(more.begin(), more.end(), "--threads") == more.end()) more.insert(more.end(), {"--threads", "2"});
    more.insert(more.begin(), {"train", config_, "output=" + path(folder)});
    return more;
  }
  CommandResult train(const std::string& folder, std::vector<std::string> more = {}) const {
    return run_vitkit(command(folder, std::move(more)));
  }
  /// Status 2 or 1, and words on stderr.
  static void expect_error(const CommandResult& result, int status, const std::vector<std::string>& words) {
    EXPECT_EQ(result.status, status) << result.err;
    for (const std::string& word : words) EXPECT_THAT(result.err, testing::HasSubstr(word));
  }

  /// What must not depend on how often a run was stopped: name -> bytes.
  std::vector<std::pair<std::string, std::string>> final_bytes(const std::string& folder) const {
    std::vector<std::pair<std::string, std::string>> all;
    for (const char* name : {"checkpoints/last/model.safetensors", "checkpoints/last/train_state.safetensors",
                             "checkpoints/best/model.safetensors", "metrics.csv", "metrics.jsonl"})
      all.emplace_back(name, slurp(dir_ / folder / name));
    return all;
  }
  void expect_same_run(const std::string& one, const std::string& other) const {
    const auto a = final_bytes(one), b = final_bytes(other);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].second == b[i].second) << other << "/" << a[i].first;
  }
  /// Names of the checkpoints' folders that are complete to the eye: step-*.
  std::vector<std::string> checkpoints(const std::string& folder) const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / folder / "checkpoints", error))
      if (entry.path().filename().string().starts_with("step-")) names.push_back(entry.path().filename());
    return names;
  }
  /// The lines of a file, parsed.
  static std::vector<nlohmann::json> json_lines(const std::string& text) {
    std::vector<nlohmann::json> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      all.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_FALSE(all.back().is_discarded()) << line;
    }
    return all;
  }

  TempDir dir_;
  std::string config_;
};

}  // namespace vit::test
