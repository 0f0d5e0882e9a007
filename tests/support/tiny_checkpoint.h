// A checkpoint small enough to be written by every test that needs one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vit::test {

struct TinyOptions {
  std::vector<std::string> labels = {"cat", "dog", "fish", "horse", "sea lion"};  ///< one class each
  int64_t classes = 0;  ///< when above 0: so many classes, without names
  uint64_t seed = 1;    ///< of the weights
};

/// config.json of a timm ViT for pictures of 32 x 32: patch 8, dim 32, 2 blocks, 2 heads.
nlohmann::json tiny_config(const TinyOptions& options = {});

/// A timm folder with tiny_config() and random weights, large enough to give different pictures different answers.
void write_tiny_checkpoint(const std::filesystem::path& dir, const TinyOptions& options = {});

}  // namespace vit::test
