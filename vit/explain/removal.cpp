#include "vit/explain/removal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "vit/core/check.h"
#include "vit/explain/variants.h"

namespace vit {

RemovalOrder::RemovalOrder(const Tensor& map, int64_t height, int64_t width, int64_t square) {
  check(square >= 1, "removal: squares have at least 1 pixel along their side, got ", square);
  const Tensor values = map_on_pixels(map, height, width);
  const int64_t rows = (height + square - 1) / square, columns = (width + square - 1) / square;
  const auto unit_of = [&](int64_t pixel) { return pixel / width / square * columns + pixel % width / square; };
  units_ = rows * columns;
  std::vector<double> sums(static_cast<size_t>(units_), 0.0), counts(static_cast<size_t>(units_), 0.0);
  for (int64_t pixel = 0; pixel < height * width; ++pixel) {
    sums[static_cast<size_t>(unit_of(pixel))] += static_cast<double>(values.f32()[pixel]);
    counts[static_cast<size_t>(unit_of(pixel))] += 1.0;
  }
  for (size_t unit = 0; unit < sums.size(); ++unit) sums[unit] /= counts[unit];
  std::vector<size_t> order(sums.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sums[a] > sums[b]; });
  std::vector<int64_t> rank_of(sums.size());
  for (size_t rank = 0; rank < order.size(); ++rank) rank_of[order[rank]] = static_cast<int64_t>(rank);
  for (int64_t pixel = 0; pixel < height * width; ++pixel)
    ranks_.push_back(rank_of[static_cast<size_t>(unit_of(pixel))]);
}

int64_t RemovalOrder::units_of(double share) const {
  return static_cast<int64_t>(std::llround(share * static_cast<double>(units_)));
}

double area_under(const std::vector<double>& shares, const std::vector<double>& scores) {
  check(shares.size() == scores.size() && shares.size() >= 2, "area_under: ", shares.size(), " shares, ", scores.size(),
        " scores");
  double area = 0.0;
  for (size_t i = 1; i < shares.size(); ++i) area += 0.5 * (scores[i] + scores[i - 1]) * (shares[i] - shares[i - 1]);
  return area;
}

RemovalCurves removal_curves(const Subject& subject, const Tensor& pixels, const RemovalOrder& order,
                             const RemovalCurveOptions& options) {
  check(options.steps >= 1, "removal: there must be at least 1 step, got ", options.steps);
  const int64_t steps = options.steps, area = pixels.size(2) * pixels.size(3);
  const Tensor blurred =
      blurred_pixels(pixels, options.blur * static_cast<double>(std::max(pixels.size(2), pixels.size(3))));
  // The picture itself, then deletion's steps 1 to `steps`, then insertion's 0 to `steps` - 1.
  const auto count_at = [&](int64_t step) {
    return order.units_of(static_cast<double>(step) / static_cast<double>(steps));
  };
  const std::vector<double> scores =
      score_variants(subject, pixels.shape(), 2 * steps + 1, options.batch_size, [&](int64_t index, float* variant) {
        const bool deletes = index <= steps;
        const int64_t count = count_at(deletes ? index : index - steps - 1);
        for (int64_t i = 0; i < pixels.numel(); ++i) {
          const bool first = order.among_first(i % area, count);
          variant[i] = deletes ? (first ? 0.0f : pixels.f32()[i]) : (first ? pixels.f32()[i] : blurred.f32()[i]);
        }
      });
  RemovalCurves curves;
  for (int64_t step = 0; step <= steps; ++step) {
    const double share = static_cast<double>(count_at(step)) / static_cast<double>(order.units());
    curves.deletion.shares.push_back(share);
    curves.deletion.scores.push_back(scores[static_cast<size_t>(step)]);
    curves.insertion.shares.push_back(share);
    curves.insertion.scores.push_back(step < steps ? scores[static_cast<size_t>(steps + 1 + step)] : scores.front());
  }
  curves.deletion.auc = area_under(curves.deletion.shares, curves.deletion.scores);
  curves.insertion.auc = area_under(curves.insertion.shares, curves.insertion.scores);
  return curves;
}

}  // namespace vit
