// What turns a decoded picture into a model's input: in training with augmentation, in evaluation as the model's
// checkpoint says.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "datasets/augment_config.h"
#include "datasets/corruption_augment.h"
#include "datasets/erase.h"
#include "datasets/rand_augment.h"
#include "vit/core/rng.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// Immutable: any number of threads may use one. Never changes the picture it is given, whose buffer may be shared.
class Transform {
 public:
  virtual ~Transform() = default;
  /// Extents of every output.
  virtual vit::Extent output_size() const = 0;
  /// [height, width, 3] -> output f32 [3, output_size()]. All chance comes from `rng`. Errors: vit::Error when the
  /// picture cannot be brought to the size (an aspect ratio that leaves a side without a pixel).
  virtual void run(const vit::Image& image, vit::Rng& rng, float* output) const = 0;
};

/// The model's own pre-processing; `rng` is not used.
class EvalTransform : public Transform {
 public:
  /// Errors (usage): the outputs' extents depend on the picture.
  explicit EvalTransform(const vit::Preprocessor& preprocessor);
  vit::Extent output_size() const override { return size_; }
  void run(const vit::Image& image, vit::Rng& rng, float* output) const override;

 private:
  vit::Preprocessor preprocessor_;
  vit::Extent size_;
};

/// timm's transforms_imagenet_train (timm/data/transforms_factory.py): crop, flips, policy or colour jitter, greyscale,
/// corruptions (which timm has not), then normalising and erasing.
class TrainTransform : public Transform {
 public:
  /// The input size and the normalisation are the preprocessor's. Errors (usage): what config.validate() refuses; the
  /// outputs' extents depend on the picture.
  TrainTransform(const AugmentConfig& config, const vit::Preprocessor& preprocessor);
  vit::Extent output_size() const override { return size_; }
  void run(const vit::Image& image, vit::Rng& rng, float* output) const override;
  /// The 8-bit part alone: what the model sees before normalising, for people to look at. A copy.
  vit::Image augmented(const vit::Image& image, vit::Rng& rng) const;

 private:
  vit::Filter pick_filter(vit::Rng& rng) const;
  vit::Image cropped(const vit::Image& image, vit::Rng& rng) const;
  vit::Image crop_with_padding(const vit::Image& image, vit::Rng& rng) const;
  vit::Image crop_keeping_ratio(const vit::Image& image, vit::Rng& rng) const;

  AugmentConfig config_;
  vit::Extent size_;
  std::array<double, 2> scale_, ratio_;
  std::optional<vit::Filter> filter_;  // none: at random
  std::optional<PolicyAugment> policy_;
  std::optional<CorruptionAugment> corruptions_;
  EraseOptions erase_;
  vit::Preprocessor normalise_;  // without steps: the arithmetic only
};

}  // namespace datasets
