// The reference case D_preprocess: decoding, resizing and pre-processing compared with Pillow, timm and transformers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

struct PreprocessResult {
  std::string name;      ///< the golden tensor's name
  double max_abs = 0;    ///< largest difference
  double tolerance = 0;  ///< 0 for bytes and masks
  bool ok = false;
  std::string error;  ///< why nothing could be compared; empty otherwise
};

/// Compares every tensor of `dir`/golden.safetensors: decoded/* and pil_* (bytes), PIPELINE/IMAGE (within 1e-6) and the
/// batches. Pipelines come from `dir`/config.json and, where there is one, from proc_PIPELINE/preprocessor_config.json
/// as well. Errors: a file of the case is missing or damaged.
std::vector<PreprocessResult> run_preprocess_golden(const std::filesystem::path& dir);

}  // namespace vit
