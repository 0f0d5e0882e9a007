#include "vit/explain/road.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/explain/variants.h"
#include "vit/image/bilinear.h"

namespace vit {

namespace {

constexpr double kBeside = 1.0 / 6.0, kAcross = 1.0 / 12.0;

/// One channel of a picture, or of a coarser copy of it, and which of its pixels are unknown.
struct Plane {
  int64_t height = 0, width = 0;
  std::vector<double> values{};
  std::vector<uint8_t> removed{};

  int64_t area() const { return height * width; }
  size_t at(int64_t y, int64_t x) const { return static_cast<size_t>(y * width + x); }
};

/// The equations of one plane on a grid with a rim of one cell, so that every pixel has eight neighbours in memory.
/// Values [height + 2, width + 2]; those of the rim, and of what is no unknown, are 0 in every product.
class Imputation {
 public:
  explicit Imputation(const Plane& plane)
      : width_(plane.width),
        stride_(plane.width + 2),
        cells_(static_cast<size_t>((plane.height + 2) * (plane.width + 2))) {
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
    for (int64_t pixel = 0; pixel < plane.area(); ++pixel) in_picture[cell_of(pixel)] = 1.0;
    for (int64_t pixel = 0; pixel < plane.area(); ++pixel) {
      if (plane.removed[static_cast<size_t>(pixel)] == 0) continue;
      unknown_.push_back({pixel, cell_of(pixel)});
      diagonal_.push_back(neighbour_sum(in_picture, cell_of(pixel)));
    }
  }

  /// Makes the unknown values, which are a first guess, those that solve the equations, by conjugate gradients. The
  /// matrix is symmetric and, as a known pixel can be reached from every unknown one, positive definite.
  void solve(Plane& plane, double tolerance) const;

 private:
  struct Neighbour {
    int64_t offset = 0;
    double weight = 0.0;
  };
  struct Unknown {
    int64_t pixel = 0;
    size_t cell = 0;
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
  std::vector<Unknown> unknown_{};
  std::vector<double> diagonal_{};
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void Imputation::solve(Plane& plane, double tolerance) const {
  const size_t count = unknown_.size();
  std::vector<double> all(cells_, 0.0);
  double squares = 0.0;
  for (int64_t pixel = 0; pixel < plane.area(); ++pixel) {
    const double value = plane.values[static_cast<size_t>(pixel)];
    all[cell_of(pixel)] = value;
    if (plane.removed[static_cast<size_t>(pixel)] == 0) squares += value * value;
  }
  std::vector<double> values(count), residual(count), product(count), along(count), direction(cells_, 0.0);
  for (size_t i = 0; i < count; ++i) {
    values[i] = all[unknown_[i].cell];
    residual[i] = neighbour_sum(all, unknown_[i].cell) - diagonal_[i] * values[i];
  }
  along = residual;
  double norm = dot(residual, residual);
  const double mean_square = squares / static_cast<double>(plane.area() - static_cast<int64_t>(count));
  const double enough = tolerance * tolerance * static_cast<double>(count) * std::max(mean_square, 1e-12);
  for (size_t round = 0; norm > enough; ++round) {
    check(round < 10 * count + 100, "road: ", count, " equations of imputation did not converge");
    for (size_t i = 0; i < count; ++i) direction[unknown_[i].cell] = along[i];
    for (size_t i = 0; i < count; ++i)
      product[i] = diagonal_[i] * along[i] - neighbour_sum(direction, unknown_[i].cell);
    const double step = norm / dot(along, product);
    for (size_t i = 0; i < count; ++i) values[i] += step * along[i];
    for (size_t i = 0; i < count; ++i) residual[i] -= step * product[i];
    const double next = dot(residual, residual);
    for (size_t i = 0; i < count; ++i) along[i] = residual[i] + next / norm * along[i];
    norm = next;
  }
  for (size_t i = 0; i < count; ++i) plane.values[static_cast<size_t>(unknown_[i].pixel)] = values[i];
}

/// The plane at half the extents: a pixel is known where one of its four is, and is their mean.
Plane halved(const Plane& fine) {
  Plane coarse{.height = (fine.height + 1) / 2, .width = (fine.width + 1) / 2};
  coarse.values.assign(static_cast<size_t>(coarse.area()), 0.0);
  coarse.removed.assign(static_cast<size_t>(coarse.area()), 1);
  std::vector<double> counts(static_cast<size_t>(coarse.area()), 0.0);
  for (int64_t y = 0; y < fine.height; ++y)
    for (int64_t x = 0; x < fine.width; ++x) {
      if (fine.removed[fine.at(y, x)] != 0) continue;
      const size_t to = coarse.at(y / 2, x / 2);
      coarse.values[to] += fine.values[fine.at(y, x)];
      counts[to] += 1.0;
      coarse.removed[to] = 0;
    }
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0.0) coarse.values[i] /= counts[i];
  return coarse;
}

/// The coarse plane between its pixels' centres.
double value_between(const Plane& coarse, int64_t y, int64_t x) {
  const auto place = [](int64_t at, int64_t extent) {
    return std::clamp(0.5 * (static_cast<double>(at) + 0.5) - 0.5, 0.0, static_cast<double>(extent - 1));
  };
  return bilinear(place(y, coarse.height), place(x, coarse.width), coarse.height, coarse.width,
                  [&](int64_t r, int64_t c) { return coarse.values[coarse.at(r, c)]; });
}

/// Fills what is unknown. Conjugate gradients take as many steps as a hole is wide to carry values across it, so they
/// begin with what the same equations say about a picture of half the size.
void fill(Plane& plane, double tolerance) {
  if (std::find(plane.removed.begin(), plane.removed.end(), uint8_t{1}) == plane.removed.end()) return;
  if (std::max(plane.height, plane.width) > 1) {
    Plane coarse = halved(plane);
    fill(coarse, tolerance);
    for (int64_t y = 0; y < plane.height; ++y)
      for (int64_t x = 0; x < plane.width; ++x)
        if (plane.removed[plane.at(y, x)] != 0) plane.values[plane.at(y, x)] = value_between(coarse, y, x);
  }
  Imputation(plane).solve(plane, tolerance);
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

Tensor imputed_pixels(const Tensor& pixels, const std::vector<uint8_t>& removed, double tolerance) {
  check(pixels.rank() == 4 && pixels.size(0) == 1, "road: expected the pixels of one picture, got ", pixels.shape());
  const int64_t height = pixels.size(2), width = pixels.size(3), area = height * width;
  check(static_cast<int64_t>(removed.size()) == area, "road: ", removed.size(), " pixels are marked of ", area);
  check(std::find(removed.begin(), removed.end(), uint8_t{0}) != removed.end(),
        "road: all pixels are removed, nothing is left to fill them from");
  Tensor result = pixels.clone();
  for (int64_t channel = 0; channel < pixels.size(1); ++channel) {
    float* from = result.f32() + channel * area;
    Plane plane{.height = height, .width = width, .values = {from, from + area}, .removed = removed};
    fill(plane, tolerance);
    for (int64_t i = 0; i < area; ++i) from[i] = static_cast<float>(plane.values[static_cast<size_t>(i)]);
  }
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
