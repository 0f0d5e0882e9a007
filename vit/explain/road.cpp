#include "vit/explain/road.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/explain/variants.h"

namespace vit {

namespace {

constexpr double kBeside = 1.0 / 6.0, kAcross = 1.0 / 12.0;
constexpr double kTolerance = 1e-6;

/// The equations of one mask on a grid with a rim of one cell, so that every pixel has eight neighbours in memory.
/// Values [height + 2, width + 2]; those of the rim, and of what is no unknown, are 0 in every product.
class Imputation {
 public:
  Imputation(const std::vector<uint8_t>& removed, int64_t height, int64_t width)
      : width_(width), stride_(width + 2), cells_(static_cast<size_t>((height + 2) * (width + 2))) {
    const int64_t s = stride_;
    neighbours_ = {{{-s - 1, kAcross},
                    {-s, kBeside},
                    {-s + 1, kAcross},
                    {-1, kBeside},
                    {1, kBeside},
                    {s - 1, kAcross},
                    {s, kBeside},
                    {s + 1, kAcross}}};
    std::vector<double> in_picture(cells_, 0.0);
    for (int64_t pixel = 0; pixel < height * width; ++pixel) in_picture[cell_of(pixel)] = 1.0;
    for (int64_t pixel = 0; pixel < height * width; ++pixel) {
      if (removed[static_cast<size_t>(pixel)] == 0) continue;
      unknown_.push_back(pixel);
      diagonal_.push_back(neighbour_sum(in_picture, cell_of(pixel)));
    }
  }

  /// Replaces the unknown pixels of one channel [height * width].
  void solve(float* channel, int64_t area) const;

 private:
  struct Neighbour {
    int64_t offset = 0;
    double weight = 0.0;
  };

  size_t cell_of(int64_t pixel) const {
    return static_cast<size_t>((pixel / width_ + 1) * stride_ + pixel % width_ + 1);
  }
  double neighbour_sum(const std::vector<double>& values, size_t cell) const {
    double sum = 0.0;
    for (const Neighbour& n : neighbours_) sum += n.weight * values[cell + static_cast<size_t>(n.offset)];
    return sum;
  }

  int64_t width_, stride_;
  size_t cells_;
  std::array<Neighbour, 8> neighbours_{};
  std::vector<int64_t> unknown_{};
  std::vector<double> diagonal_{};
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The matrix is symmetric and, as a known pixel can be reached from every unknown one, positive definite.
void Imputation::solve(float* channel, int64_t area) const {
  std::vector<double> known(cells_, 0.0);
  double mean = 0.0;
  for (int64_t pixel = 0; pixel < area; ++pixel) known[cell_of(pixel)] = static_cast<double>(channel[pixel]);
  for (const int64_t pixel : unknown_) known[cell_of(pixel)] = 0.0;
  for (const double value : known) mean += value;
  mean /= static_cast<double>(area - static_cast<int64_t>(unknown_.size()));

  const size_t count = unknown_.size();
  std::vector<double> values(count, mean), residual(count), product(count), direction(cells_, 0.0), along(count);
  const auto multiply = [&] {  // product = A * along
    for (size_t i = 0; i < count; ++i) direction[cell_of(unknown_[i])] = along[i];
    for (size_t i = 0; i < count; ++i)
      product[i] = diagonal_[i] * along[i] - neighbour_sum(direction, cell_of(unknown_[i]));
  };
  std::vector<double> right(count);
  for (size_t i = 0; i < count; ++i) right[i] = neighbour_sum(known, cell_of(unknown_[i]));
  along = values;
  multiply();
  for (size_t i = 0; i < count; ++i) residual[i] = right[i] - product[i];
  along = residual;
  double norm = dot(residual, residual);
  const double enough = kTolerance * kTolerance * std::max(dot(right, right), 1e-30);
  for (size_t round = 0; norm > enough; ++round) {
    check(round < 10 * count + 100, "road: ", count, " equations of imputation did not converge");
    multiply();
    const double step = norm / dot(along, product);
    for (size_t i = 0; i < count; ++i) values[i] += step * along[i];
    for (size_t i = 0; i < count; ++i) residual[i] -= step * product[i];
    const double next = dot(residual, residual);
    for (size_t i = 0; i < count; ++i) along[i] = residual[i] + next / norm * along[i];
    norm = next;
  }
  for (size_t i = 0; i < count; ++i) channel[unknown_[i]] = static_cast<float>(values[i]);
}

/// Pixels that are removed for variant `index`: the most important of share index / 2, or the least.
std::vector<uint8_t> removed_pixels(const RemovalOrder& order, int64_t area, int64_t index, double share) {
  const int64_t count = order.units_of(share);
  std::vector<uint8_t> removed(static_cast<size_t>(area));
  for (int64_t pixel = 0; pixel < area; ++pixel) {
    const bool gone = index % 2 == 0 ? order.among_first(pixel, count) : order.among_last(pixel, count);
    removed[static_cast<size_t>(pixel)] = gone ? 1 : 0;
  }
  return removed;
}

}  // namespace

Tensor imputed_pixels(const Tensor& pixels, const std::vector<uint8_t>& removed) {
  check(pixels.rank() == 4 && pixels.size(0) == 1, "road: expected the pixels of one picture, got ", pixels.shape());
  const int64_t height = pixels.size(2), width = pixels.size(3), area = height * width;
  check(static_cast<int64_t>(removed.size()) == area, "road: ", removed.size(), " pixels are marked of ", area);
  check(std::find(removed.begin(), removed.end(), uint8_t{0}) != removed.end(),
        "road: all pixels are removed, nothing is left to fill them from");
  Tensor result = pixels.clone();
  const Imputation imputation(removed, height, width);
  for (int64_t channel = 0; channel < pixels.size(1); ++channel) imputation.solve(result.f32() + channel * area, area);
  return result;
}

Road measure_road(const Subject& subject, const Tensor& pixels, const RemovalOrder& order, const RoadOptions& options) {
  check(!options.shares.empty(), "road: no share of pixels is asked for");
  for (const double share : options.shares)
    check(share > 0.0 && share < 1.0, "road: shares are above 0 and below 1, got ", share);
  const int64_t area = pixels.size(2) * pixels.size(3), count = 2 * static_cast<int64_t>(options.shares.size());
  const std::vector<double> scores =
      score_variants(subject, pixels.shape(), count, options.batch_size, [&](int64_t index, float* variant) {
        const std::vector<uint8_t> removed =
            removed_pixels(order, area, index, options.shares[static_cast<size_t>(index / 2)]);
        const Tensor imputed = imputed_pixels(pixels, removed);
        Rng rng(options.seed, Rng::stream_of("road") + static_cast<uint64_t>(index));
        for (int64_t i = 0; i < pixels.numel(); ++i) {
          const bool gone = removed[static_cast<size_t>(i % area)] != 0;
          variant[i] = imputed.f32()[i] + (gone ? static_cast<float>(options.noise) * rng.normal() : 0.0f);
        }
      });
  Road road{.shares = options.shares};
  for (size_t i = 0; i < options.shares.size(); ++i) {
    road.morf.push_back(scores[2 * i]);
    road.lerf.push_back(scores[2 * i + 1]);
    road.combined += 0.5 * (road.lerf[i] - road.morf[i]) / static_cast<double>(options.shares.size());
  }
  return road;
}

}  // namespace vit
