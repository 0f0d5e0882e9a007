// A detector's checkpoint small enough to be written by every test that needs one. It has learned nothing: what it
// finds is always the same for the same picture, and that is enough for who tests what becomes of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vit::test {

struct TinyDetectorOptions {
  std::vector<std::string> labels = {"cat", "dog", "sea lion"};  ///< one class each
  uint64_t seed = 1;                                             ///< of the weights
};

/// An RT-DETR for pictures of 64 x 64 with five queries.
void write_tiny_detector(const std::filesystem::path& dir, const TinyDetectorOptions& options = {});

}  // namespace vit::test
