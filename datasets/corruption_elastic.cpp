// Elastic transform: a random affine map, then a smooth random displacement of every pixel.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "datasets/augment_random.h"
#include "datasets/corruption.h"
#include "datasets/float_picture.h"

namespace datasets {

namespace {

struct Elastic {
  double amplitude, sigma;  // of the displacement and of its smoothing, pixels
  double corner;            // how far corners of the affine map move at most, pixels
};
constexpr CorruptionTable<Elastic> kElastic = {{{{{244 * 2.0, 244 * 0.7, 244 * 0.1},
                                                  {244 * 2.0, 244 * 0.08, 244 * 0.2},
                                                  {244 * 0.05, 244 * 0.01, 244 * 0.02},
                                                  {244 * 0.07, 244 * 0.01, 244 * 0.02},
                                                  {244 * 0.12, 244 * 0.01, 244 * 0.02}}},
                                                {{{0, 0, 64 * 0.08},
                                                  {64 * 0.05, 64 * 0.3, 64 * 0.06},
                                                  {64 * 0.1, 64 * 0.08, 64 * 0.06},
                                                  {64 * 0.1, 64 * 0.03, 64 * 0.03},
                                                  {64 * 0.16, 64 * 0.03, 64 * 0.02}}},
                                                {{{0, 0, 32 * 0.08},
                                                  {32 * 0.05, 32 * 0.2, 32 * 0.07},
                                                  {32 * 0.08, 32 * 0.06, 32 * 0.06},
                                                  {32 * 0.1, 32 * 0.04, 32 * 0.05},
                                                  {32 * 0.1, 32 * 0.03, 32 * 0.03}}}}};

/// The pixel at (x, y), which may lie outside, mixed linearly from its neighbours.
void sample(const FloatPicture& picture, double x, double y, Edge edge, float* rgb) {
  const double left = std::floor(x), top = std::floor(y);
  const auto across = static_cast<float>(x - left), down = static_cast<float>(y - top);
  const auto column = static_cast<int64_t>(left), row = static_cast<int64_t>(top);
  const float* above = picture.row(index_inside(row, picture.height, edge));
  const float* below = picture.row(index_inside(row + 1, picture.height, edge));
  const int64_t here = 3 * index_inside(column, picture.width, edge);
  const int64_t next = 3 * index_inside(column + 1, picture.width, edge);
  for (int64_t c = 0; c < 3; ++c) {
    const float upper = above[here + c] + across * (above[next + c] - above[here + c]);
    const float lower = below[here + c] + across * (below[next + c] - below[here + c]);
    rgb[c] = upper + down * (lower - upper);
  }
}

/// (x, y) -> (a x + b y + tx, c x + d y + ty)
struct Map {
  double a = 1.0, b = 0.0, c = 0.0, d = 1.0, tx = 0.0, ty = 0.0;
};

/// Where the pixels of the result come from when three corners of a square around the middle move at random. The map is
/// the identity where the picture has no such square, or where it would fold up.
Map random_affine(int64_t height, int64_t width, double corner, vit::Rng& rng) {
  std::array<double, 6> moves{};
  for (double& move : moves) move = random_between(rng, -corner, corner);
  const auto square = static_cast<double>(std::min(height, width) / 3);
  const auto x = static_cast<double>(width / 2), y = static_cast<double>(height / 2);
  if (square < 1.0) return {};
  // From the corners (+, +), (+, -), (-, -): the first edge is upwards, the second to the left, each 2 * square long.
  const double side = 2.0 * square;
  const double a = 1.0 + (moves[2] - moves[4]) / side, c = (moves[3] - moves[5]) / side;
  const double b = (moves[0] - moves[2]) / side, d = 1.0 + (moves[1] - moves[3]) / side;
  const double tx = x + square + moves[0] - a * (x + square) - b * (y + square);
  const double ty = y + square + moves[1] - c * (x + square) - d * (y + square);
  const double determinant = a * d - b * c;
  constexpr double kFolded = 1e-3;
  if (std::abs(determinant) < kFolded) return {};
  return {d / determinant,
          -b / determinant,
          -c / determinant,
          a / determinant,
          (b * ty - d * tx) / determinant,
          (c * tx - a * ty) / determinant};
}

FloatPicture warped(const FloatPicture& picture, const Map& map) {
  FloatPicture result(picture.height, picture.width, 3);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      const auto u = static_cast<double>(x), v = static_cast<double>(y);
      sample(picture, map.a * u + map.b * v + map.tx, map.c * u + map.d * v + map.ty, Edge::reflect_101,
             result.row(y) + 3 * x);
    }
  return result;
}

/// Waves of `extent` samples that are even at both ends (the discrete cosine transform's), orthonormal, as far as a
/// Gaussian of `sigma` leaves more than a millionth of them; [waves, extent], and what it leaves.
struct Waves {
  int64_t count = 0, extent = 0;
  std::vector<float> values{};
  std::vector<float> left{};

  Waves(int64_t samples, double sigma) : extent(samples) {
    const auto length = static_cast<double>(samples);
    for (; count < samples; ++count) {
      const double frequency = std::numbers::pi * static_cast<double>(count) / length;
      const double response = std::exp(-0.5 * frequency * frequency * sigma * sigma);
      if (response < 1e-6) return;
      left.push_back(static_cast<float>(response));
      const double scale = std::sqrt((count == 0 ? 1.0 : 2.0) / length);
      for (int64_t i = 0; i < samples; ++i)
        values.push_back(static_cast<float>(scale * std::cos(frequency * (static_cast<double>(i) + 0.5))));
    }
  }
  const float* wave(int64_t k) const { return values.data() + k * extent; }
};

/// to [count] += factor * from
void add_multiple(float* to, const float* from, float factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

/// In place: a Gaussian at Edge::reflect. A wide one leaves few waves, and is taken in them.
void smooth_widely(FloatPicture& field, double sigma) {
  const Waves down(field.height, sigma), across(field.width, sigma);
  // [down.count, width], then [down.count, across.count]: what the field has of the waves.
  FloatPicture columns(down.count, field.width, 1);
  for (int64_t k = 0; k < down.count; ++k)
    for (int64_t y = 0; y < field.height; ++y)
      add_multiple(columns.row(k), field.row(y), down.wave(k)[y] * down.left[static_cast<size_t>(k)], field.width);
  FloatPicture smoothed(down.count, field.width, 1);
  for (int64_t k = 0; k < down.count; ++k)
    for (int64_t j = 0; j < across.count; ++j) {
      double amount = 0.0;
      for (int64_t x = 0; x < field.width; ++x) amount += columns.row(k)[x] * across.wave(j)[x];
      add_multiple(smoothed.row(k), across.wave(j), static_cast<float>(amount * across.left[static_cast<size_t>(j)]),
                   field.width);
    }
  std::fill(field.values.begin(), field.values.end(), 0.0f);
  for (int64_t y = 0; y < field.height; ++y)
    for (int64_t k = 0; k < down.count; ++k) add_multiple(field.row(y), smoothed.row(k), down.wave(k)[y], field.width);
}

/// Displacements in pixels along one axis, [height, width, 1].
FloatPicture displacement(int64_t height, int64_t width, const Elastic& elastic, vit::Rng& rng) {
  FloatPicture field(height, width, 1);
  for (float& value : field.values) value = 2.0f * rng.uniform() - 1.0f;
  constexpr double kWide = 8.0;
  if (elastic.sigma > kWide)
    smooth_widely(field, elastic.sigma);
  else
    gaussian_blur(field, elastic.sigma, /*truncate=*/3.0, Edge::reflect);
  for (float& value : field.values) value *= static_cast<float>(elastic.amplitude);
  return field;
}

vit::Image elastic_transform(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Elastic& elastic = level.of(kElastic);
  const FloatPicture picture =
      warped(floats_of(image), random_affine(image.height(), image.width(), elastic.corner, rng));
  if (elastic.amplitude <= 0.0) return image_of(picture);
  const FloatPicture across = displacement(picture.height, picture.width, elastic, rng);
  const FloatPicture down = displacement(picture.height, picture.width, elastic, rng);
  FloatPicture result(picture.height, picture.width, 3);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      sample(picture, static_cast<double>(x) + across.row(y)[x], static_cast<double>(y) + down.row(y)[x], Edge::reflect,
             result.row(y) + 3 * x);
  return image_of(result);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("elastic_transform", .position = 12, .group = "digital",
                           .summary = "stretched and squeezed in small regions",
                           .source = "Hendrycks, Dietterich 2019, section 3.1; Simard, Steinkraus, Platt 2003",
                           .is_random = true, .apply = elastic_transform);

}  // namespace datasets
