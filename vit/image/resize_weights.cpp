#include "vit/image/resize_weights.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vit::detail {

namespace {

using std::numbers::pi;

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * pi) / (x * pi); }

/// Half the width of the filter at scale 1.
double support_of(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return 0.5;
    case Filter::kBilinear:
    case Filter::kHamming:
      return 1.0;
    case Filter::kBicubic:
      return 2.0;
    case Filter::kLanczos:
      return 3.0;
    case Filter::kNearest:
      break;
  }
  fail("resize: nearest has no weights");
}

// The expressions keep Pillow's order of operations: the weights are compared to the last bit.
double filter_value(Filter filter, double x) {
  constexpr double kCubic = -0.5;
  if (filter == Filter::kBox) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  if (filter == Filter::kLanczos) return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
  x = std::fabs(x);
  if (filter == Filter::kBilinear) return x < 1.0 ? 1.0 - x : 0.0;
  if (filter == Filter::kHamming) {
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x = x * pi;
    return std::sin(x) / x * (0.54 + 0.46 * std::cos(x));
  }
  if (x < 1.0) return ((kCubic + 2.0) * x - (kCubic + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kCubic;
  return 0.0;
}

int32_t fixed_point(double weight) {
  const double scaled = weight * (1 << kWeightBits);
  return static_cast<int32_t>(weight < 0 ? -0.5 + scaled : 0.5 + scaled);
}

/// Source index and weights of one output.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

void compute_taps(const Axis& axis, Filter filter, int64_t output, Taps& taps, std::vector<double>& exact) {
  // Pillow subtracts its float box ends as floats.
  const double scale = static_cast<double>(axis.box_end - axis.box_begin) / static_cast<double>(axis.result);
  const double filter_scale = std::max(scale, 1.0);
  const double support = support_of(filter) * filter_scale;
  const double center = axis.box_begin + (static_cast<double>(output) + 0.5) * scale;
  const double step = 1.0 / filter_scale;
  const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
  const int64_t last = std::min(axis.source, static_cast<int64_t>(center + support + 0.5));
  const int64_t count = std::max<int64_t>(0, last - first);
  exact.resize(static_cast<size_t>(count));
  double total = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const double weight = filter_value(filter, (static_cast<double>(i + first) - center + 0.5) * step);
    exact[static_cast<size_t>(i)] = weight;
    total += weight;
  }
  taps.first = first;
  taps.weights.clear();
  for (const double weight : exact) taps.weights.push_back(fixed_point(total != 0.0 ? weight / total : weight));
}

int32_t pack_halves(int32_t even, int32_t odd) {
  return static_cast<int32_t>((static_cast<uint32_t>(even) & 0xFFFFu) | static_cast<uint32_t>(odd) << 16);
}

}  // namespace

AxisWeights make_weights(const Axis& axis, Filter filter, bool even_first) {
  AxisWeights weights;
  weights.outputs = axis.end - axis.begin;
  std::vector<Taps> all(static_cast<size_t>(weights.outputs));
  std::vector<double> exact;
  weights.source_begin = axis.source;
  for (int64_t i = 0; i < weights.outputs; ++i) {
    Taps& taps = all[static_cast<size_t>(i)];
    compute_taps(axis, filter, axis.begin + i, taps, exact);
    weights.source_begin = std::min(weights.source_begin, taps.first);
    weights.source_end = std::max(weights.source_end, taps.first + static_cast<int64_t>(taps.weights.size()));
    if (even_first && taps.first % 2 != 0) {
      --taps.first;
      taps.weights.insert(taps.weights.begin(), 0);
    }
    weights.pairs = std::max(weights.pairs, static_cast<int64_t>(taps.weights.size() + 1) / 2);
  }
  weights.low.reserve(static_cast<size_t>(weights.outputs * weights.pairs));
  weights.high.reserve(weights.low.capacity());
  for (Taps& taps : all) {
    weights.first.push_back(taps.first);
    taps.weights.resize(static_cast<size_t>(2 * weights.pairs), 0);
    for (size_t i = 0; i < taps.weights.size(); i += 2) {
      const int32_t even = taps.weights[i], odd = taps.weights[i + 1];
      constexpr int32_t kLowMask = (1 << kLowBits) - 1;
      weights.low.push_back(pack_halves(even & kLowMask, odd & kLowMask));
      weights.high.push_back(pack_halves(even >> kLowBits, odd >> kLowBits));
    }
  }
  return weights;
}

}  // namespace vit::detail
