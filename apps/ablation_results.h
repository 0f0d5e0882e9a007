// What an ablation finds out, and the files that keep it.
//
//   VARIANT/            the run (vit/train/run_folder.h)
//   VARIANT/result.json figures of the training, once it has ended or failed
//   results.jsonl       all figures of all variants, in their order
//   table.md, table.csv the same as tables
//   speed.png, flops.png accuracy against images per second, and against the work
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "apps/output.h"

namespace apps {

inline constexpr double kUnknownFigure = std::numeric_limits<double>::quiet_NaN();

struct VariantResult {
  std::string name{};
  std::string value{};    ///< of the key, in one line
  std::string failure{};  ///< why the training failed; empty: it did not
  int64_t epochs = 0, steps = 0;
  double loss = kUnknownFigure;  ///< of the last epoch's training
  double val_loss = kUnknownFigure, top1 = kUnknownFigure, top5 = kUnknownFigure;
  double train_memory_mb = kUnknownFigure;  ///< of a training step, beside the weights
  int64_t params = 0;
  double gflop = kUnknownFigure;         ///< of one picture
  double images_per_s = kUnknownFigure;  ///< of inference with whole batches
  double memory_mb = kUnknownFigure;     ///< of that inference: weights and intermediates

  bool trained() const { return failure.empty(); }
};

Record to_record(const VariantResult& result);

/// The figures that training gave: from the last line of an epoch in the folder's metrics.jsonl. Errors: a damaged
/// file.
void read_training_figures(const std::filesystem::path& folder, VariantResult& result);

/// VARIANT/result.json. Nothing, when there is none. Errors: a damaged file, with its path.
std::optional<VariantResult> read_result(const std::filesystem::path& folder);
void write_result(const std::filesystem::path& folder, const VariantResult& result);

/// results.jsonl, in the order of the file; empty when there is none.
std::vector<VariantResult> read_results(const std::filesystem::path& output);

/// The table as people read it in a terminal, and in a document.
std::string table_text(const std::vector<VariantResult>& results);
std::string table_markdown(const std::vector<VariantResult>& results);

/// Names of the files that write_results makes.
const std::vector<std::string>& result_files();

/// All files of the ablation's folder, each whole or not at all.
void write_results(const std::filesystem::path& output, const std::vector<VariantResult>& results);

}  // namespace apps
