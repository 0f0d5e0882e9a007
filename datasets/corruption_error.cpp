#include "datasets/corruption_error.h"

#include <utility>

namespace datasets {

namespace {

/// A mean that is none without values.
class Mean {
 public:
  void add(const std::optional<double>& value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  int64_t count() const { return count_; }
  std::optional<double> value() const {
    if (count_ == 0) return std::nullopt;
    return sum_ / static_cast<double>(count_);
  }

 private:
  double sum_ = 0.0;
  int64_t count_ = 0;
};

std::optional<double> ratio(double value, double base) {
  if (base <= 0.0) return std::nullopt;
  return value / base;
}

using Severities = std::map<int64_t, double>;

/// CE and relative CE of a family.
void normalise(FamilyError& figures, const Severities& errors, const std::optional<double>& clean,
               const CorruptionErrors& baseline) {
  const auto base = baseline.corrupted.find(figures.family);
  if (base == baseline.corrupted.end()) return;
  double own = 0.0, other = 0.0, count = 0.0;
  for (const auto& [severity, error] : errors) {
    const auto theirs = base->second.find(severity);
    if (theirs == base->second.end()) continue;
    own += error;
    other += theirs->second;
    count += 1.0;
  }
  figures.normalised = ratio(own, other);
  if (clean && baseline.clean)
    figures.relative_normalised = ratio(own - count * *clean, other - count * *baseline.clean);
}

FamilyError family_error(const std::string& family, const Severities& errors, const std::optional<double>& clean) {
  const CorruptionEntry& entry = corruption_registry().find(family);
  FamilyError figures{.family = family, .group = entry.group, .is_extra = entry.is_extra};
  Mean mean;
  for (const auto& [severity, error] : errors) mean.add(error);
  figures.mean = mean.value().value_or(0.0);
  if (clean) figures.increase = figures.mean - *clean;
  return figures;
}

std::vector<GroupError> group_errors(const std::vector<FamilyError>& families) {
  std::vector<GroupError> groups;
  for (const std::string& group : corruption_groups()) {
    Mean mean;
    for (const FamilyError& family : families)
      if (family.group == group && !family.is_extra) mean.add(family.mean);
    if (mean.count() > 0) groups.push_back({group, mean.value().value_or(0.0), mean.count()});
  }
  return groups;
}

}  // namespace

CorruptionSummary summarise_corruptions(const CorruptionErrors& errors, const CorruptionErrors* baseline) {
  for (const auto& [family, severities] : errors.corrupted) static_cast<void>(corruption_registry().find(family));
  CorruptionSummary summary;
  Mean mean, increase, mce, relative;
  for (const std::string& name : corruption_families(/*extra=*/true)) {
    const auto found = errors.corrupted.find(name);
    if (found == errors.corrupted.end() || found->second.empty()) continue;
    FamilyError family = family_error(name, found->second, errors.clean);
    if (baseline) normalise(family, found->second, errors.clean, *baseline);
    if (!family.is_extra) {
      mean.add(family.mean);
      increase.add(family.increase);
      mce.add(family.normalised);
      relative.add(family.relative_normalised);
    }
    summary.families.push_back(std::move(family));
  }
  summary.groups = group_errors(summary.families);
  summary.mean_error = mean.value();
  summary.mean_increase = increase.value();
  summary.mce = mce.value();
  summary.relative_mce = relative.value();
  return summary;
}

}  // namespace datasets
