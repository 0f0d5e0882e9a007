// Loaders of batches with boxes, for detectors: Batch::boxes has the targets of every picture, Batch::targets is
// undefined, Batch::pictures says which pictures they are. The model's pre-processing decides the form: one size for
// all (RT-DETR: ResizeTo), or ratios kept, padding at the bottom and right and a pixel mask (DETR).
#pragma once

#include <cstdint>
#include <memory>

#include "datasets/box_augment.h"
#include "datasets/box_dataset.h"
#include "datasets/loader.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// Shuffled, augmented batches. A picture whose boxes do not lie within it, though its size is not what the
/// annotations say, counts as one that cannot be read. Errors (usage): no pictures; a sampler that goes by classes of
/// pictures (balanced, weighted); pre-processing that crops, which would cut boxes, or that gives pictures different
/// sizes without padding them.
std::unique_ptr<Loader> make_box_train_loader(const BoxDataset& dataset, const vit::Preprocessor& preprocessor,
                                              const BoxAugmentConfig& augment, const SamplerConfig& sampler,
                                              const LoaderConfig& loader, uint64_t seed);
/// Every picture once, in order, as the model's pre-processing makes it. drop_last does not count. Errors: as above.
std::unique_ptr<Loader> make_box_eval_loader(const BoxDataset& dataset, const vit::Preprocessor& preprocessor,
                                             const LoaderConfig& loader);

/// The same pre-processing for inputs that are larger by `factor`, sides rounded to multiples of `multiple`. Errors
/// (usage): a step that crops.
vit::Preprocessor scaled_preprocessor(const vit::Preprocessor& preprocessor, double factor, int64_t multiple);

}  // namespace datasets
