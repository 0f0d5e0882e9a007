// Reference cases of captioners' training: losses and gradients of whole models (G3).
#pragma once

#include <filesystem>
#include <vector>

#include "tests/parity/gradient_case.h"

namespace vit {

/// The loss, logits where there are some, and the gradient of every parameter in a G3 case, whose weights lie in
/// another case.
std::vector<GradientResult> run_captioner_gradients_golden(const std::filesystem::path& dir);

}  // namespace vit
