// The pictures that `vitkit evaluate` is asked about.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/image/decode.h"

namespace apps {

struct CommonOptions;

struct EvaluationDataOptions {
  std::string data{};                    ///< --data: a data set, or a training configuration (.yaml, .yml)
  std::vector<std::string> overrides{};  ///< "key=value" in place of the configuration's
  std::string split{}, class_map{};      ///< empty: as usual, or as the configuration says
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
};

struct EvaluationData {
  std::shared_ptr<const datasets::Dataset> data{};
  std::string name{};    ///< for messages and reports: what was opened
  std::string format{};  ///< of it, where it is one data set as it is stored; empty: joined, renamed, a configuration's
};

/// What a data set must say about its pictures.
enum class EvaluatedLabels { classes, boxes, captions };

/// Adds --data, --split, --class-map and the configuration's overrides.
void add_evaluation_data_options(CLI::App& command, EvaluationDataOptions& options);

/// Opens them; where classes are wanted, with every label checked to be one. Of a training configuration it is what the
/// run validates on, with the run's division and class numbers; `split` names the run's training side (its
/// train_split), or another split of its data. No picture is read. `model` stands in for a `model` that the
/// configuration leaves to the command line. Errors (usage): as open_dataset, or load_config and open_training_data;
/// overrides without a configuration.
EvaluationData open_evaluation_data(const EvaluationDataOptions& options, const std::string& model,
                                    EvaluatedLabels labels, const CommonOptions& common);

}  // namespace apps
