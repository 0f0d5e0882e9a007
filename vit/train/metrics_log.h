// A run's metrics as two files that any program reads: metrics.csv (a fixed set of columns) and metrics.jsonl
// (everything; one object per line). A resumed run's files are, byte for byte, those of a run that never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/train/append_file.h"

namespace vit {

struct MetricsRow {
  int64_t epoch = 0;
  int64_t step = 0;  ///< updates done
  std::vector<std::pair<std::string, double>> values;
};

/// {"epoch": 3, "step": 120, "loss": 0.25}: keys in order, numbers as short as they read back exactly, null for what is
/// not finite. No line end.
std::string json_line(const MetricsRow& row);

/// Not thread-safe. Log a step's rows before its checkpoint is saved: rows beyond the checkpoint that a run resumes
/// from are cut off, to be written again.
class MetricsLog {
 public:
  /// Starts metrics.csv ("epoch,step," and the columns) and metrics.jsonl in `folder`, or, with `resumed_step`, goes on
  /// with them: rows of later steps and a last line without an end are dropped. Errors: a file that starts anew exists
  /// already; a resumed metrics.csv has other columns (usage); as AppendFile.
  MetricsLog(const std::filesystem::path& folder, std::vector<std::string> columns,
             std::optional<int64_t> resumed_step = {});

  /// Appends a line to each file at once. A value without a column is in metrics.jsonl only; a column without a value
  /// is empty. Errors: as AppendFile.
  void log(const MetricsRow& row);

 private:
  std::vector<std::string> columns_;
  std::unique_ptr<AppendFile> csv_, jsonl_;
};

}  // namespace vit
