// The checkpoints of a run: one folder per saved step, each usable as --model, and the links `last` and `best`.
//
//   checkpoints/step-00001200/   model.safetensors, config.json, ..., train_state.safetensors, train_state.json
//   checkpoints/last -> step-00001200
//   checkpoints/best -> step-00000800
//
// A checkpoint is written under a hidden name, brought to the disk and renamed: whatever happens, and whenever, the
// newest step-* folder is complete. Older ones are removed after that, never before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vit/io/safetensors.h"
#include "vit/train/train_state.h"

namespace vit {

struct CheckpointContent {
  std::vector<SafetensorsEntry> model;       ///< model.safetensors
  std::map<std::string, std::string> files;  ///< further files by name: config.json, preprocessor_config.json
  TrainState state;
};

/// Not thread-safe; one process at a time (RunFolder sees to that).
class CheckpointStore {
 public:
  /// Opens, or makes, the folder. What a killed save left behind is removed, and links are brought up to the newest
  /// checkpoint. The newest `keep` checkpoints are kept, and the best. Errors: the folder cannot be made or read.
  explicit CheckpointStore(const std::filesystem::path& folder, int64_t keep = 1);

  /// Saves the checkpoint of content.state.step and returns its folder; a checkpoint of the same step is replaced. With
  /// state.is_best it becomes `best`. Errors: disk full and the like, naming the file and the reason; all earlier
  /// checkpoints are then as they were.
  std::filesystem::path save(const CheckpointContent& content);

  /// The complete checkpoint with the highest step. Folders that are damaged (copied in part, say) are passed over;
  /// `passed_over` gets a line on each.
  std::optional<std::filesystem::path> newest(std::vector<std::string>* passed_over = nullptr) const;
  /// The target of `best`, if it is complete.
  std::optional<std::filesystem::path> best() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  void write_content(const std::filesystem::path& into, const CheckpointContent& content) const;
  void publish(const std::filesystem::path& written, const std::filesystem::path& target) const;
  void point_link(const char* link, const std::filesystem::path& checkpoint) const;
  void settle(const std::filesystem::path& newest, bool is_best) const;
  void remove_old(const std::filesystem::path& newest) const;
  void remove_leftovers() const;

  std::filesystem::path folder_;
  int64_t keep_;
};

}  // namespace vit
