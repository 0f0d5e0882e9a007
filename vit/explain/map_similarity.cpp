#include "vit/explain/map_similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "vit/core/check.h"
#include "vit/explain/variants.h"

namespace vit {

namespace {

/// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (size_t i = first; i <= last; ++i) result[order[i]] = 0.5 * static_cast<double>(first + last) + 1.0;
    first = last + 1;
  }
  return result;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// NaN where one side is constant.
double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean_of(a), mean_b = mean_of(b);
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  if (aa == 0.0 || bb == 0.0) return std::numeric_limits<double>::quiet_NaN();
  return ab / std::sqrt(aa * bb);
}

std::vector<double> values_of(const Tensor& map) { return {map.f32(), map.f32() + map.numel()}; }

/// Scaled to 0 to 1; zeros of a constant map.
std::vector<double> unit_scaled(const Tensor& map) {
  std::vector<double> values = values_of(map);
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const double low = *lowest, range = *highest - *lowest;
  for (double& value : values) value = range > 0.0 ? (value - low) / range : 0.0;
  return values;
}

/// Sums over rectangles in four look-ups: entry (r, c) is the sum of all above and left of it.
class SumTable {
 public:
  SumTable(const std::vector<double>& a, const std::vector<double>& b, int64_t rows, int64_t columns)
      : stride_(columns + 1), sums_(static_cast<size_t>((rows + 1) * (columns + 1)), 0.0) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        const auto i = static_cast<size_t>(r * columns + c);
        at(r + 1, c + 1) = a[i] * b[i] + at(r, c + 1) + at(r + 1, c) - at(r, c);
      }
  }
  double sum(int64_t top, int64_t left, int64_t height, int64_t width) {
    return at(top + height, left + width) - at(top, left + width) - at(top + height, left) + at(top, left);
  }

 private:
  double& at(int64_t r, int64_t c) { return sums_[static_cast<size_t>(r * stride_ + c)]; }
  int64_t stride_;
  std::vector<double> sums_;
};

std::string verdict_of(double correlation, bool constant, bool randomized_constant) {
  if (constant) return "constant: shows nothing";
  if (randomized_constant) return "changes with the weights: empty with random ones";
  if (correlation >= kUnchangedCorrelation) return "unchanged by random weights: does not show what the model learnt";
  if (correlation >= kDoubtfulCorrelation)
    return "hardly changed by random weights: shows the picture at least as much as what the model learnt";
  return "changes with the weights";
}

}  // namespace

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  check(a.size() == b.size(), "spearman: ", a.size(), " and ", b.size(), " values");
  if (a.empty()) return std::numeric_limits<double>::quiet_NaN();
  return pearson(ranks(a), ranks(b));
}

double structural_similarity(const Tensor& a, const Tensor& b) {
  check(a.rank() == 2 && a.shape() == b.shape() && a.numel() > 0, "structural_similarity: maps of ", a.shape(), " and ",
        b.shape());
  constexpr int64_t kWindow = 7;
  constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;
  const int64_t rows = a.size(0), columns = a.size(1);
  const int64_t height = std::min(rows, kWindow), width = std::min(columns, kWindow);
  const std::vector<double> x = unit_scaled(a), y = unit_scaled(b), ones(x.size(), 1.0);
  SumTable sum_x(x, ones, rows, columns), sum_y(y, ones, rows, columns);
  SumTable sum_xx(x, x, rows, columns), sum_yy(y, y, rows, columns), sum_xy(x, y, rows, columns);
  const auto count = static_cast<double>(height * width);
  double total = 0.0;
  for (int64_t top = 0; top + height <= rows; ++top)
    for (int64_t left = 0; left + width <= columns; ++left) {
      const auto mean = [&](SumTable& table) { return table.sum(top, left, height, width) / count; };
      const double mx = mean(sum_x), my = mean(sum_y);
      const double vx = mean(sum_xx) - mx * mx, vy = mean(sum_yy) - my * my, cov = mean(sum_xy) - mx * my;
      total += (2.0 * mx * my + kC1) * (2.0 * cov + kC2) / ((mx * mx + my * my + kC1) * (vx + vy + kC2));
    }
  return total / static_cast<double>((rows - height + 1) * (columns - width + 1));
}

bool fails_sanity(const SanityCheck& check) { return check.constant || check.spearman >= kUnchangedCorrelation; }

SanityCheck compare_maps(const Tensor& map, const Tensor& randomized, int64_t height, int64_t width, bool is_signed) {
  const Tensor first = map_on_pixels(map, height, width), second = map_on_pixels(randomized, height, width);
  const std::vector<double> a = values_of(first), b = values_of(second);
  const auto constant = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
  };
  SanityCheck result{.spearman = spearman(a, b), .constant = constant(a), .ssim = structural_similarity(first, second)};
  if (is_signed) {
    const auto sizes = [](std::vector<double> values) {
      for (double& value : values) value = std::abs(value);
      return values;
    };
    const double of_sizes = spearman(sizes(a), sizes(b));
    result.spearman = std::max(std::abs(result.spearman), std::isnan(of_sizes) ? 0.0 : of_sizes);
  }
  result.verdict = verdict_of(result.spearman, result.constant, constant(b));
  return result;
}

}  // namespace vit
