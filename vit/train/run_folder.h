// The folder of a training run: what is in it, who may write to it.
//
//   config.yaml                  the resolved configuration
//   metrics.csv, metrics.jsonl   vit/train/metrics_log.h
//   events.out.tfevents.*        vit/train/event_file.h
//   quarantine.jsonl             data that could not be used, and why
//   bad_captions.jsonl           captions and pictures that were left out, and why
//   bad_boxes.jsonl              annotations that were repaired or left out, and why
//   plots/                       pictures of the metrics
//   checkpoints/                 vit/train/checkpoint_store.h
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "vit/core/config_node.h"

namespace vit {

enum class RunMode {
  fresh,      ///< the folder must hold no run
  overwrite,  ///< a run in the folder is removed first (its own files, nothing else)
  resume,     ///< a run in the folder goes on; an empty folder starts one
};

/// Holds the folder as long as it lives: a second run in it is refused, in this process or another.
class RunFolder {
 public:
  /// Makes the folder where it is missing. Errors (usage): it holds a run and the mode is `fresh`, with the ways out;
  /// it is a file; another run is writing to it. Errors: it cannot be made.
  RunFolder(const std::filesystem::path& path, RunMode mode);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_file() const { return path_ / "config.yaml"; }
  std::filesystem::path quarantine_file() const { return path_ / "quarantine.jsonl"; }
  std::filesystem::path bad_boxes_file() const { return path_ / "bad_boxes.jsonl"; }
  std::filesystem::path bad_captions_file() const { return path_ / "bad_captions.jsonl"; }
  std::filesystem::path plots() const { return path_ / "plots"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

  /// True when a configuration has been written by an earlier start.
  bool has_config() const;
  /// Errors: as write_file_atomically; ConfigNode::load.
  void write_config(const ConfigNode& resolved) const;
  ConfigNode read_config() const;

 private:
  void lock();
  void remove_run() const;
  void remove_leftovers() const;

  std::filesystem::path path_;
  int lock_ = -1;
};

/// The folder holds files of a run.
bool holds_run(const std::filesystem::path& path);

/// Keys ("model.depth") whose values differ between two configurations, or that only one of them has.
std::vector<std::string> differing_keys(const ConfigNode& a, const ConfigNode& b);

}  // namespace vit
