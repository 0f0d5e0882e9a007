// Canvas: draws on a picture. Shapes have sub-pixel coordinates and smooth edges (path.h, mask.h); text is in Hershey's
// strokes, from the codec module. What lies outside the picture is cut off. Colours are mixed as they are stored,
// without gamma.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "vit/image/image.h"
#include "vit/image/mask.h"
#include "vit/image/path.h"

namespace vit {

struct Color {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Color&) const = default;
};

inline constexpr Color kBlack{0, 0, 0};
inline constexpr Color kWhite{255, 255, 255};

/// A colour for series, class or track `index`: ten that differ well, then again from the first.
Color palette_color(int64_t index);

enum class HorizontalAlign { left, center, right };
enum class VerticalAlign { top, middle, baseline, bottom };

struct TextStyle {
  /// Height of a capital letter in pixels.
  float height = 9.0f;
  Color color = kBlack;
  bool bold = false;
  /// Which part of the text lies at the point that is given.
  HorizontalAlign horizontal = HorizontalAlign::left;
  VerticalAlign vertical = VerticalAlign::baseline;
  /// Written from bottom to top; the alignments turn with it.
  bool upward = false;
};

struct TextSize {
  int64_t width = 0, ascent = 0, descent = 0;  ///< pixels, above and below the baseline
  int64_t height() const { return ascent + descent; }
};

/// How large a text is. Letters that are not ASCII are drawn, and measured, as '?'.
/// Errors: a height outside 1 to 1000; the module cannot be loaded.
TextSize measure_text(const std::string& text, const TextStyle& style = {});

/// The longest beginning of `text`, with ".." where something is missing, that is at most `width` pixels wide.
std::string fit_text(const std::string& text, int64_t width, const TextStyle& style = {});

class Canvas {
 public:
  /// Draws on the picture's own pixels, which whoever shares them sees. Errors: undefined.
  explicit Canvas(Image image);
  /// A new picture of one colour.
  Canvas(int64_t height, int64_t width, Color color);

  const Image& image() const { return image_; }
  int64_t height() const { return image_.height(); }
  int64_t width() const { return image_.width(); }
  PixelRect rect() const { return {0, 0, width(), height()}; }

  void clear(Color color);

  /// Mixes a colour in, as far as the mask covers a pixel; `alpha` 0 to 1 is its opacity everywhere.
  void paint(const Mask& mask, Color color, float alpha = 1.0f);
  void fill(const Rings& rings, Color color, float alpha = 1.0f);
  void fill(const Path& ring, Color color, float alpha = 1.0f);
  void stroke(const Path& line, Color color, float width = 1.0f, bool closed = false, float alpha = 1.0f);
  void line(Point from, Point to, Color color, float width = 1.0f, float alpha = 1.0f);
  void circle(Point center, float radius, Color color, float alpha = 1.0f);
  void ellipse(Point center, float radius_x, float radius_y, float angle, Color color, float alpha = 1.0f);
  /// The outline lies inside the rectangle.
  void outline(float x0, float y0, float x1, float y1, Color color, float width = 1.0f, float alpha = 1.0f);
  void rectangle(float x0, float y0, float x1, float y1, Color color, float alpha = 1.0f);

  /// Fills with a picture that is repeated in all directions: `place` maps the texture's pixels to the canvas (scaled,
  /// turned, moved); in between, its pixels are mixed linearly. Errors: undefined texture, a map without inverse.
  void fill_texture(const Rings& rings, const Image& texture, const Affine& place, float alpha = 1.0f);

  /// Copies a picture, its upper left pixel to (x, y).
  void blit(const Image& picture, int64_t x, int64_t y, float alpha = 1.0f);

  /// One line of text. Errors: as measure_text.
  void text(Point at, const std::string& text, const TextStyle& style = {});

  /// Blurs everything drawn so far. Errors: as vit::blur.
  void blur(float sigma);

 private:
  Image image_;
};

}  // namespace vit
