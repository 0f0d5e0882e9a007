#include "datasets/corruption_augment.h"

#include "datasets/augment_random.h"
#include "datasets/corruption.h"
#include "vit/core/check.h"

namespace datasets {

void CorruptionAugmentConfig::validate() const {
  if (families.empty()) vit::fail_usage("families: expected at least one corruption, such as all or noise");
  static_cast<void>(named_corruptions(families));
  if (severity[0] > severity[1])
    vit::fail_usage("severity: expected least, greatest; got ", severity[0], ", ", severity[1]);
}

CorruptionAugment::CorruptionAugment(const CorruptionAugmentConfig& config) : config_(config) {
  config_.validate();
  families_ = named_corruptions(config_.families);
}

void CorruptionAugment::operator()(vit::Image& image, vit::Rng& rng) const {
  if (!random_chance(rng, config_.probability)) return;
  const std::string& family = families_[static_cast<size_t>(random_index(rng, static_cast<int64_t>(families_.size())))];
  const int64_t severity = config_.severity[0] + random_index(rng, config_.severity[1] - config_.severity[0] + 1);
  image = corrupt(image, family, severity, rng);
}

}  // namespace datasets
