// A reference case of class activation maps: what pytorch-grad-cam says about models of other cases.
#pragma once

#include <filesystem>
#include <vector>

#include "tests/parity/gradient_case.h"

namespace vit {

/// Explains the class that case.json's notes name, with the models of the folders beside it, and compares every map.
/// EigenCAM's map may have either sign, as its reference leaves it open. Errors: as the readers; a method that is not
/// known.
std::vector<GradientResult> run_explain_golden(const std::filesystem::path& dir);

}  // namespace vit
