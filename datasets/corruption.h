// Corruptions of pictures: the families of ImageNet-C (Hendrycks, Dietterich, "Benchmarking neural network robustness
// to common corruptions and perturbations", ICLR 2019), made on the fly at five severities. What differs from the
// benchmark's own program, and why, is in docs/corruptions.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vit/core/registry.h"
#include "vit/core/rng.h"
#include "vit/image/image.h"

namespace datasets {

inline constexpr int64_t kCorruptionSeverities = 5;

/// The benchmarks whose strengths are known. Corruptions work in pixels: what spoils a photo of 224 pixels leaves
/// nothing of one of 32.
enum class CorruptionScale { imagenet, tiny_imagenet, cifar10 };
/// By the shorter side: the benchmark whose pictures (224, 64, 32 pixels) are nearest in ratio; up to 45 pixels
/// CIFAR-10-C, up to 119 Tiny ImageNet-C, ImageNet-C above.
CorruptionScale corruption_scale(const vit::Image& image);

/// The strength of a corruption.
struct CorruptionLevel {
  CorruptionScale scale = CorruptionScale::imagenet;
  int64_t severity = 1;  ///< 1 to 5

  /// The parameters of this level out of a table in the order of CorruptionScale.
  template <class Parameters>
  const Parameters& of(const std::array<std::array<Parameters, kCorruptionSeverities>, 3>& table) const {
    return table[static_cast<size_t>(scale)][static_cast<size_t>(severity - 1)];
  }
};
/// Parameters by scale and severity.
template <class Parameters>
using CorruptionTable = std::array<std::array<Parameters, kCorruptionSeverities>, 3>;

struct CorruptionEntry {
  int64_t position = 0;    ///< in the paper's list, which is the order of reports
  std::string group{};     ///< "noise", "blur", "weather" or "digital"
  bool is_extra = false;   ///< one of the four that the benchmark keeps for validation: no part of the mean error
  std::string summary{};   ///< a line
  std::string source{};    ///< what defines it
  bool is_random = false;  ///< whether chance plays a part
  /// image [height, width, 3] -> a new picture of the same extents.
  std::function<vit::Image(const vit::Image&, const CorruptionLevel&, vit::Rng&)> apply{};
};

vit::Registry<CorruptionEntry>& corruption_registry();

/// The fifteen families in the paper's order, with `extra` the four others after them.
std::vector<std::string> corruption_families(bool extra = false);
/// "noise", "blur", "weather", "digital".
const std::vector<std::string>& corruption_groups();
/// The families that a list of names stands for, each once, in the paper's order: names of families and of groups,
/// "all" (the fifteen) and "extra" (the four). Errors (usage): another name, with the known ones.
std::vector<std::string> named_corruptions(const std::vector<std::string>& names);

/// image [height, width, 3] -> the picture spoilt: a copy of the same extents. All chance comes from `rng`. Runs on the
/// calling thread. Errors: undefined; (usage) an unknown family, with the known ones, a severity outside 1 to 5;
/// jpeg_compression: the codec module cannot be loaded.
vit::Image corrupt(const vit::Image& image, const std::string& family, int64_t severity, vit::Rng& rng);
/// The same as a function of (seed, number of the picture, family, severity). The severities of one picture share their
/// chance: they differ in strength alone.
vit::Image corrupt(const vit::Image& image, const std::string& family, int64_t severity, uint64_t seed,
                   int64_t picture);

/// At the end of a family's file: VITKIT_REGISTER_CORRUPTION("fog", .position = ..., ...).
#define VITKIT_CORRUPTION_CONCAT2(a, b) a##b
#define VITKIT_CORRUPTION_CONCAT(a, b) VITKIT_CORRUPTION_CONCAT2(a, b)
#define VITKIT_REGISTER_CORRUPTION(name, ...)                                                            \
  [[maybe_unused]] static const bool VITKIT_CORRUPTION_CONCAT(vitkit_corruption_registered_, __LINE__) = \
      ::datasets::corruption_registry().add(name, ::datasets::CorruptionEntry{__VA_ARGS__})

}  // namespace datasets
