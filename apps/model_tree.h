// A model as a tree of modules with their parameters, memory and work: what `vitkit info` prints.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/shape.h"

namespace vit {
class ImageModel;
}

namespace apps {

/// A module; the figures include everything below it.
struct TreeNode {
  std::string path;  ///< "blocks.0.attn"; "" is the model
  std::string name;  ///< the last part: "attn", or "blocks.0" where the list itself is no module
  std::vector<std::pair<std::string, vit::Shape>> parameters;  ///< its own
  int64_t params = 0;                                          ///< elements of all parameters
  int64_t bytes = 0;                                           ///< of all parameters, as f32
  double flops = 0.0;                                          ///< of one picture, two operations per multiply-add
  std::vector<TreeNode> children;
};

/// Runs the model once on a picture of zeros to count its work. Modules without parameters below them are left out.
TreeNode model_tree(vit::ImageModel& model);

/// One line per module, indented; runs of equal siblings ("blocks.0" to "blocks.11") are printed once.
std::string tree_text(const TreeNode& root);

}  // namespace apps
