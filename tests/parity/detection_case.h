// Reference cases of detectors' training: matches, losses and gradients of the set criterion (C2), losses and gradients
// of whole models (G1, G2).
#pragma once

#include <filesystem>
#include <vector>

#include "tests/parity/gradient_case.h"

namespace vit {

/// Matches, losses and the gradients of all levels' logits and boxes in a C2 case. Matches are compared exactly.
std::vector<GradientResult> run_detection_loss_golden(const std::filesystem::path& dir);

/// The loss, its parts and the gradient of every parameter in a G1 or G2 case, whose weights lie in another case.
std::vector<GradientResult> run_detector_gradients_golden(const std::filesystem::path& dir);

}  // namespace vit
