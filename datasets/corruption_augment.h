// Corruptions as augmentation: training pictures that are spoilt at random, as those of ImageNet-C are (corruption.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/core/rng.h"
#include "vit/image/image.h"

namespace datasets {

struct CorruptionAugmentConfig {
  std::vector<std::string> families = {"all"};
  std::array<int64_t, 2> severity = {1, 3};
  double probability = 0.5;

  template <class V>
  void visit_fields(V& v) {
    v("families", families,
      "What spoils pictures, one of them at a time: families (gaussian_noise, fog, ...), groups (noise, blur, weather, "
      "digital), all (the fifteen of ImageNet-C), extra (its four others).");
    v("severity", severity, "Least and greatest severity.", vit::between(1, 5));
    v("probability", probability, "Probability that a picture is spoilt.", vit::between(0, 1));
  }

  /// Errors (usage): no families, one that is not known (with the known ones), severities in the wrong order.
  void validate() const;
};

/// Immutable: any number of threads may use one.
class CorruptionAugment {
 public:
  /// Errors (usage): as validate().
  explicit CorruptionAugment(const CorruptionAugmentConfig& config);
  /// Draws whether, by what and how much the picture is spoilt, each family and each severity alike. The extents stay.
  void operator()(vit::Image& image, vit::Rng& rng) const;

 private:
  CorruptionAugmentConfig config_;
  std::vector<std::string> families_;
};

}  // namespace datasets
