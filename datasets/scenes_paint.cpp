#include "datasets/scenes_paint.h"

#include <algorithm>
#include <cmath>

#include "datasets/scenes_shapes.h"
#include "vit/image/blur.h"

namespace datasets {

namespace {

using vit::Mask;

/// How much darker the ground is in an object's shadow, and how far the shadow falls, as a share of the side.
constexpr float kShadow = 0.42f, kShadowLength = 0.022f;
/// Strength of the relief that light from the side gives, and of the dark rim.
constexpr float kRelief = 1.1f, kRim = 0.42f;
/// How much darker details are.
constexpr float kDetail = 0.5f;

void cast_shadow(vit::Image& image, const Mask& mask, const PlannedObject& object, const SceneStyle& style) {
  const auto side = static_cast<float>(image.width());
  Mask shadow = vit::blurred(mask, std::clamp(0.09f * object.radius * side, 0.5f, 6.0f));
  const auto dx = static_cast<int64_t>(std::lround(-std::cos(style.light_angle) * kShadowLength * side));
  const auto dy = static_cast<int64_t>(std::lround(-std::sin(style.light_angle) * kShadowLength * side));
  shadow.rect = {shadow.rect.x0 + dx, shadow.rect.y0 + dy, shadow.rect.x1 + dx, shadow.rect.y1 + dy};
  vit::Canvas(image).paint(shadow, vit::kBlack, kShadow);
}

/// Distance from the nearest whole number, 0 to 1: a wave without corners is not needed.
float wave(float value) { return 2.0f * std::abs(value - std::floor(value + 0.5f)); }

float hash_noise(int64_t x, int64_t y) {
  auto bits = static_cast<uint32_t>(x) * 0x9E3779B1u + static_cast<uint32_t>(y) * 0x85EBCA77u;
  bits = (bits ^ (bits >> 15)) * 0x2C1B3C6Du;
  return static_cast<float>((bits ^ (bits >> 13)) & 0xFFFF) / 65535.0f;
}

/// How dark the texture is at a point in periods of the texture: 0 (bright) to 1.
float darkness(SceneTexture texture, float u, float v) {
  switch (texture) {
    case SceneTexture::plain:
      return 0.0f;
    case SceneTexture::stripes:
      return std::clamp(3.0f * wave(u) - 1.0f, 0.0f, 1.0f);
    case SceneTexture::dots:
      return std::clamp(3.0f * (1.1f - std::hypot(wave(u + 0.5f), wave(v + 0.5f)) * 1.4f), 0.0f, 1.0f);
    case SceneTexture::checks:
      return (static_cast<int64_t>(std::floor(u)) + static_cast<int64_t>(std::floor(v))) & 1 ? 1.0f : 0.0f;
    case SceneTexture::grain:
      return hash_noise(static_cast<int64_t>(std::floor(4.0f * u)), static_cast<int64_t>(std::floor(4.0f * v)));
  }
  return 0.0f;
}

/// Brightness of an object's surface, pixel by pixel.
class Surface {
 public:
  Surface(const PlannedObject& object, const SceneStyle& style, const Mask& mask, float side)
      : object_(object),
        relief_(vit::blurred(mask, std::clamp(0.11f * object.radius * side, 0.6f, 5.0f))),
        detail_(vit::rasterize(vit::transformed(scene_shape(object.kind).details, object.placement(side)), mask.rect)),
        light_x_(kRelief * std::cos(style.light_angle) / 255.0f),
        light_y_(kRelief * std::sin(style.light_angle) / 255.0f) {
    vit::Affine from_texture =
        vit::placed({object.center.x * side, object.center.y * side}, object.angle + object.texture_angle,
                    object.radius * object.texture_scale * side, object.radius * object.texture_scale * side);
    to_texture_ = from_texture.inverse();
  }

  float at(int64_t x, int64_t y) const {
    // The blurred mask is a height, about 1/2 at the rim and 1 inside; the light comes from light_angle.
    const uint8_t* here = relief_.row(y) + (x - relief_.rect.x0);
    const int64_t width = relief_.rect.width();
    const float slope_x = static_cast<float>(here[1] - here[-1]),
                slope_y = static_cast<float>(here[width] - here[-width]);
    const float rim = std::clamp(static_cast<float>(here[0]) / 127.5f - 1.0f, 0.0f, 1.0f);
    const vit::Point texture = to_texture_({static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f});
    float light = 1.0f - kRim * (1.0f - rim) - (slope_x * light_x_ + slope_y * light_y_);
    light *= 1.0f - object_.texture_strength * darkness(object_.texture, texture.x, texture.y);
    light *= 1.0f - kDetail * static_cast<float>(detail_.at(x, y)) / 255.0f;
    return std::clamp(light * object_.brightness, 0.2f, 1.3f);
  }

 private:
  const PlannedObject& object_;
  Mask relief_, detail_;
  float light_x_, light_y_;
  vit::Affine to_texture_;
};

}  // namespace

PaintedObject paint_object(vit::Image& image, const PlannedObject& object, const SceneStyle& style, uint8_t number,
                           std::vector<uint8_t>& owners) {
  const int64_t side = image.width();
  const Mask mask = object_mask(object, side);
  PaintedObject painted;
  if (mask.rect.empty()) return painted;
  painted.whole_pixels =
      std::count_if(mask.values.begin(), mask.values.end(), [](uint8_t cover) { return cover >= 128; });
  cast_shadow(image, mask, object, style);

  const Surface surface(object, style, mask, static_cast<float>(side));
  const vit::Color base = rgb_of(object.color);
  const float color[3] = {static_cast<float>(base.r), static_cast<float>(base.g), static_cast<float>(base.b)};
  const vit::PixelRect area = vit::intersection(mask.rect, {0, 0, side, side});
  for (int64_t y = area.y0; y < area.y1; ++y) {
    const uint8_t* covers = mask.row(y) - mask.rect.x0;
    uint8_t* row = image.row(y);
    for (int64_t x = area.x0; x < area.x1; ++x) {
      if (covers[x] == 0) continue;
      const float light = surface.at(x, y), cover = static_cast<float>(covers[x]) / 255.0f;
      for (int64_t c = 0; c < 3; ++c) {
        const auto below = static_cast<float>(row[3 * x + c]);
        row[3 * x + c] = static_cast<uint8_t>(below + cover * (std::min(color[c] * light, 255.0f) - below) + 0.5f);
      }
      if (covers[x] >= 128) owners[static_cast<size_t>(y * side + x)] = number;
    }
  }
  return painted;
}

void count_visible(const std::vector<uint8_t>& owners, int64_t side, std::vector<PaintedObject>& objects) {
  for (PaintedObject& object : objects) object.box = {side, side, 0, 0};
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const uint8_t number = owners[static_cast<size_t>(y * side + x)];
      if (number == kNoOwner) continue;
      PaintedObject& object = objects[number];
      ++object.visible_pixels;
      object.box = {std::min(object.box.x0, x), std::min(object.box.y0, y), std::max(object.box.x1, x + 1),
                    std::max(object.box.y1, y + 1)};
    }
}

SceneObject annotation_of(const PlannedObject& object, const PaintedObject& painted, int64_t id, int64_t depth) {
  SceneObject result{id, object.kind, object.color, object.size, {}, 0.0f, depth};
  result.box = {static_cast<float>(painted.box.x0), static_cast<float>(painted.box.y0),
                static_cast<float>(painted.box.x1), static_cast<float>(painted.box.y1)};
  result.visibility = static_cast<float>(painted.visible_pixels) / static_cast<float>(painted.whole_pixels);
  return result;
}

void rename_owners(std::vector<uint8_t>& owners, const std::vector<uint8_t>& names) {
  for (uint8_t& owner : owners)
    if (owner != kNoOwner) owner = names[owner];
}

void apply_camera(vit::Image& image, const SceneStyle& style, vit::Rng& noise) {
  const int64_t side = image.width();
  const auto extent = static_cast<float>(side);
  vit::blur(image, style.blur * extent);
  const float toward_x = style.light_falloff * std::cos(style.light_angle);
  const float toward_y = style.light_falloff * std::sin(style.light_angle);
  // The sum of two bytes has a standard deviation of 104.5.
  const float grey = style.noise / 104.5f, tint = 0.5f * grey;
  for (int64_t y = 0; y < side; ++y) {
    const float v = (static_cast<float>(y) + 0.5f) / extent - 0.5f;
    uint8_t* row = image.row(y);
    for (int64_t x = 0; x < side; ++x) {
      const float u = (static_cast<float>(x) + 0.5f) / extent - 0.5f;
      const float light = 1.0f + u * toward_x + v * toward_y - 2.0f * style.vignette * (u * u + v * v);
      const uint32_t bits = noise.next_u32();
      const auto byte = [&](int number) { return static_cast<float>((bits >> (8 * number)) & 0xFF); };
      const float common = grey * (byte(0) + byte(1) - 255.0f) + 0.5f;
      const float tints[3] = {tint * (byte(2) - 127.5f), 0.0f, tint * (byte(3) - 127.5f)};
      for (int64_t c = 0; c < 3; ++c) {
        const float value = static_cast<float>(row[3 * x + c]) * light * style.cast[c] + common + tints[c];
        row[3 * x + c] = static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f));
      }
    }
  }
}

}  // namespace datasets
