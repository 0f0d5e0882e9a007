// A run's metrics as pictures: what is in metrics.jsonl, drawn.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

/// Reads a run's metrics.jsonl (vit/train/metrics_log.h) and writes PNG files into the folder `plots`, which is made
/// where it is missing: loss (training and validation), accuracy (top1, top5, in percent), lr, one file for every other
/// figure of the evaluations, and attention_entropy, attention_distance and attention_max_logit with a curve per layer.
/// What has no values yet gets no file, nor has a run before the end of its first epoch any. The names of the files.
/// Errors: as read_file, plot_curves and save_image; a line that is not JSON.
std::vector<std::string> write_plots(const std::filesystem::path& metrics, const std::filesystem::path& plots);

}  // namespace vit
