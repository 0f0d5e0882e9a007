// A subject whose truth is known: its score is the mean of the pixels in a rectangle, of all channels.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vit/explain/subject.h"

namespace vit::test {

/// A model that is asked for nothing but its name.
class NamedModel : public ImageModel {
 public:
  NamedModel() { info_.name = "region"; }
  Var forward(Context& /*ctx*/, const Var& images) const override { return images; }
  ConfigNode describe() const override { return {}; }
  void set_training(const TrainingOptions& /*options*/) override {}
  std::vector<std::string> replace_head(int64_t /*num_classes*/) override { return {}; }
  const std::map<std::string, ReferenceOutput>& reference_names() const override { return names_; }
  void set_input_size(int64_t /*height*/, int64_t /*width*/) override {}

 private:
  std::map<std::string, ReferenceOutput> names_{};
};

struct Region {
  int64_t top = 0, left = 0, height = 1, width = 1;
  bool holds(int64_t y, int64_t x) const { return y >= top && y < top + height && x >= left && x < left + width; }
};

class RegionSubject : public Subject {
 public:
  /// `forgotten`: what the subject with random weights looks at.
  explicit RegionSubject(const Region& region, const Region& forgotten = {}) : region_(region), forgotten_(forgotten) {}

  std::string name() const override { return "the region"; }
  const ImageModel& model() const override { return model_; }
  Var objective(Context& /*ctx*/, const Var& pixels) const override { return pixels; }
  std::vector<double> scores(const Tensor& pixels) const override {
    std::vector<double> result;
    for (int64_t i = 0; i < pixels.size(0); ++i) result.push_back(score(pixels.slice(i, i + 1)));
    return result;
  }
  std::unique_ptr<Subject> randomized(uint64_t /*seed*/) const override {
    return std::make_unique<RegionSubject>(forgotten_, region_);
  }

 private:
  double score(const Tensor& pixels) const {
    const int64_t width = pixels.size(3), area = pixels.size(2) * width;
    double sum = 0.0, count = 0.0;
    for (int64_t i = 0; i < pixels.numel(); ++i) {
      if (!region_.holds(i % area / width, i % width)) continue;
      sum += static_cast<double>(pixels.f32()[i]);
      count += 1.0;
    }
    return sum / count;
  }

  NamedModel model_;
  Region region_, forgotten_;
};

/// [1, channels, side, side] of one value.
inline Tensor flat_picture(int64_t channels, int64_t side, float value = 1.0f) {
  return Tensor::full({1, channels, side, side}, value);
}

/// f32 [side, side]: `inside` in the region, `outside` elsewhere.
inline Tensor region_map(const Region& region, int64_t side, float inside, float outside) {
  const Tensor map = Tensor::empty({side, side});
  for (int64_t i = 0; i < side * side; ++i) map.f32()[i] = region.holds(i / side, i % side) ? inside : outside;
  return map;
}

}  // namespace vit::test
