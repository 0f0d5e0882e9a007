// In which order the pictures of a data set come in an epoch: a function of (seed, epoch) alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/config.h"

namespace datasets {

struct SamplerConfig {
  std::string sampler = "shuffled";
  std::vector<double> sample_weights;
  int64_t epoch_size = 0;
  int64_t aug_repeats = 0;

  template <class V>
  void visit_fields(V& v) {
    v("sampler", sampler,
      "shuffled: each picture once; sequential; balanced: every class equally often; weighted: by sample_weights, with "
      "replacement.",
      vit::one_of({"shuffled", "sequential", "balanced", "weighted"}));
    v("sample_weights", sample_weights, "How often a picture of each class comes, relative to others (for weighted).",
      vit::at_least(0));
    v("epoch_size", epoch_size, "Pictures per epoch with balanced and weighted; 0: as many as the set has.",
      vit::at_least(0));
    v("aug_repeats", aug_repeats, "Repeated augmentation: how often a picture comes in a row; 0: off.",
      vit::between(0, 100));
  }
  /// Errors (usage): weights and sampler do not go together.
  void validate() const;
};

/// Immutable.
class Sampler {
 public:
  /// labels [N]: the class of each picture. Errors (usage): no pictures; a label out of range; balanced: a class
  /// without pictures; weighted: another number of weights than classes, or weights that leave nothing to choose.
  Sampler(const SamplerConfig& config, const std::vector<int64_t>& labels, int64_t num_classes, uint64_t seed);
  /// Weighted with a weight for each picture (weights [N] instead of config.sample_weights).
  static Sampler weighted(const SamplerConfig& config, const std::vector<double>& weights, uint64_t seed);

  /// Pictures of the set.
  int64_t set_size() const { return count_; }
  /// Pictures per epoch.
  int64_t size() const;
  /// Indices of the epoch's pictures, [size()].
  std::vector<int64_t> order(int64_t epoch) const;

 private:
  Sampler(const SamplerConfig& config, uint64_t seed) : config_(config), seed_(seed) {}
  void set_weights(const std::vector<double>& weights);
  std::vector<int64_t> base_order(int64_t epoch) const;

  SamplerConfig config_;
  uint64_t seed_;
  int64_t count_ = 0;                             // pictures of the set
  int64_t base_size_ = 0;                         // pictures per epoch before repeating
  std::vector<std::vector<int64_t>> by_class_{};  // balanced
  std::vector<double> cumulative_{};              // weighted
};

}  // namespace datasets
