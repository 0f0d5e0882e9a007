// RandAugment (Cubuk et al., "RandAugment", 2019) by timm's definitions and strings, and TrivialAugment (Mueller,
// Hutter, "TrivialAugment", 2021) by torchvision's TrivialAugmentWide. Non-goals: AutoAugment's policies, AugMix,
// timm's "3a".
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "datasets/augment_affine.h"
#include "vit/core/rng.h"
#include "vit/image/image.h"
#include "vit/image/resize.h"

namespace datasets {

/// What an `aa` string says.
struct AugmentPolicy {
  /// What ops an image gets: `layers` draws from RandAugment's fifteen, or one of TrivialAugment's fourteen.
  enum class Kind { kRandAugment, kTrivialAugment } kind = Kind::kRandAugment;
  double magnitude = 10.0;         ///< m: 0 to 10 is the usual range
  int layers = 2;                  ///< n
  double probability = 0.5;        ///< p: of each layer
  double magnitude_std = 0.0;      ///< mstd: normal noise on the magnitude
  bool uniform_magnitude = false;  ///< mstd above 100: uniform from 0 to the magnitude instead
  double magnitude_max = 10.0;     ///< mmax
  bool increasing = false;         ///< inc: severity grows with the magnitude for every op
  bool weighted = false;           ///< tweights: geometric ops are more likely, none comes twice
  bool operator==(const AugmentPolicy&) const = default;
};

/// Reads "rand-m9-mstd0.5-inc1", "rand-m7-n2", "ta_wide" and the like; none of "" and "none". Sections of rand: m, n,
/// p, mstd, mmax, inc (0 or 1), tweights. Errors (usage): a section that is not known or is no number; augmix,
/// AutoAugment and 3a policies, which this version does not have.
std::optional<AugmentPolicy> parse_policy(const std::string& text);

/// Applies a policy to pictures. Immutable: any number of threads may use one.
class PolicyAugment {
 public:
  /// `fill` is the colour behind moved pictures (timm: the mean); no filter: bilinear or bicubic at random for each op.
  PolicyAugment(const AugmentPolicy& policy, const Colour& fill, std::optional<vit::Filter> filter);

  /// In place: the picture's buffer must not be shared. The extents stay.
  void operator()(vit::Image& image, vit::Rng& rng) const;

 private:
  void rand_augment(vit::Image& image, vit::Rng& rng) const;
  void trivial_augment(vit::Image& image, vit::Rng& rng) const;

  AugmentPolicy policy_;
  Colour fill_;
  std::optional<vit::Filter> filter_;
};

/// The operations that policies are made of.
enum class AugmentOp {
  kIdentity,
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kSolarize,
  kSolarizeAdd,
  kColor,
  kContrast,
  kBrightness,
  kSharpness,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
};

/// Applies one with its argument: degrees, bits to keep, a threshold, an amount, an enhancement factor, a shear factor,
/// pixels; ignored where an op has none.
void apply_augment_op(vit::Image& image, AugmentOp op, double argument, vit::Filter filter, const Colour& fill);

}  // namespace datasets
