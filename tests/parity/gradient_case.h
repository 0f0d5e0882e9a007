// Reference cases with gradients: a training run of a ViT (C1), timm's attention
// modules (A8), torch's multi-head attention (A8b), schedules (C1b).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

struct GradientResult {
  std::string name;
  double max_abs = 0.0, limit = 0.0;
  bool ok() const { return max_abs <= limit; }  ///< NaN is not
};

/// Losses, gradients and parameters of every run in a C1 case. Errors: a run that nothing here describes.
std::vector<GradientResult> run_training_golden(const std::filesystem::path& dir);
/// Outputs, weights and gradients of every module in an A8b case.
std::vector<GradientResult> run_multihead_golden(const std::filesystem::path& dir);
/// Outputs, gradients and running statistics of every module in an A8 case.
std::vector<GradientResult> run_attention_golden(const std::filesystem::path& dir);

}  // namespace vit
