#include "datasets/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/core/check.h"

namespace datasets {

namespace {
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
}

Calibration::Calibration(int64_t bins) {
  vit::check(bins >= 1, "calibration: expected 1 bin or more, got ", bins);
  sums_.resize(static_cast<size_t>(bins));
}

void Calibration::add(double confidence, bool is_right) {
  vit::check(confidence >= 0.0 && confidence <= 1.0, "calibration: expected a confidence from 0 to 1, got ",
             confidence);
  const auto bins = static_cast<double>(sums_.size());
  const double bin = std::clamp(std::ceil(confidence * bins) - 1.0, 0.0, bins - 1.0);
  Sums& sums = sums_[static_cast<size_t>(bin)];
  ++sums.count;
  sums.right += is_right ? 1 : 0;
  sums.confidence += confidence;
}

std::vector<Calibration::Bin> Calibration::bins() const {
  std::vector<Bin> bins;
  const auto number = static_cast<double>(sums_.size());
  for (size_t i = 0; i < sums_.size(); ++i) {
    const Sums& sums = sums_[i];
    const auto count = static_cast<double>(sums.count);
    bins.push_back({.from = static_cast<double>(i) / number,
                    .to = static_cast<double>(i + 1) / number,
                    .count = sums.count,
                    .confidence = sums.count > 0 ? sums.confidence / count : kNone,
                    .accuracy = sums.count > 0 ? static_cast<double>(sums.right) / count : kNone});
  }
  return bins;
}

int64_t Calibration::count() const {
  int64_t count = 0;
  for (const Sums& sums : sums_) count += sums.count;
  return count;
}

double Calibration::expected_error() const {
  double error = 0.0;
  for (const Bin& bin : bins())
    if (bin.count > 0) error += static_cast<double>(bin.count) * std::abs(bin.accuracy - bin.confidence);
  return count() > 0 ? error / static_cast<double>(count()) : kNone;
}

double Calibration::maximum_error() const {
  double error = 0.0;
  for (const Bin& bin : bins())
    if (bin.count > 0) error = std::max(error, std::abs(bin.accuracy - bin.confidence));
  return count() > 0 ? error : kNone;
}

double Calibration::confidence() const {
  double sum = 0.0;
  for (const Sums& sums : sums_) sum += sums.confidence;
  return count() > 0 ? sum / static_cast<double>(count()) : kNone;
}

}  // namespace datasets
