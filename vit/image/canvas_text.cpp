// Text of the canvas: measured and drawn by the codec module, placed here.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/canvas.h"
#include "vit/image/codec_module.h"

namespace vit {

namespace {

constexpr float kMinHeight = 1.0f, kMaxHeight = 1000.0f;
constexpr size_t kMaxLetters = 4096;

/// One '?' for every letter that the font does not have.
std::string ascii(const std::string& text) {
  std::string result;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte >= 0x20 && byte < 0x7F)
      result += letter;
    else if ((byte & 0xC0) != 0x80)  // the first byte of a UTF-8 sequence
      result += '?';
  }
  return result;
}

VitkitText text_of(const std::string& letters, const TextStyle& style) {
  check(style.height >= kMinHeight && style.height <= kMaxHeight, "text: expected a height from ", kMinHeight, " to ",
        kMaxHeight, " pixels, got ", style.height);
  check(letters.size() <= kMaxLetters, "text: ", letters.size(), " letters, at most ", kMaxLetters, " are drawn");
  const int thin = std::max(1, static_cast<int>(std::lround(style.height / 12.0f)));
  return {letters.c_str(), style.height, style.bold ? thin + 1 : thin};
}

/// [height, width] -> [width, height]: what runs to the right runs upwards.
Mask turned_upward(const Mask& mask) {
  Mask result;
  result.rect = {0, 0, mask.rect.height(), mask.rect.width()};
  result.values.resize(mask.values.size());
  for (int64_t y = 0; y < mask.rect.height(); ++y)
    for (int64_t x = 0; x < mask.rect.width(); ++x) result.row(mask.rect.width() - 1 - x)[y] = mask.row(y)[x];
  return result;
}

}  // namespace

TextSize measure_text(const std::string& text, const TextStyle& style) {
  const std::string letters = ascii(text);
  const VitkitText module_text = text_of(letters, style);
  VitkitTextExtent extent{};
  char message[256] = "";
  const int failed = detail::codecs().measure_text(&module_text, &extent, message, sizeof(message));
  check(!failed, "text: ", message);
  return {extent.width, extent.ascent, extent.descent};
}

std::string fit_text(const std::string& text, int64_t width, const TextStyle& style) {
  if (measure_text(text, style).width <= width) return text;
  std::string letters = ascii(text);
  while (!letters.empty() && measure_text(letters + "..", style).width > width) letters.pop_back();
  return letters + "..";
}

void Canvas::text(Point at, const std::string& text, const TextStyle& style) {
  const std::string letters = ascii(text);
  if (letters.empty()) return;
  const TextSize size = measure_text(letters, style);
  const VitkitText module_text = text_of(letters, style);
  // A margin for strokes that the font's own measure leaves out.
  const int64_t margin = module_text.thickness + 1;
  Mask mask;
  mask.rect = {0, 0, size.width + 2 * margin, size.height() + 2 * margin};
  mask.values.resize(static_cast<size_t>(mask.rect.width() * mask.rect.height()));
  char message[256] = "";
  const int failed = detail::codecs().draw_text(
      &module_text, static_cast<int32_t>(margin), static_cast<int32_t>(margin + size.ascent), mask.values.data(),
      static_cast<int32_t>(mask.rect.height()), static_cast<int32_t>(mask.rect.width()), message, sizeof(message));
  check(!failed, "text: ", message);

  // How far the text's point lies from the mask's upper left corner, before turning.
  const auto width = static_cast<float>(size.width), ascent = static_cast<float>(size.ascent);
  float along = static_cast<float>(margin), across = static_cast<float>(margin);
  if (style.horizontal == HorizontalAlign::center) along += 0.5f * width;
  if (style.horizontal == HorizontalAlign::right) along += width;
  if (style.vertical == VerticalAlign::middle) across += 0.5f * ascent;
  if (style.vertical == VerticalAlign::baseline) across += ascent;
  if (style.vertical == VerticalAlign::bottom) across += static_cast<float>(size.height());
  check(std::isfinite(at.x) && std::isfinite(at.y) && std::abs(at.x) < 1e6f && std::abs(at.y) < 1e6f,
        "text: expected a point near the picture, got (", at.x, ", ", at.y, ")");
  if (style.upward) {
    along = static_cast<float>(mask.rect.width()) - along;
    std::swap(along, across);
    mask = turned_upward(mask);
  }
  const auto x = static_cast<int64_t>(std::lround(at.x - along)), y = static_cast<int64_t>(std::lround(at.y - across));
  mask.rect = {x, y, x + mask.rect.width(), y + mask.rect.height()};
  paint(mask, style.color);
}

}  // namespace vit
