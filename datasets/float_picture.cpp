#include "datasets/float_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace datasets {

namespace {

/// exp(-i^2 / (2 sigma^2)) for i = 0..count-1.
std::vector<double> half_gaussian(int64_t count, double sigma) {
  std::vector<double> weights;
  for (int64_t i = 0; i < count; ++i) {
    const double distance = static_cast<double>(i) / sigma;
    weights.push_back(std::exp(-0.5 * distance * distance));
  }
  return weights;
}

std::vector<float> over_sum(const std::vector<double>& weights, double sum) {
  std::vector<float> result;
  for (const double weight : weights) result.push_back(static_cast<float>(weight / sum));
  return result;
}

/// to[i] += weight * (a[i] + b[i])
void add_pair(float* to, const float* a, const float* b, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += weight * (a[i] + b[i]);
}

void add_weighted(float* to, const float* from, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
}

void scale_into(float* to, const float* from, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = weight * from[i];
}

/// `row` [width, channels] with `margin` samples at both ends, into `to`.
void pad_row(const float* row, int64_t width, int64_t channels, int64_t margin, Edge edge, float* to) {
  std::copy_n(row, width * channels, to + margin * channels);
  for (int64_t i = 0; i < margin; ++i) {
    std::copy_n(row + index_inside(i - margin, width, edge) * channels, channels, to + i * channels);
    std::copy_n(row + index_inside(width + i, width, edge) * channels, channels, to + (margin + width + i) * channels);
  }
}

/// weights[0] is the middle's, weights[k] that of both neighbours at distance k.
void blur_rows(FloatPicture& picture, const std::vector<float>& weights, Edge edge) {
  const auto radius = static_cast<int64_t>(weights.size()) - 1;
  const int64_t channels = picture.channels, count = picture.row_size();
  std::vector<float> wide(static_cast<size_t>(count + 2 * radius * channels));
  for (int64_t y = 0; y < picture.height; ++y) {
    pad_row(picture.row(y), picture.width, channels, radius, edge, wide.data());
    const float* middle = wide.data() + radius * channels;
    scale_into(picture.row(y), middle, weights[0], count);
    for (int64_t k = 1; k <= radius; ++k)
      add_pair(picture.row(y), middle - k * channels, middle + k * channels, weights[static_cast<size_t>(k)], count);
  }
}

void blur_columns(FloatPicture& picture, const std::vector<float>& weights, Edge edge) {
  const auto radius = static_cast<int64_t>(weights.size()) - 1;
  const FloatPicture source = picture;
  for (int64_t y = 0; y < picture.height; ++y) {
    scale_into(picture.row(y), source.row(y), weights[0], picture.row_size());
    for (int64_t k = 1; k <= radius; ++k) {
      const float* above = source.row(index_inside(y - k, picture.height, edge));
      const float* below = source.row(index_inside(y + k, picture.height, edge));
      add_pair(picture.row(y), above, below, weights[static_cast<size_t>(k)], picture.row_size());
    }
  }
}

/// Where the samples of a magnified axis come from: between `first` and the next sample.
struct AxisSource {
  int64_t first = 0;
  float share = 0.0f;  ///< of the next one
};

std::vector<AxisSource> zoomed_axis(int64_t extent, double factor) {
  const auto kept = static_cast<int64_t>(std::ceil(static_cast<double>(extent) / factor));
  const int64_t corner = (extent - kept) / 2;
  const auto magnified = std::max<int64_t>(extent, std::llround(static_cast<double>(kept) * factor));
  const int64_t trimmed = (magnified - extent) / 2;
  const double step = magnified > 1 ? static_cast<double>(kept - 1) / static_cast<double>(magnified - 1) : 0.0;
  std::vector<AxisSource> axis;
  for (int64_t i = 0; i < extent; ++i) {
    const double at = static_cast<double>(i + trimmed) * step;
    const auto first = std::clamp<int64_t>(static_cast<int64_t>(at), 0, std::max<int64_t>(kept - 2, 0));
    const double share = kept > 1 ? at - static_cast<double>(first) : 0.0;
    axis.push_back({corner + first, static_cast<float>(share)});
  }
  return axis;
}

/// A torus of samples with the values of a fractal.
class Plasma {
 public:
  Plasma(int64_t side, double decay, vit::Rng& rng)
      : side_(side), rng_(rng), values_(static_cast<size_t>(side * side)) {
    for (int64_t step = side; step >= 2; step /= 2) {
      fill(step);
      wibble_ /= decay;
    }
  }
  double at(int64_t y, int64_t x) const { return values_[index(y, x)]; }

 private:
  /// The side is a power of two: a mask takes the remainder, of negative numbers too.
  size_t index(int64_t y, int64_t x) const {
    return static_cast<size_t>((y & (side_ - 1)) * side_ + (x & (side_ - 1)));
  }
  double moved(double sum) { return sum / 4.0 + wibble_ * wibble_ * (2.0 * rng_.uniform() - 1.0); }
  /// The four samples at `distance` to the left, right, top and bottom.
  double cross(int64_t y, int64_t x, int64_t distance) const {
    return at(y, x - distance) + at(y, x + distance) + at(y - distance, x) + at(y + distance, x);
  }
  /// The middles of the squares of a step, then those of their edges.
  void fill(int64_t step) {
    const int64_t half = step / 2;
    for (int64_t y = 0; y < side_; y += step)
      for (int64_t x = 0; x < side_; x += step)
        values_[index(y + half, x + half)] =
            moved(at(y, x) + at(y, x + step) + at(y + step, x) + at(y + step, x + step));
    for (int64_t y = 0; y < side_; y += step)
      for (int64_t x = 0; x < side_; x += step) {
        values_[index(y, x + half)] = moved(cross(y, x + half, half));
        values_[index(y + half, x)] = moved(cross(y + half, x, half));
      }
  }

  int64_t side_;
  vit::Rng& rng_;
  std::vector<double> values_;
  double wibble_ = 100.0;  // the caller divides the scale out
};

}  // namespace

FloatPicture floats_of(const vit::Image& image) {
  FloatPicture picture(image.height(), image.width(), 3);
  const uint8_t* from = image.row(0);
  for (float& value : picture.values) value = static_cast<float>(*from++) / 255.0f;
  return picture;
}

vit::Image image_of(const FloatPicture& picture) {
  vit::Image image(picture.height, picture.width);
  uint8_t* to = image.row(0);
  for (const float value : picture.values) *to++ = static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f);
  return image;
}

int64_t index_inside(int64_t index, int64_t extent, Edge edge) {
  if (index >= 0 && index < extent) return index;
  if (edge == Edge::nearest) return std::clamp<int64_t>(index, 0, extent - 1);
  if (extent == 1) return 0;
  const int64_t period = edge == Edge::reflect ? 2 * extent : 2 * (extent - 1);
  const int64_t phase = (index % period + period) % period;
  if (phase < extent) return phase;
  return edge == Edge::reflect ? period - 1 - phase : period - phase;
}

FloatPicture padded(const FloatPicture& picture, int64_t margin, Edge edge) {
  FloatPicture result(picture.height + 2 * margin, picture.width + 2 * margin, picture.channels);
  for (int64_t y = 0; y < result.height; ++y) {
    const float* row = picture.row(index_inside(y - margin, picture.height, edge));
    pad_row(row, picture.width, picture.channels, margin, edge, result.row(y));
  }
  return result;
}

void gaussian_blur(FloatPicture& picture, double sigma, double truncate, Edge edge) {
  const auto radius = static_cast<int64_t>(truncate * sigma + 0.5);
  if (radius < 1) return;
  const std::vector<double> exact = half_gaussian(radius + 1, sigma);
  double sum = -exact[0];
  for (const double weight : exact) sum += 2.0 * weight;
  const std::vector<float> weights = over_sum(exact, sum);
  blur_rows(picture, weights, edge);
  blur_columns(picture, weights, edge);
}

FloatPicture motion_blurred(const FloatPicture& picture, double radius, double sigma, double degrees) {
  const auto reach = 2 * static_cast<int64_t>(std::ceil(radius));
  const std::vector<double> exact = half_gaussian(reach + 1, sigma);
  double sum = 0.0;
  for (const double weight : exact) sum += weight;
  const std::vector<float> weights = over_sum(exact, sum);
  const FloatPicture wide = padded(picture, reach, Edge::nearest);
  const double angle = degrees * std::numbers::pi / 180.0;
  std::vector<std::array<int64_t, 2>> steps;
  for (int64_t i = 0; i <= reach; ++i) {
    const auto distance = static_cast<double>(i);
    steps.push_back({static_cast<int64_t>(std::ceil(distance * std::sin(angle) - 0.5)),
                     static_cast<int64_t>(std::ceil(distance * std::cos(angle) - 0.5))});
  }
  FloatPicture result(picture.height, picture.width, picture.channels);
  for (int64_t y = 0; y < picture.height; ++y)
    for (size_t i = 0; i < steps.size(); ++i) {
      const float* from = wide.row(y + reach + steps[i][0]) + (reach + steps[i][1]) * picture.channels;
      add_weighted(result.row(y), from, weights[i], picture.row_size());
    }
  return result;
}

FloatPicture zoomed(const FloatPicture& picture, double factor) {
  const std::vector<AxisSource> rows = zoomed_axis(picture.height, factor),
                                columns = zoomed_axis(picture.width, factor);
  FloatPicture result(picture.height, picture.width, picture.channels);
  const int64_t channels = picture.channels;
  std::vector<float> mixed(static_cast<size_t>(picture.row_size()));
  for (int64_t y = 0; y < picture.height; ++y) {
    const AxisSource& from = rows[static_cast<size_t>(y)];
    const float* above = picture.row(from.first);
    const float* below = picture.row(std::min(from.first + 1, picture.height - 1));
    for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = above[i] + from.share * (below[i] - above[i]);
    float* to = result.row(y);
    for (const AxisSource& column : columns) {
      const float* left = mixed.data() + column.first * channels;
      const int64_t next = column.first + 1 < picture.width ? channels : 0;
      for (int64_t c = 0; c < channels; ++c) *to++ = left[c] + column.share * (left[c + next] - left[c]);
    }
  }
  return result;
}

FloatPicture plasma(int64_t height, int64_t width, double decay, vit::Rng& rng) {
  int64_t side = 2;
  while (side < std::max(height, width)) side *= 2;
  const Plasma field(side, decay, rng);
  double low = field.at(0, 0), high = low;
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      low = std::min(low, field.at(y, x));
      high = std::max(high, field.at(y, x));
    }
  const double range = high > low ? high - low : 1.0;
  FloatPicture result(height, width, 1);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) result.row(y)[x] = static_cast<float>((field.at(y, x) - low) / range);
  return result;
}

}  // namespace datasets
