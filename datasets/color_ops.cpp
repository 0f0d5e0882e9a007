#include "datasets/color_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "vit/core/check.h"

namespace datasets {

namespace {

using Table = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

/// The bytes of a picture, whose extents are looked up once: in a loop that would cost more than the work.
std::span<uint8_t> bytes_of(vit::Image& image) { return image.pixels.span<uint8_t>(); }

template <class Value>
Table make_table(const Value& value) {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = static_cast<uint8_t>(value(i));
  return table;
}

void look_up(vit::Image& image, const Table& table) {
  for (uint8_t& byte : bytes_of(image)) byte = table[byte];
}

void look_up(vit::Image& image, const std::array<Table, 3>& tables) {
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); i += 3)
    for (size_t c = 0; c < 3; ++c) bytes[i + c] = tables[c][bytes[i + c]];
}

std::array<Histogram, 3> histograms_of(vit::Image& image) {
  std::array<Histogram, 3> histograms{};
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); i += 3)
    for (size_t c = 0; c < 3; ++c) ++histograms[c][bytes[i + c]];
  return histograms;
}

/// Pillow's luma in fixed point, rounded.
int luma(const uint8_t* rgb) { return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16; }

/// Image.blend of two values: what is left of the point is cut off, not rounded; extrapolation is clipped.
uint8_t blended(int degenerate, int value, float factor) {
  const float mix = static_cast<float>(degenerate) + factor * static_cast<float>(value - degenerate);
  return static_cast<uint8_t>(std::clamp(mix, 0.0f, 255.0f));
}

Table contrast_table(const Histogram& histogram) {
  int low = 0, high = 255;
  while (low < 255 && histogram[static_cast<size_t>(low)] == 0) ++low;
  while (high > 0 && histogram[static_cast<size_t>(high)] == 0) --high;
  if (high <= low) return make_table([](int i) { return i; });
  const double scale = 255.0 / (high - low), offset = -low * scale;
  return make_table([&](int i) { return std::clamp(static_cast<int>(i * scale + offset), 0, 255); });
}

Table equalizing_table(const Histogram& histogram) {
  int64_t sum = 0, last = 0, levels = 0;
  for (const int64_t count : histogram) {
    if (count == 0) continue;
    sum += count;
    last = count;
    ++levels;
  }
  const int64_t step = (sum - last) / 255;
  if (levels <= 1 || step == 0) return make_table([](int i) { return i; });
  int64_t below = step / 2;
  Table table;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<uint8_t>(std::min<int64_t>(below / step, 255));
    below += histogram[i];
  }
  return table;
}

struct Hsv {
  uint8_t h, s, v;
};

/// Convert.c, rgb2hsv_row, with its mixture of float and double.
Hsv hsv_of(const uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, static_cast<uint8_t>(most)};
  const auto chroma = static_cast<float>(most - least);
  const float saturation = chroma / static_cast<float>(most);
  const float red = static_cast<float>(most - r) / chroma, green = static_cast<float>(most - g) / chroma,
              blue = static_cast<float>(most - b) / chroma;
  float hue = 0.0f;
  if (r == most)
    hue = blue - green;
  else if (g == most)
    hue = static_cast<float>(2.0 + red - blue);
  else
    hue = static_cast<float>(4.0 + green - red);
  hue = static_cast<float>(std::fmod(hue / 6.0 + 1.0, 1.0));
  return {static_cast<uint8_t>(std::clamp(static_cast<int>(hue * 255.0), 0, 255)),
          static_cast<uint8_t>(std::clamp(static_cast<int>(saturation * 255.0), 0, 255)), static_cast<uint8_t>(most)};
}

/// Convert.c, hsv2rgb.
void rgb_of(const Hsv& hsv, uint8_t* rgb) {
  if (hsv.s == 0) {
    std::fill_n(rgb, 3, hsv.v);
    return;
  }
  const auto sector = static_cast<int>(std::floor(static_cast<float>(hsv.h) * 6.0 / 255.0));
  const auto within = static_cast<float>(static_cast<float>(hsv.h) * 6.0 / 255.0 - static_cast<float>(sector));
  const auto saturation = static_cast<float>(hsv.s / 255.0);
  const auto value = static_cast<float>(hsv.v);
  const auto level = [](double x) { return static_cast<uint8_t>(std::clamp(static_cast<int>(std::round(x)), 0, 255)); };
  const uint8_t p = level(value * (1.0 - saturation));
  const uint8_t q = level(value * (1.0 - saturation * within));
  const uint8_t t = level(value * (1.0 - saturation * (1.0 - within)));
  const uint8_t v = hsv.v;
  const std::array<std::array<uint8_t, 3>, 6> sectors = {
      {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}}};
  std::copy_n(sectors[static_cast<size_t>(sector % 6)].data(), 3, rgb);
}

/// Filter.c, ImagingFilter3x3 with ImageFilter.SMOOTH; the outermost pixels stay.
std::vector<uint8_t> smoothed(vit::Image& image) {
  const int64_t height = image.height(), stride = 3 * image.width();
  const uint8_t* source = bytes_of(image).data();
  std::vector<uint8_t> result(source, source + height * stride);
  constexpr float kEdge = 1.0f / 13.0f, kCentre = 5.0f / 13.0f;
  const auto row_sum = [](const uint8_t* at, float centre) {
    return static_cast<float>(at[-3]) * kEdge + static_cast<float>(at[0]) * centre + static_cast<float>(at[3]) * kEdge;
  };
  for (int64_t y = 1; y < height - 1; ++y) {
    const uint8_t* row = source + y * stride;
    uint8_t* out = result.data() + y * stride;
    for (int64_t i = 3; i < stride - 3; ++i) {
      float sum = 0.5f;
      sum += row_sum(row + stride + i, kEdge);
      sum += row_sum(row + i, kCentre);
      sum += row_sum(row - stride + i, kEdge);
      out[i] = static_cast<uint8_t>(std::clamp(sum, 0.0f, 255.0f));
    }
  }
  return result;
}

}  // namespace

void auto_contrast(vit::Image& image) {
  const std::array<Histogram, 3> histograms = histograms_of(image);
  look_up(image, std::array<Table, 3>{contrast_table(histograms[0]), contrast_table(histograms[1]),
                                      contrast_table(histograms[2])});
}

void equalize(vit::Image& image) {
  const std::array<Histogram, 3> histograms = histograms_of(image);
  look_up(image, std::array<Table, 3>{equalizing_table(histograms[0]), equalizing_table(histograms[1]),
                                      equalizing_table(histograms[2])});
}

void invert(vit::Image& image) {
  look_up(image, make_table([](int i) { return 255 - i; }));
}

void posterize(vit::Image& image, int bits) {
  vit::check(bits >= 0 && bits <= 8, "posterize: expected 0 to 8 bits, got ", bits);
  const int mask = ~((1 << (8 - bits)) - 1);
  look_up(image, make_table([&](int i) { return i & mask; }));
}

void solarize(vit::Image& image, double threshold) {
  look_up(image, make_table([&](int i) { return i < threshold ? i : 255 - i; }));
}

void solarize_add(vit::Image& image, int amount) {
  constexpr int kThreshold = 128;
  look_up(image, make_table([&](int i) { return i < kThreshold ? std::clamp(i + amount, 0, 255) : i; }));
}

void adjust_brightness(vit::Image& image, double factor) {
  look_up(image, make_table([&](int i) { return blended(0, i, static_cast<float>(factor)); }));
}

void adjust_contrast(vit::Image& image, double factor) {
  int64_t sum = 0;
  const std::span<uint8_t> bytes = bytes_of(image);
  const size_t pixels = bytes.size() / 3;
  for (size_t i = 0; i < bytes.size(); i += 3) sum += luma(&bytes[i]);
  const auto mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
  look_up(image, make_table([&](int i) { return blended(mean, i, static_cast<float>(factor)); }));
}

void adjust_color(vit::Image& image, double factor) {
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const int grey = luma(&bytes[i]);
    for (size_t c = 0; c < 3; ++c) bytes[i + c] = blended(grey, bytes[i + c], static_cast<float>(factor));
  }
}

void adjust_sharpness(vit::Image& image, double factor) {
  if (image.height() < 3 || image.width() < 3) return;  // Pillow filters nothing there: both pictures are the same
  const std::vector<uint8_t> degenerate = smoothed(image);
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = blended(degenerate[i], bytes[i], static_cast<float>(factor));
}

void adjust_hue(vit::Image& image, double shift) {
  const auto steps = static_cast<uint8_t>(static_cast<int>(shift * 255.0));  // wraps, as numpy's uint8 does
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    Hsv hsv = hsv_of(&bytes[i]);
    hsv.h = static_cast<uint8_t>(hsv.h + steps);
    rgb_of(hsv, &bytes[i]);
  }
}

void to_grayscale(vit::Image& image) {
  const std::span<uint8_t> bytes = bytes_of(image);
  for (size_t i = 0; i < bytes.size(); i += 3) std::fill_n(&bytes[i], 3, static_cast<uint8_t>(luma(&bytes[i])));
}

}  // namespace datasets
