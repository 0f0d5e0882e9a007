// Reference cases of detectors' training: matches, losses and gradients of the set criterion (C2).
#pragma once

#include <filesystem>
#include <vector>

#include "tests/parity/gradient_case.h"

namespace vit {

/// Matches, losses and the gradients of all levels' logits and boxes in a C2 case. Matches are compared exactly.
std::vector<GradientResult> run_detection_loss_golden(const std::filesystem::path& dir);

}  // namespace vit
