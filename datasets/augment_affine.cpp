#include "datasets/augment_affine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>

#include "vit/core/check.h"

namespace datasets {

namespace {

/// Python's round(value, 15): the decimal that is nearest.
double rounded15(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15f", value);
  return std::strtod(text, nullptr);
}

uint8_t to_byte(double value) { return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0)); }

/// Cubic through b and c, which is Pillow's in Geometry.c (a = -1), not the one of its resize (a = -0.5).
double cubic(double a, double b, double c, double d, double at) {
  const double p2 = c - a, p3 = 2 * (a - b) + c - d, p4 = -a + b - c + d;
  return b + at * (p2 + at * (p3 + at * p4));
}

/// std::floor, without the call that it is on processors before SSE4.
int64_t rounded_down(double value) {
  const auto cut = static_cast<int64_t>(value);
  return cut - (value < static_cast<double>(cut) ? 1 : 0);
}

/// The picture that is sampled, its extents looked up once.
struct Source {
  const uint8_t* bytes;
  int64_t height, width;
};

/// Where a sample is taken: offsets of its columns and rows, edge pixels repeated, and the place between them.
template <int kTaps>
struct Taps {
  std::array<int64_t, kTaps> columns, rows;
  double dx, dy;

  /// (x, y) inside the picture.
  Taps(const Source& source, double x, double y) {
    const int64_t left = rounded_down(x - 0.5), top = rounded_down(y - 0.5);
    dx = x - 0.5 - static_cast<double>(left);
    dy = y - 0.5 - static_cast<double>(top);
    for (int64_t i = 0; i < kTaps; ++i) {
      const int64_t offset = i - (kTaps / 2 - 1);
      columns[static_cast<size_t>(i)] = 3 * std::clamp<int64_t>(left + offset, 0, source.width - 1);
      rows[static_cast<size_t>(i)] = 3 * source.width * std::clamp<int64_t>(top + offset, 0, source.height - 1);
    }
  }
};

struct Bilinear {
  static void sample(const Source& source, double x, double y, uint8_t* out) {
    const Taps<2> taps(source, x, y);
    for (int64_t c = 0; c < 3; ++c) {
      const auto row = [&](size_t i) {
        const uint8_t* at = source.bytes + taps.rows[i] + c;
        const double a = at[taps.columns[0]], b = at[taps.columns[1]];
        return a + (b - a) * taps.dx;
      };
      const double above = row(0), below = row(1);
      out[c] = to_byte(above + (below - above) * taps.dy);
    }
  }
};

struct Bicubic {
  static void sample(const Source& source, double x, double y, uint8_t* out) {
    const Taps<4> taps(source, x, y);
    for (int64_t c = 0; c < 3; ++c) {
      const auto row = [&](size_t i) {
        const uint8_t* at = source.bytes + taps.rows[i] + c;
        return cubic(at[taps.columns[0]], at[taps.columns[1]], at[taps.columns[2]], at[taps.columns[3]], taps.dx);
      };
      out[c] = to_byte(cubic(row(0), row(1), row(2), row(3), taps.dy));
    }
  }
};

template <class Sampling>
void sample_all(uint8_t* out, const Source& source, const std::array<double, 6>& matrix, const Colour& fill) {
  const auto height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  for (int64_t row = 0; row < source.height; ++row) {
    for (int64_t column = 0; column < source.width; ++column, out += 3) {
      const double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
      const double from_x = matrix[0] * x + matrix[1] * y + matrix[2];
      const double from_y = matrix[3] * x + matrix[4] * y + matrix[5];
      // Written so that NaN is outside.
      if (from_x >= 0.0 && from_x < width && from_y >= 0.0 && from_y < height)
        Sampling::sample(source, from_x, from_y, out);
      else
        std::copy_n(fill.data(), 3, out);
    }
  }
}

}  // namespace

vit::Image affine(const vit::Image& image, const std::array<double, 6>& matrix, vit::Filter filter,
                  const Colour& fill) {
  vit::check(filter == vit::Filter::kBilinear || filter == vit::Filter::kBicubic,
             "affine: expected the filter bilinear or bicubic, got ", vit::name_of(filter));
  vit::Image result(image.height(), image.width());
  const Source source{image.row(0), image.height(), image.width()};
  if (filter == vit::Filter::kBilinear)
    sample_all<Bilinear>(result.row(0), source, matrix, fill);
  else
    sample_all<Bicubic>(result.row(0), source, matrix, fill);
  return result;
}

vit::Image rotated(const vit::Image& image, double degrees, vit::Filter filter, const Colour& fill) {
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0.0) turn += 360.0;
  const double angle = -(turn * (std::numbers::pi / 180.0));
  const double cosine = rounded15(std::cos(angle)), sine = rounded15(std::sin(angle));
  const double minus_sine = rounded15(-std::sin(angle));
  const double x = static_cast<double>(image.width()) / 2.0, y = static_cast<double>(image.height()) / 2.0;
  const double shift_x = cosine * -x + sine * -y + 0.0 + x, shift_y = minus_sine * -x + cosine * -y + 0.0 + y;
  return affine(image, {cosine, sine, shift_x, minus_sine, cosine, shift_y}, filter, fill);
}

}  // namespace datasets
