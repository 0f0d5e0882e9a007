// A reference case of caption metrics: captions, and what coco-caption says about them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

struct CaptionFigure {
  std::string name;  ///< "bleu4", "picture 7: cider"
  double ours = 0.0, reference = 0.0, limit = 0.0;
  bool ok() const;
};

/// Counts captions.json and compares with golden.json, of all pictures and of each. Errors: as the readers.
std::vector<CaptionFigure> run_caption_metrics_golden(const std::filesystem::path& dir);

}  // namespace vit
