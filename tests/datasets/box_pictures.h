// A data set of painted rectangles, each in the colour of its class, so that a test can see whether boxes are where
// pixels are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"
#include "vit/core/rng.h"
#include "vit/core/tensor.h"

namespace datasets::test {

/// Class c lights its channel alone, on black.
inline constexpr int64_t kPaintedClasses = 3;

/// One rectangle per class, in columns that do not touch.
class PaintedDataset : public BoxDataset {
 public:
  /// `turned`: every other picture is `width` x `height`. Pictures in `beyond` have boxes that reach outside.
  PaintedDataset(int64_t count, int64_t height, int64_t width, bool turned = false, std::set<int64_t> beyond = {})
      : count_(count), height_(height), width_(width), turned_(turned), beyond_(std::move(beyond)) {}

  int64_t size() const override { return count_; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string source(int64_t index) const override { return "painted/" + std::to_string(index); }
  vit::Extent picture_size(int64_t index) const override {
    return turned_ && index % 2 == 1 ? vit::Extent{width_, height_} : vit::Extent{height_, width_};
  }

  std::vector<BoxAnnotation> boxes(int64_t index) const override {
    const vit::Extent size = picture_size(index);
    vit::Rng rng(7, static_cast<uint64_t>(index));
    std::vector<BoxAnnotation> boxes;
    const double column = static_cast<double>(size.width) / kPaintedClasses;
    for (int64_t c = 0; c < kPaintedClasses; ++c) {
      const auto at = [&](double from, double length) { return std::floor(from + length * rng.uniform()); };
      BoxAnnotation box{.label = c};
      box.box[0] = at(column * static_cast<double>(c) + 1.0, 0.2 * column);
      box.box[1] = at(0.0, 0.4 * static_cast<double>(size.height));
      box.box[2] = at(column * (static_cast<double>(c) + 0.7), 0.2 * column);
      box.box[3] = at(0.6 * static_cast<double>(size.height), 0.4 * static_cast<double>(size.height));
      box.area = vit::box_area(box.box);
      boxes.push_back(box);
    }
    if (beyond_.contains(index)) boxes[0].box[2] += static_cast<double>(2 * size.width);
    return boxes;
  }

  vit::Image load(int64_t index) const override {
    const vit::Extent size = picture_size(index);
    vit::Image image(size.height, size.width);
    std::fill_n(image.row(0), 3 * size.height * size.width, uint8_t{0});
    for (const BoxAnnotation& box : boxes(index))
      for (auto y = static_cast<int64_t>(box.box[1]); y < static_cast<int64_t>(box.box[3]); ++y)
        for (auto x = static_cast<int64_t>(box.box[0]); x < std::min(size.width, static_cast<int64_t>(box.box[2])); ++x)
          image.row(y)[3 * x + box.label] = 255;
    return image;
  }

 private:
  int64_t count_, height_, width_;
  bool turned_;
  std::set<int64_t> beyond_;
  std::vector<std::string> names_{"red", "green", "blue"};
};

/// The smallest box around the pixels in which the channel of `label` is above the middle, within `near` and a margin;
/// pixels [1, 3, height, width], 0 in the middle.
inline vit::Corners extent_of_colour(const vit::Tensor& pixels, int64_t label, const vit::Corners& near) {
  constexpr double kMargin = 3.0;
  const int64_t height = pixels.size(2), width = pixels.size(3);
  const float* plane = pixels.f32() + label * height * width;
  vit::Corners found{1e9, 1e9, -1e9, -1e9};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const auto left = static_cast<double>(x), top = static_cast<double>(y);
      const bool is_near = left + 1.0 > near[0] - kMargin && left < near[2] + kMargin &&
                           top + 1.0 > near[1] - kMargin && top < near[3] + kMargin;
      if (!is_near || plane[y * width + x] <= 0.0f) continue;
      found = {std::min(found[0], left), std::min(found[1], top), std::max(found[2], left + 1.0),
               std::max(found[3], top + 1.0)};
    }
  return found;
}

}  // namespace datasets::test
