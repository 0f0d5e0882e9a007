#include "datasets/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "datasets/augment_random.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// timm's RepeatAugSampler cuts an epoch to a multiple of this.
constexpr int64_t kRepeatRound = 256;

/// Fisher and Yates.
void shuffle(std::vector<int64_t>& values, vit::Rng& rng) {
  for (size_t left = values.size(); left > 1; --left)
    std::swap(values[left - 1], values[static_cast<size_t>(random_index(rng, static_cast<int64_t>(left)))]);
}

/// `count` members in random order: all of them as often as they fit, then some of them.
void take_in_turns(std::vector<int64_t>& order, std::vector<int64_t> members, int64_t count, vit::Rng& rng) {
  while (count > 0) {
    shuffle(members, rng);
    const int64_t taken = std::min(count, static_cast<int64_t>(members.size()));
    order.insert(order.end(), members.begin(), members.begin() + taken);
    count -= taken;
  }
}

}  // namespace

void SamplerConfig::validate() const {
  const bool weighs = sampler == "weighted";
  if (!sample_weights.empty() && !weighs)
    vit::fail_usage("sample_weights: sampler is ", sampler, "; set it to weighted, or leave the weights out");
  if (epoch_size > 0 && !weighs && sampler != "balanced")
    vit::fail_usage("epoch_size: sampler is ", sampler, ", whose epoch is the whole set; leave epoch_size out");
}

Sampler::Sampler(const SamplerConfig& config, const std::vector<int64_t>& labels, int64_t num_classes, uint64_t seed)
    : Sampler(config, seed) {
  config_.validate();
  if (labels.empty()) vit::fail_usage("sampler: the data set has no pictures");
  for (const int64_t label : labels)
    if (label < 0 || label >= num_classes)
      vit::fail_usage("sampler: a picture has class ", label, ", but there are ", num_classes, " classes");
  count_ = static_cast<int64_t>(labels.size());
  base_size_ = config_.epoch_size > 0 ? config_.epoch_size : count_;
  if (config_.sampler == "balanced") {
    by_class_.resize(static_cast<size_t>(num_classes));
    for (int64_t i = 0; i < count_; ++i) by_class_[static_cast<size_t>(labels[static_cast<size_t>(i)])].push_back(i);
    for (int64_t k = 0; k < num_classes; ++k)
      if (by_class_[static_cast<size_t>(k)].empty())
        vit::fail_usage("sampler: balanced: class ", k, " has no pictures; add some, or use the sampler shuffled");
  }
  if (config_.sampler == "weighted") {
    const auto given = static_cast<int64_t>(config_.sample_weights.size());
    if (given != num_classes)
      vit::fail_usage("sample_weights: expected one for each of the ", num_classes, " classes, got ", given);
    std::vector<double> weights;
    for (const int64_t label : labels) weights.push_back(config_.sample_weights[static_cast<size_t>(label)]);
    set_weights(weights);
  }
}

Sampler Sampler::weighted(const SamplerConfig& config, const std::vector<double>& weights, uint64_t seed) {
  Sampler sampler(config, seed);
  sampler.config_.sampler = "weighted";
  if (weights.empty()) vit::fail_usage("sampler: the data set has no pictures");
  sampler.count_ = static_cast<int64_t>(weights.size());
  sampler.base_size_ = config.epoch_size > 0 ? config.epoch_size : sampler.count_;
  sampler.set_weights(weights);
  return sampler;
}

void Sampler::set_weights(const std::vector<double>& weights) {
  for (const double weight : weights)
    if (!(weight >= 0.0) || !std::isfinite(weight))
      vit::fail_usage("sampler: expected weights of at least 0, got ", weight);
  cumulative_.resize(weights.size());
  std::partial_sum(weights.begin(), weights.end(), cumulative_.begin());
  if (cumulative_.back() <= 0.0 || !std::isfinite(cumulative_.back()))
    vit::fail_usage("sampler: the weights sum to ", cumulative_.back(), "; no picture could be chosen");
}

int64_t Sampler::size() const {
  if (config_.aug_repeats <= 1 || base_size_ < kRepeatRound) return base_size_;
  return base_size_ / kRepeatRound * kRepeatRound;
}

std::vector<int64_t> Sampler::base_order(int64_t epoch) const {
  vit::Rng rng(seed_, stream_at(RandomUse::kOrder, epoch, 0));
  std::vector<int64_t> order;
  if (config_.sampler == "weighted") {
    for (int64_t i = 0; i < base_size_; ++i) {
      const double high = rng.next_u32(), low = rng.next_u32();
      const double at = (high + low * 0x1p-32) * 0x1p-32 * cumulative_.back();
      const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
      order.push_back(std::min<int64_t>(found - cumulative_.begin(), count_ - 1));
    }
    return order;
  }
  if (config_.sampler == "balanced") {
    const auto classes = static_cast<int64_t>(by_class_.size());
    std::vector<int64_t> turn(static_cast<size_t>(classes));
    std::iota(turn.begin(), turn.end(), int64_t{0});
    shuffle(turn, rng);  // which classes come once more where the epoch's size is no multiple
    for (int64_t i = 0; i < classes; ++i)
      take_in_turns(order, by_class_[static_cast<size_t>(turn[static_cast<size_t>(i)])],
                    base_size_ / classes + (i < base_size_ % classes ? 1 : 0), rng);
    shuffle(order, rng);
    return order;
  }
  order.resize(static_cast<size_t>(count_));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (config_.sampler == "shuffled") shuffle(order, rng);
  return order;
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  vit::check(epoch >= 0, "sampler: expected an epoch of at least 0, got ", epoch);
  std::vector<int64_t> order = base_order(epoch);
  if (config_.aug_repeats <= 1) return order;
  std::vector<int64_t> repeated(static_cast<size_t>(size()));
  for (size_t i = 0; i < repeated.size(); ++i) repeated[i] = order[i / static_cast<size_t>(config_.aug_repeats)];
  return repeated;
}

}  // namespace datasets
