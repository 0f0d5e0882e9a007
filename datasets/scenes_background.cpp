// Backgrounds: ground, texture and clutter.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "datasets/scenes_noise.h"
#include "datasets/scenes_paint.h"

namespace datasets {

namespace {

using vit::Canvas;
using vit::Color;
using vit::Path;
using vit::Rng;

constexpr float kPi = std::numbers::pi_v<float>;
/// How far (in RGB, 0 to 441) the ground's colours stay from the main object's, and how often that is tried.
constexpr float kContrast = 130.0f;
constexpr int kTries = 12;

/// hue 0 to 1, saturation and value 0 to 1.
Color hsv(float hue, float saturation, float value) {
  const auto channel = [&](float shift) {
    const float position = std::fmod(hue + shift, 1.0f) * 6.0f;
    const float share = std::clamp(std::abs(position - 3.0f) - 1.0f, 0.0f, 1.0f);
    return static_cast<uint8_t>(255.0f * value * (1.0f - saturation * (1.0f - share)) + 0.5f);
  };
  return {channel(0.0f), channel(2.0f / 3.0f), channel(1.0f / 3.0f)};
}

float distance(Color a, Color b) {
  const auto square = [](int difference) { return static_cast<float>(difference * difference); };
  return std::sqrt(square(a.r - b.r) + square(a.g - b.g) + square(a.b - b.b));
}

/// Dull, and different from `avoid` if that can be had.
Color ground_color(Rng& rng, Color avoid) {
  Color best, color;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    color = hsv(rng.uniform(), between(rng, 0.05f, 0.55f), between(rng, 0.2f, 0.9f));
    if (distance(color, avoid) >= kContrast) return color;
    if (attempt == 0 || distance(color, avoid) > distance(best, avoid)) best = color;
  }
  return best;
}

void paint_ground(vit::Image& image, Rng& rng, Color avoid) {
  const Color from = ground_color(rng, avoid), to = ground_color(rng, avoid);
  const float angle = between(rng, -kPi, kPi), dx = 0.7f * std::cos(angle), dy = 0.7f * std::sin(angle);
  SmoothNoise coarse(rng, 2 + pick(rng, 3)), fine(rng, 8 + pick(rng, 18));
  const float coarse_weight = between(rng, 6.0f, 26.0f), fine_weight = between(rng, 3.0f, 18.0f);
  const int64_t side = image.width();
  std::vector<float> texture(static_cast<size_t>(side));
  for (int64_t y = 0; y < side; ++y) {
    std::fill(texture.begin(), texture.end(), 0.0f);
    coarse.add_row(y, side, coarse_weight, texture.data());
    fine.add_row(y, side, fine_weight, texture.data());
    uint8_t* row = image.row(y);
    for (int64_t x = 0; x < side; ++x) {
      const float u = (static_cast<float>(x) + 0.5f) / static_cast<float>(side) - 0.5f;
      const float v = (static_cast<float>(y) + 0.5f) / static_cast<float>(side) - 0.5f;
      const float share = std::clamp(0.5f + u * dx + v * dy, 0.0f, 1.0f),
                  light = texture[static_cast<size_t>(x)] + 0.5f;
      const auto mixed = [&](uint8_t a, uint8_t b) {
        const float value = static_cast<float>(a) + share * static_cast<float>(b - a) + light;
        return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f));
      };
      row[3 * x] = mixed(from.r, to.r);
      row[3 * x + 1] = mixed(from.g, to.g);
      row[3 * x + 2] = mixed(from.b, to.b);
    }
  }
}

/// An irregular closed shape of 3 to 7 corners.
Path blob(Rng& rng, vit::Point center, float radius) {
  const int64_t corners = 3 + pick(rng, 5);
  Path path;
  for (int64_t i = 0; i < corners; ++i) {
    const float angle = 2.0f * kPi * (static_cast<float>(i) + between(rng, -0.3f, 0.3f)) / static_cast<float>(corners);
    const float reach = radius * between(rng, 0.4f, 1.0f);
    path.push_back({center.x + reach * std::cos(angle), center.y + reach * std::sin(angle)});
  }
  return path;
}

void paint_clutter_item(Canvas& canvas, Rng& rng) {
  const auto side = static_cast<float>(canvas.width());
  const Color color = hsv(rng.uniform(), between(rng, 0.0f, 0.65f), between(rng, 0.15f, 0.95f));
  const float alpha = between(rng, 0.2f, 0.65f), size = between(rng, 0.03f, 0.2f) * side;
  const vit::Point center{between(rng, 0.0f, side), between(rng, 0.0f, side)};
  const float angle = between(rng, -kPi, kPi), width = between(rng, 0.008f, 0.03f) * side;
  switch (pick(rng, 5)) {
    case 0: {  // a long line
      const float dx = 4.0f * size * std::cos(angle), dy = 4.0f * size * std::sin(angle);
      canvas.line({center.x - dx, center.y - dy}, {center.x + dx, center.y + dy}, color, width, alpha);
      break;
    }
    case 1:  // a disc
      canvas.ellipse(center, size * 0.6f, size * between(rng, 0.3f, 0.6f), angle, color, alpha);
      break;
    case 2:  // a curved line
      canvas.stroke(vit::arc_path(center, 2.0f * size, angle, angle + between(rng, 0.6f, 2.2f), 10), color, width,
                    false, alpha);
      break;
    case 3:  // a board
      canvas.fill(vit::transformed(vit::rectangle_path(-1.0f, -1.0f, 1.0f, 1.0f),
                                   vit::placed(center, angle, size * between(rng, 0.6f, 2.0f), size * 0.4f)),
                  color, alpha);
      break;
    default:
      canvas.fill(blob(rng, center, size), color, alpha);
  }
}

}  // namespace

SmoothNoise::SmoothNoise(Rng& rng, int64_t cells)
    : points_(static_cast<size_t>(cells) + 1), values_(points_ * points_), mixed_(points_) {
  for (float& value : values_) value = between(rng, -1.0f, 1.0f);
}

void SmoothNoise::add_row(int64_t y, int64_t side, float weight, float* row) {
  const auto cells = static_cast<float>(points_ - 1);
  const float step = cells / static_cast<float>(side);
  const auto smooth = [](float share) { return share * share * (3.0f - 2.0f * share); };
  const float at = (static_cast<float>(y) + 0.5f) * step;
  const auto upper = static_cast<size_t>(at);
  const float below = smooth(at - static_cast<float>(upper));
  for (size_t i = 0; i < points_; ++i) {
    const float top = values_[upper * points_ + i], bottom = values_[(upper + 1) * points_ + i];
    mixed_[i] = weight * (top + below * (bottom - top));
  }
  for (int64_t x = 0; x < side; ++x) {
    const float across = (static_cast<float>(x) + 0.5f) * step;
    const auto left = static_cast<size_t>(across);
    row[x] += mixed_[left] + smooth(across - static_cast<float>(left)) * (mixed_[left + 1] - mixed_[left]);
  }
}

vit::Image paint_background(Rng& rng, int64_t side, Color avoid) {
  vit::Image image(side, side);
  paint_ground(image, rng, avoid);
  Canvas canvas(image);
  const int64_t items = 5 + pick(rng, 12);
  for (int64_t i = 0; i < items; ++i) paint_clutter_item(canvas, rng);
  return image;
}

}  // namespace datasets
