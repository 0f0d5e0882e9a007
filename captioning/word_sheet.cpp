#include "captioning/word_sheet.h"

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/canvas.h"
#include "vit/image/resize.h"

namespace captioning {

namespace {

constexpr int64_t kGap = 12, kWordRoom = 24, kTitleRoom = 36;
constexpr vit::Color kInk{30, 34, 40}, kBack{246, 247, 249};

/// Scaled so that the longer side is `side`.
vit::Image fitted(const vit::Image& picture, int64_t side) {
  const double scale = static_cast<double>(side) / static_cast<double>(std::max(picture.height(), picture.width()));
  const auto extent = [&](int64_t size) {
    return std::clamp<int64_t>(std::llround(scale * static_cast<double>(size)), 1, side);
  };
  return vit::resize(
      picture, {.height = extent(picture.height()), .width = extent(picture.width()), .filter = vit::Filter::kBicubic});
}

void write_centred(vit::Canvas& canvas, const std::string& text, double x, double baseline, int64_t width,
                   const vit::TextStyle& style) {
  canvas.text({static_cast<float>(x), static_cast<float>(baseline)}, vit::fit_text(text, width, style), style);
}

}  // namespace

vit::Image draw_word(const vit::Image& picture, const WordMap& word) {
  vit::check(picture.defined(), "draw_word: there is no picture");
  // Where it did not look at all a third of the light is left; where it looked most all of it, and some white.
  constexpr double kDark = 0.33, kWhite = 0.3;
  vit::Tensor light = vit::cells_on_picture(word.cells, word.window, {picture.height(), picture.width()});
  vit::scale_to_largest(light);
  vit::Image drawn(picture.height(), picture.width());
  const uint8_t* before = picture.pixels.data<uint8_t>();
  auto* after = drawn.pixels.data<uint8_t>();
  for (int64_t i = 0; i < light.numel(); ++i) {
    const double share = light.f32()[i];
    for (int64_t c = 3 * i; c < 3 * i + 3; ++c) {
      const double lit = before[c] * (kDark + (1.0 - kDark) * share);
      after[c] = static_cast<uint8_t>(std::lround(lit + kWhite * share * (255.0 - lit)));
    }
  }
  return drawn;
}

WordSheet draw_word_sheet(const vit::Image& picture, const std::vector<WordMap>& words, const std::string& title,
                          const WordSheetOptions& options) {
  vit::check(picture.defined(), "draw_word_sheet: there is no picture");
  vit::check(options.columns >= 1 && options.side >= 32 && options.side <= 2048,
             "draw_word_sheet: expected at least one column and a side from 32 to 2048, got ", options.columns, " and ",
             options.side);
  const vit::Image panel = fitted(picture, options.side);
  const auto count = static_cast<int64_t>(words.size()) + 1;
  const int64_t columns = std::min(options.columns, count), rows = (count + columns - 1) / columns;
  const int64_t step_x = panel.width() + kGap, step_y = panel.height() + kWordRoom + kGap;
  vit::Canvas canvas(kTitleRoom + rows * step_y, columns * step_x + kGap, kBack);
  write_centred(canvas, title, 0.5 * static_cast<double>(canvas.width()), 24.0, canvas.width() - 2 * kGap,
                {.height = 11.0f, .color = kInk, .horizontal = vit::HorizontalAlign::center});
  WordSheet sheet;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t x = kGap + i % columns * step_x, y = kTitleRoom + kWordRoom + i / columns * step_y;
    canvas.blit(i == 0 ? panel : draw_word(panel, words[static_cast<size_t>(i - 1)]), x, y);
    sheet.boxes.push_back({x, y, x + panel.width(), y + panel.height()});
    if (i > 0)
      write_centred(canvas, words[static_cast<size_t>(i - 1)].word,
                    static_cast<double>(x) + 0.5 * static_cast<double>(panel.width()), static_cast<double>(y - 7),
                    panel.width() + kGap - 4,
                    {.height = 10.0f, .color = kInk, .horizontal = vit::HorizontalAlign::center});
  }
  sheet.image = canvas.image();
  return sheet;
}

}  // namespace captioning
