// Loaders of pictures with class numbers for any transform: what make_train_loader and make_eval_loader (loader.h) are
// made of, and what clips are loaded with.
#pragma once

#include <memory>

#include "datasets/loader.h"
#include "datasets/transform.h"

namespace datasets {

/// Shuffled (or as `sampler` says) batches of what the transform makes, mixed as `augment` says. Errors (usage): what
/// the parts refuse.
std::unique_ptr<Loader> make_label_loader(const Dataset& dataset, std::unique_ptr<const Transform> transform,
                                          const AugmentConfig& augment, const SamplerConfig& sampler,
                                          const LoaderConfig& loader, uint64_t seed);
/// Every picture once, in order; targets i64 [B]. drop_last does not count.
std::unique_ptr<Loader> make_label_loader(const Dataset& dataset, std::unique_ptr<const Transform> transform,
                                          const LoaderConfig& loader);

}  // namespace datasets
