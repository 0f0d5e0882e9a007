// What cases with gradients share: comparing what a case names with its tolerances, and a model for training whose
// parameters have the checkpoint's names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/gradient_case.h"
#include "vit/autograd/var.h"
#include "vit/io/checkpoint.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit {

/// Compares what a case names with the tolerances of its case.json.
class GoldenComparison {
 public:
  explicit GoldenComparison(const std::filesystem::path& dir);

  const SafetensorsFile& golden() const { return golden_; }
  const nlohmann::json& description() const { return case_; }

  void compare(const std::string& name, const Tensor& ours);
  void compare(const std::string& name, double ours) { compare(name, Tensor::full({}, static_cast<float>(ours))); }
  /// Integers are equal or they are not.
  void compare_exactly(const std::string& name, const std::vector<int64_t>& ours);

  std::vector<GradientResult> take_results() { return std::move(results_); }

 private:
  SafetensorsFile golden_;
  nlohmann::json case_;
  std::vector<GradientResult> results_;
};

/// A model for training under the checkpoint's names.
class NamedModel {
 public:
  /// `config` stands for the checkpoint's.
  NamedModel(const Checkpoint& checkpoint, const nlohmann::json& config);

  ImageModel& model() { return *plan_.model; }
  /// Every gradient of the case; ours may hold several of theirs, one after the other, or the transpose.
  void compare_gradients(GoldenComparison& comparison) const;

 private:
  ModelPlan plan_;
  std::vector<std::pair<std::string, Var>> leaves_;
};

}  // namespace vit
