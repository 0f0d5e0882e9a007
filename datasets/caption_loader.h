// Loaders of batches with captions, for captioners: Batch::captions has a sentence about every picture,
// Batch::pictures says which pictures they are, Batch::targets is undefined.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "datasets/caption_dataset.h"
#include "datasets/loader.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// What is done to pictures that are learnt with captions. Mirroring and strong crops make sentences untrue ("left of",
/// what is cut off), so little is done unless asked for.
struct CaptionAugmentConfig {
  bool no_aug = false;
  std::array<double, 2> scale = {0.8, 1.0};
  std::array<double, 2> ratio = {0.9, 1.0 / 0.9};
  double hflip = 0.0;
  double color_jitter = 0.1;
  double hue = 0.0;

  template <class V>
  void visit_fields(V& v) {
    v("no_aug", no_aug, "Pictures as the model's pre-processing makes them.");
    v("scale", scale, "Share of the picture's area that a crop has, smallest and largest.", vit::between(0.01, 1));
    v("ratio", ratio, "Width / height of a crop, relative to the picture's, smallest and largest.", vit::above(0));
    v("hflip", hflip, "Probability of mirroring left and right: sentences that say left and right become untrue.",
      vit::between(0, 1));
    v("color_jitter", color_jitter, "Brightness, contrast and saturation vary by factors from 1 - x to 1 + x.",
      vit::between(0, 10));
    v("hue", hue, "Hue varies by up to this share of the circle: sentences that say colours become untrue.",
      vit::between(0, 0.5));
  }
  /// Errors (usage): a range whose bounds are swapped.
  void validate() const;
};

/// Shuffled (or as `sampler` says) and augmented batches. A picture's sentence is one of its captions, drawn by
/// (seed, epoch, number of the picture). Errors (usage): no pictures; a sampler that goes by classes (balanced,
/// weighted); pre-processing that gives every picture a size of its own.
std::unique_ptr<Loader> make_caption_train_loader(const CaptionDataset& dataset, const vit::Preprocessor& preprocessor,
                                                  const CaptionAugmentConfig& augment, const SamplerConfig& sampler,
                                                  const LoaderConfig& loader, uint64_t seed);
/// Every picture once, in order, as the model's pre-processing makes it, with the first of its captions. drop_last does
/// not count. Errors: as above.
std::unique_ptr<Loader> make_caption_eval_loader(const CaptionDataset& dataset, const vit::Preprocessor& preprocessor,
                                                 const LoaderConfig& loader);

}  // namespace datasets
