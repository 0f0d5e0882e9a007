// Strips of clips on their way into a model: every frame is treated by itself, and alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/transform.h"

namespace datasets {

/// Immutable: any number of threads may use one.
class ClipTransform : public Transform {
 public:
  /// `of_frame` is given frames of its output size, in training those that fit_strip() makes of them.
  ClipTransform(int64_t frames, std::unique_ptr<const Transform> of_frame);
  /// That of the strip.
  vit::Extent output_size() const override;
  /// [T * height, width, 3] -> output f32 [3, T * h, w]. What is drawn from `rng` is drawn once for all frames. Errors
  /// (usage): a picture that is no strip of T frames.
  void run(const vit::Image& image, vit::Rng& rng, float* output) const override;

 private:
  int64_t frames_;
  std::unique_ptr<const Transform> of_frame_;
};

/// The transforms of a clip model with the normalisation of `preprocessor`, whose fixed size is that of the strip.
/// Errors (usage): as TrainTransform's.
std::unique_ptr<Transform> clip_train_transform(const AugmentConfig& augment, const vit::Preprocessor& preprocessor,
                                                int64_t frames);
std::unique_ptr<Transform> clip_eval_transform(const vit::Preprocessor& preprocessor, int64_t frames);

/// Errors (usage): mirroring turns clips of one class into another's ("moves left", "moves right"), and is not off.
void require_mirrors_keep_classes(const AugmentConfig& augment, const std::vector<std::string>& class_names);

}  // namespace datasets
