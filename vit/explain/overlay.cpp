#include "vit/explain/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "vit/core/check.h"
#include "vit/explain/figure_text.h"
#include "vit/image/color_map.h"
#include "vit/image/plot_axes.h"
#include "vit/image/resize.h"

namespace vit {

namespace {

using detail::kInk;
using detail::kPaper;

constexpr int64_t kMinSide = 64, kMaxSide = 4096;
constexpr int64_t kMargin = 12, kGap = 12, kBarWidth = 14, kTickRoom = 8, kUnitRoom = 20, kLine = 18, kTitleLine = 22;
constexpr int64_t kLeastTextWidth = 420;
constexpr TextStyle kTitleText{.height = 11.0f, .color = kInk, .vertical = VerticalAlign::top};
constexpr TextStyle kLineText{.height = 9.0f, .color = kInk, .vertical = VerticalAlign::top};
constexpr TextStyle kNumberText{.height = 8.0f, .color = kInk, .vertical = VerticalAlign::middle};

void check_map(const Image& picture, const Tensor& map, double opacity) {
  check(picture.defined(), "draw_overlay: there is no picture");
  check(map.defined() && map.rank() == 2 && map.dtype() == DType::f32 && map.numel() > 0,
        "draw_overlay: expected a map f32 [rows, columns], got ",
        map.defined() ? str(name_of(map.dtype()), " ", map.shape()) : "nothing");
  check(opacity >= 0.0 && opacity <= 1.0, "draw_overlay: expected an opacity from 0 to 1, got ", opacity);
}

/// The map's value at each pixel [height, width]; infinite where the picture lies outside of the map.
Tensor values_on_picture(const Tensor& map, const CellWindow& window, const Extent& size, bool smooth) {
  Tensor values = smooth ? cells_on_picture(map, window, size) : Tensor::empty({size.height, size.width});
  const auto place = [](double from, double extent, int64_t pixel, int64_t pixels) {
    return from + (static_cast<double>(pixel) + 0.5) / static_cast<double>(pixels) * extent;
  };
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x) {
      const double row = place(window.top, window.rows, y, size.height),
                   column = place(window.left, window.columns, x, size.width);
      const bool inside = row >= 0.0 && row < static_cast<double>(map.size(0)) && column >= 0.0 &&
                          column < static_cast<double>(map.size(1));
      float& value = values.f32()[y * size.width + x];
      if (!inside)
        value = std::numeric_limits<float>::infinity();
      else if (!smooth)
        value = map.f32()[static_cast<int64_t>(row) * map.size(1) + static_cast<int64_t>(column)];
    }
  return values;
}

/// The size at which the picture is drawn: OverlayOptions::side.
Image sized(const Image& picture, int64_t side) {
  const int64_t longer = std::max(picture.height(), picture.width());
  constexpr int64_t kPixelsAsSquares = 4;  // from this factor on
  if (const int64_t factor = (2 * side + longer) / (2 * longer); factor >= 2)
    return resize(picture, {.height = factor * picture.height(),
                            .width = factor * picture.width(),
                            .filter = factor >= kPixelsAsSquares ? Filter::kNearest : Filter::kBicubic});
  if (longer <= 2 * side) return picture;
  const auto extent = [&](int64_t pixels) { return std::max<int64_t>(1, (pixels * side + longer / 2) / longer); };
  return resize(picture,
                {.height = extent(picture.height()), .width = extent(picture.width()), .filter = Filter::kBicubic});
}

struct Layout {
  std::vector<std::string> title{}, lines{};
  std::vector<detail::PlotTick> ticks{};
  int64_t top = 0, left = 0;  // of the overlay
  int64_t bar = 0;            // left edge of the legend's colours
  int64_t text = 0;           // top of the lines below
  int64_t width = 0, height = 0;
};

/// The ends themselves, and between them as many round numbers as do not touch one another.
std::vector<detail::PlotTick> ticks_with_ends(const MapScale& scale, int64_t height) {
  constexpr double kRoom = 16.0;  // pixels from one number to the next
  const double apart = kRoom / static_cast<double>(height);
  std::vector<detail::PlotTick> ticks{{scale.min, detail::short_number(scale.min)}};
  for (const detail::PlotTick& tick : detail::ticks_of({.min = scale.min, .max = scale.max}, 5)) {
    const double share = scale.share(tick.value);
    if (share - scale.share(ticks.back().value) >= apart && share <= 1.0 - apart) ticks.push_back(tick);
  }
  ticks.push_back({scale.max, detail::short_number(scale.max)});
  return ticks;
}

Layout lay_out(const Image& picture, const MapScale& scale, const OverlayOptions& options) {
  Layout layout;
  layout.ticks = ticks_with_ends(scale, picture.height());
  int64_t numbers = measure_text("0.00000", kNumberText).width;  // so that the frames of a film are alike
  for (const detail::PlotTick& tick : layout.ticks)
    numbers = std::max(numbers, measure_text(tick.text, kNumberText).width);
  layout.left = kMargin + (options.with_picture ? picture.width() + kGap : 0);
  layout.bar = layout.left + picture.width() + kGap;
  const int64_t right = layout.bar + kBarWidth + kTickRoom + numbers + (options.unit.empty() ? 0 : kUnitRoom) + kMargin;
  layout.width = std::max(right, kLeastTextWidth);
  const int64_t room = layout.width - 2 * kMargin;
  if (!options.title.empty()) layout.title = detail::wrapped_text({options.title}, room, kTitleText);
  layout.lines = detail::wrapped_text(options.lines, room, kLineText);
  layout.top = kMargin + static_cast<int64_t>(layout.title.size()) * kTitleLine;
  layout.text = layout.top + picture.height() + kMargin;
  layout.height = layout.text + static_cast<int64_t>(layout.lines.size()) * kLine + (layout.lines.empty() ? 0 : 4);
  return layout;
}

void draw_legend(Canvas& canvas, const Layout& layout, int64_t height, const MapScale& scale, const std::string& unit) {
  const auto left = static_cast<float>(layout.bar), top = static_cast<float>(layout.top),
             extent = static_cast<float>(height), right = left + static_cast<float>(kBarWidth);
  for (int64_t y = 0; y < height; ++y) {
    const double share = 1.0 - (static_cast<double>(y) + 0.5) / static_cast<double>(height);
    const float line = top + static_cast<float>(y);
    canvas.rectangle(left, line, right, line + 1.0f, scale.color(scale.min + share * (scale.max - scale.min)));
  }
  canvas.outline(left, top, right, top + extent, kInk);
  for (const detail::PlotTick& tick : layout.ticks) {
    const float y = top + extent * (1.0f - static_cast<float>(scale.share(tick.value)));
    const float inside = std::clamp(y, top + 0.5f, top + extent - 0.5f);
    canvas.line({right, inside}, {right + 4.0f, inside}, kInk);
    const float text = std::clamp(y, top + 5.0f, top + extent - 5.0f);
    canvas.text({right + static_cast<float>(kTickRoom), text}, tick.text, kNumberText);
  }
  if (unit.empty()) return;
  TextStyle style = kNumberText;
  style.upward = true;
  style.horizontal = HorizontalAlign::center;
  style.vertical = VerticalAlign::bottom;
  canvas.text({static_cast<float>(layout.width - kMargin), top + 0.5f * extent}, fit_text(unit, height, style), style);
}

}  // namespace

double MapScale::share(double value) const { return (value - min) / (max - min); }

Color MapScale::color(double value) const {
  return is_signed ? diverging(2.0 * share(value) - 1.0) : viridis(share(value));
}

MapScale scale_of(const Tensor& map, bool is_signed) {
  check(map.defined() && map.dtype() == DType::f32, "scale_of: expected a map f32, got ",
        map.defined() ? name_of(map.dtype()) : "nothing");
  double low = INFINITY, high = -INFINITY;
  for (const float value : map.span<float>()) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, static_cast<double>(value));
    high = std::max(high, static_cast<double>(value));
  }
  check(low <= high, "scale_of: there is no finite number in the map ", map.shape());
  if (is_signed) {
    const double most = std::max(std::abs(low), std::abs(high));
    return {.min = most > 0.0 ? -most : -1.0, .max = most > 0.0 ? most : 1.0, .is_signed = true};
  }
  if (low > 0.0 && low < 0.01 * high) low = 0.0;
  const double least_range = std::max(std::abs(high), 1e-30) * 1e-6;  // below it there are no numbers for ticks
  return {.min = low, .max = high - low > least_range ? high : low + std::max(std::abs(low), 1.0)};
}

Image color_overlay(const Image& picture, const Tensor& map, const std::optional<CellWindow>& window,
                    const MapScale& scale, double opacity, bool smooth) {
  check_map(picture, map, opacity);
  constexpr size_t kColors = 1024;
  std::array<Color, kColors> table{};
  for (size_t i = 0; i < kColors; ++i)
    table[i] = scale.color(scale.min + static_cast<double>(i) / (kColors - 1) * (scale.max - scale.min));
  const CellWindow whole{.rows = static_cast<double>(map.size(0)), .columns = static_cast<double>(map.size(1))};
  const Tensor values = values_on_picture(map, window.value_or(whole), {picture.height(), picture.width()}, smooth);
  Image drawn(picture.height(), picture.width());
  const uint8_t* before = picture.pixels.data<uint8_t>();
  auto* after = drawn.pixels.data<uint8_t>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const float value = values.f32()[i];
    const double share = std::clamp(scale.share(value), 0.0, 1.0);
    const Color color = std::isnan(value) ? scale.color(NAN) : table[static_cast<size_t>(share * (kColors - 1) + 0.5)];
    const double weight = std::isinf(value) ? 0.0 : opacity;
    const std::array<uint8_t, 3> channels{color.r, color.g, color.b};
    for (size_t c = 0; c < 3; ++c) {
      const int64_t at = 3 * i + static_cast<int64_t>(c);
      after[at] = static_cast<uint8_t>(std::lround(before[at] + weight * (channels[c] - before[at])));
    }
  }
  return drawn;
}

Image draw_overlay(const Image& picture, const Tensor& map, const std::optional<CellWindow>& window,
                   const OverlayOptions& options) {
  check_map(picture, map, options.opacity);
  check(options.side >= kMinSide && options.side <= kMaxSide, "draw_overlay: expected a side from ", kMinSide, " to ",
        kMaxSide, ", got ", options.side);
  const Image shown = sized(picture, options.side);
  const MapScale scale = options.scale ? *options.scale : scale_of(map, options.is_signed);
  check(scale.min < scale.max, "draw_overlay: expected a scale in order, got ", scale.min, " to ", scale.max);
  const Layout layout = lay_out(shown, scale, options);
  Canvas canvas(layout.height, layout.width, kPaper);
  const auto write = [&](const std::vector<std::string>& lines, int64_t y, int64_t step, const TextStyle& style) {
    for (const std::string& line : lines) {
      canvas.text({static_cast<float>(kMargin), static_cast<float>(y)}, line, style);
      y += step;
    }
  };
  write(layout.title, kMargin - 2, kTitleLine, kTitleText);
  if (options.with_picture) canvas.blit(shown, kMargin, layout.top);
  canvas.blit(color_overlay(shown, map, window, scale, options.opacity, options.smooth), layout.left, layout.top);
  draw_legend(canvas, layout, shown.height(), scale, options.unit);
  write(layout.lines, layout.text, kLine, kLineText);
  return canvas.image();
}

}  // namespace vit
