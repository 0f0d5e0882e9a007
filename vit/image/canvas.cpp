#include "vit/image/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "vit/core/check.h"
#include "vit/image/blur.h"

namespace vit {

namespace {

/// 0..256: 256 is opaque, so that opaque colours arrive unchanged.
unsigned weight_of(float alpha) {
  check(alpha >= 0.0f && alpha <= 1.0f, "draw: expected alpha from 0 to 1, got ", alpha);
  return static_cast<unsigned>(alpha * 256.0f + 0.5f);
}

/// weight 0..65536 for coverage 0..255 and alpha 0..256.
unsigned mixing_weight(uint8_t cover, unsigned alpha) { return (cover + (cover >> 7)) * alpha; }

uint8_t mix(uint8_t below, uint8_t above, unsigned weight) {
  return static_cast<uint8_t>((below * (65536u - weight) + above * weight + 32768u) >> 16);
}

void mix_pixel(uint8_t* pixel, const uint8_t* color, unsigned weight) {
  for (int c = 0; c < 3; ++c) pixel[c] = mix(pixel[c], color[c], weight);
}

int64_t wrapped(int64_t value, int64_t extent) {
  const int64_t rest = value % extent;
  return rest < 0 ? rest + extent : rest;
}

/// The texture [height, width, 3] at a point (its pixels' centres at .5), repeated in all directions.
std::array<uint8_t, 3> sample(const uint8_t* texture, int64_t height, int64_t width, Point at) {
  const float x = at.x - 0.5f, y = at.y - 0.5f;
  const float left = std::floor(x), top = std::floor(y);
  const float right_share = x - left, bottom_share = y - top;
  const int64_t x0 = wrapped(static_cast<int64_t>(left), width), x1 = (x0 + 1) % width;
  const int64_t y0 = wrapped(static_cast<int64_t>(top), height), y1 = (y0 + 1) % height;
  std::array<uint8_t, 3> color{};
  for (int64_t c = 0; c < 3; ++c) {
    const auto value = [&](int64_t py, int64_t px) { return static_cast<float>(texture[(py * width + px) * 3 + c]); };
    const float upper = value(y0, x0) + right_share * (value(y0, x1) - value(y0, x0));
    const float lower = value(y1, x0) + right_share * (value(y1, x1) - value(y1, x0));
    color[static_cast<size_t>(c)] = static_cast<uint8_t>(upper + bottom_share * (lower - upper) + 0.5f);
  }
  return color;
}

}  // namespace

Color palette_color(int64_t index) {
  static constexpr std::array<Color, 10> kColors = {{{31, 105, 190},
                                                     {225, 95, 20},
                                                     {30, 140, 60},
                                                     {200, 30, 45},
                                                     {120, 80, 180},
                                                     {125, 80, 65},
                                                     {215, 90, 170},
                                                     {90, 90, 90},
                                                     {150, 150, 20},
                                                     {15, 160, 180}}};
  return kColors[static_cast<size_t>(wrapped(index, static_cast<int64_t>(kColors.size())))];
}

Canvas::Canvas(Image image) : image_(std::move(image)) { check(image_.defined(), "canvas: an undefined picture"); }

Canvas::Canvas(int64_t height, int64_t width, Color color) : image_(height, width) { clear(color); }

void Canvas::clear(Color color) {
  const uint8_t rgb[3] = {color.r, color.g, color.b};
  uint8_t* pixels = image_.row(0);
  const int64_t count = height() * width();
  for (int64_t i = 0; i < count; ++i) std::memcpy(pixels + 3 * i, rgb, 3);
}

void Canvas::paint(const Mask& mask, Color color, float alpha) {
  const unsigned weight = weight_of(alpha);
  const uint8_t rgb[3] = {color.r, color.g, color.b};
  const PixelRect area = intersection(mask.rect, rect());
  for (int64_t y = area.y0; y < area.y1; ++y) {
    const uint8_t* cover = mask.row(y) - mask.rect.x0;
    uint8_t* row = image_.row(y);
    for (int64_t x = area.x0; x < area.x1; ++x)
      if (cover[x]) mix_pixel(row + 3 * x, rgb, mixing_weight(cover[x], weight));
  }
}

void Canvas::fill(const Rings& rings, Color color, float alpha) { paint(rasterize(rings, rect()), color, alpha); }

void Canvas::fill(const Path& ring, Color color, float alpha) { fill(Rings{ring}, color, alpha); }

void Canvas::stroke(const Path& line, Color color, float width, bool closed, float alpha) {
  fill(stroke_rings(line, width, closed), color, alpha);
}

void Canvas::line(Point from, Point to, Color color, float width, float alpha) {
  stroke({from, to}, color, width, false, alpha);
}

void Canvas::circle(Point center, float radius, Color color, float alpha) {
  fill(ellipse_path(center, radius, radius), color, alpha);
}

void Canvas::ellipse(Point center, float radius_x, float radius_y, float angle, Color color, float alpha) {
  fill(ellipse_path(center, radius_x, radius_y, angle), color, alpha);
}

void Canvas::outline(float x0, float y0, float x1, float y1, Color color, float width, float alpha) {
  const Path outer = rectangle_path(x0, y0, x1, y1);
  const Point upper = outer[0], lower = outer[2];
  if (lower.x - upper.x <= 2 * width || lower.y - upper.y <= 2 * width) return fill(outer, color, alpha);
  fill({outer, reversed(rectangle_path(upper.x + width, upper.y + width, lower.x - width, lower.y - width))}, color,
       alpha);
}

void Canvas::rectangle(float x0, float y0, float x1, float y1, Color color, float alpha) {
  fill(rectangle_path(x0, y0, x1, y1), color, alpha);
}

void Canvas::fill_texture(const Rings& rings, const Image& texture, const Affine& place, float alpha) {
  check(texture.defined(), "fill_texture: an undefined picture");
  const unsigned weight = weight_of(alpha);
  const Affine back = place.inverse();
  const uint8_t* pixels = texture.row(0);
  const int64_t texture_height = texture.height(), texture_width = texture.width();
  const Mask mask = rasterize(rings, rect());
  for (int64_t y = mask.rect.y0; y < mask.rect.y1; ++y) {
    const uint8_t* cover = mask.row(y) - mask.rect.x0;
    uint8_t* row = image_.row(y);
    for (int64_t x = mask.rect.x0; x < mask.rect.x1; ++x) {
      if (!cover[x]) continue;
      const auto color = sample(pixels, texture_height, texture_width,
                                back({static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f}));
      mix_pixel(row + 3 * x, color.data(), mixing_weight(cover[x], weight));
    }
  }
}

void Canvas::blit(const Image& picture, int64_t x, int64_t y, float alpha) {
  check(picture.defined(), "blit: an undefined picture");
  const unsigned weight = weight_of(alpha) << 8;
  const PixelRect area = intersection({x, y, x + picture.width(), y + picture.height()}, rect());
  for (int64_t py = area.y0; py < area.y1; ++py) {
    const uint8_t* from = picture.row(py - y);
    uint8_t* to = image_.row(py);
    for (int64_t px = area.x0; px < area.x1; ++px) mix_pixel(to + 3 * px, from + 3 * (px - x), weight);
  }
}

void Canvas::blur(float sigma) { vit::blur(image_, sigma); }

}  // namespace vit
