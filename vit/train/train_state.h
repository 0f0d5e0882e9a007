// What a run needs beside the weights to go on as if it had never stopped: two files in a checkpoint's folder,
// train_state.safetensors (tensors) and train_state.json (the rest, and the sizes of the folder's files).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "vit/train/named_tensors.h"

namespace vit {

struct TrainState {
  int64_t epoch = 0;  ///< the epoch to go on in
  int64_t batch = 0;  ///< batches of it that are done
  int64_t step = 0;   ///< updates done
  bool is_best = false;
  std::optional<double> metric;              ///< what the model scored when it was saved
  std::string config;                        ///< the resolved configuration, as YAML
  std::map<std::string, std::string> facts;  ///< anything else that is text: the data set's fingerprint, ...
  /// "optimizer.*", "ema.*", the schedule's, early stopping's: what their save() and state() give.
  NamedTensors tensors;
};

/// Bytes of each file of a checkpoint folder.
using FileSizes = std::map<std::string, int64_t>;

/// Writes the two files into `folder`, each whole or not at all. `sizes` are those of the folder's other files.
/// Errors: as write_safetensors and write_file_atomically.
void write_train_state(const std::filesystem::path& folder, const TrainState& state, FileSizes sizes);

/// Reads the two files; tensors are views of the mapped file. Errors (usage): missing, damaged, or of a later format.
TrainState read_train_state(const std::filesystem::path& folder);

/// Why the folder is not a complete checkpoint, or "": train_state.json must be readable, and every file that it lists
/// there and of its size.
std::string find_damage(const std::filesystem::path& folder);

/// The `is_best` of a complete checkpoint, without reading its tensors. Errors: as read_train_state.
bool is_best_checkpoint(const std::filesystem::path& folder);

}  // namespace vit
