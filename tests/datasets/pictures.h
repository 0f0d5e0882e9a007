// Pictures and a data set in memory for the tests of augmentation and loading.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/core/check.h"
#include "vit/image/image.h"

namespace datasets::test {

/// Bytes that any language computes the same way: (i * i * 31 + i * 17 + i / 7 * 5 + 11) % 251.
inline vit::Image picture(int64_t height, int64_t width, int64_t first = 0) {
  vit::Image image(height, width);
  for (int64_t i = 0; i < height * width * 3; ++i) {
    const int64_t k = i + first;
    image.row(0)[i] = static_cast<uint8_t>((k * k * 31 + k * 17 + k / 7 * 5 + 11) % 251);
  }
  return image;
}

inline vit::Image copy_of(const vit::Image& image) { return vit::Image(image.pixels.clone()); }

inline std::vector<int> bytes_of(const vit::Image& image) {
  return {image.row(0), image.row(0) + image.height() * image.width() * 3};
}

/// FNV-1a of a picture's bytes.
inline uint64_t hash_of(const vit::Image& image) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const int byte : bytes_of(image)) hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3ull;
  return hash;
}

/// `count` pictures of `height` x `width`, each of its own; picture i has class i % classes. Those in `broken` cannot
/// be read.
class MemoryDataset : public Dataset {
 public:
  MemoryDataset(int64_t count, int64_t height, int64_t width, int64_t classes, std::set<int64_t> broken = {})
      : height_(height), width_(width), count_(count), broken_(std::move(broken)) {
    for (int64_t k = 0; k < classes; ++k) names_.push_back("class " + std::to_string(k));
  }
  int64_t size() const override { return count_; }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override { return index % static_cast<int64_t>(names_.size()); }
  std::string source(int64_t index) const override { return "memory/" + std::to_string(index); }
  vit::Image load(int64_t index) const override {
    ++loads_;
    if (broken_.contains(index)) vit::fail(source(index), ": is broken");
    return picture(height_, width_, index * 1000);
  }
  int64_t loads() const { return loads_.load(); }

 private:
  int64_t height_, width_, count_;
  std::set<int64_t> broken_;
  std::vector<std::string> names_;
  mutable std::atomic<int64_t> loads_{0};
};

}  // namespace datasets::test
