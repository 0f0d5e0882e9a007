// Matrices in colours.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/color_map.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"

namespace vit {

namespace {

using namespace detail;

constexpr int64_t kMaxExtent = 2000, kWantedExtent = 320;
constexpr float kMargin = 8.0f, kLabelRoom = 18.0f, kBarGap = 10.0f, kBarWidth = 10.0f;
constexpr TextStyle kNumberText{.height = kTickHeight, .color = kInk, .vertical = VerticalAlign::middle};
constexpr TextStyle kTitleText{.height = kLabelHeight, .color = kInk, .horizontal = HorizontalAlign::center};

struct Layout {
  double min = 0.0, max = 1.0;
  float cell = 1.0f, left = 0.0f, top = 0.0f, right = 0.0f, bottom = 0.0f;  // of the matrix
  int64_t width = 0, height = 0;
};

Layout lay_out(const HeatMap& map) {
  Layout layout;
  double low = INFINITY, high = -INFINITY;
  for (const float value : map.values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, static_cast<double>(value));
    high = std::max(high, static_cast<double>(value));
  }
  layout.min = map.min.value_or(low <= high ? low : 0.0);
  layout.max = map.max.value_or(high > layout.min ? high : layout.min + 1.0);
  check(std::isfinite(layout.min) && std::isfinite(layout.max) && layout.min < layout.max,
        "plot_heat_map: limits from ", layout.min, " to ", layout.max, ", expected them in order");
  const int64_t cell = map.cell > 0 ? map.cell : std::max<int64_t>(1, kWantedExtent / std::max(map.rows, map.columns));
  layout.cell = static_cast<float>(cell);
  layout.left = kMargin + (map.y_label.empty() ? 0.0f : kLabelRoom);
  layout.top = kMargin + (map.title.empty() ? 0.0f : kLabelRoom);
  layout.right = layout.left + layout.cell * static_cast<float>(map.columns);
  layout.bottom = layout.top + layout.cell * static_cast<float>(map.rows);
  const int64_t numbers = std::max(measure_text(short_number(layout.min), kNumberText).width,
                                   measure_text(short_number(layout.max), kNumberText).width);
  const float right = layout.right + kBarGap + kBarWidth + 6.0f + static_cast<float>(numbers) + kMargin;
  layout.width = static_cast<int64_t>(right);
  layout.height = static_cast<int64_t>(layout.bottom + kMargin + (map.x_label.empty() ? 0.0f : kLabelRoom));
  return layout;
}

void draw_cells(Canvas& canvas, const HeatMap& map, const Layout& layout) {
  for (int64_t row = 0; row < map.rows; ++row)
    for (int64_t column = 0; column < map.columns; ++column) {
      const double value = map.values[static_cast<size_t>(row * map.columns + column)];
      const float x = layout.left + layout.cell * static_cast<float>(column),
                  y = layout.top + layout.cell * static_cast<float>(row);
      const double share = std::isfinite(value) ? (value - layout.min) / (layout.max - layout.min) : NAN;
      canvas.rectangle(x, y, x + layout.cell, y + layout.cell, viridis(share));
    }
  if (!map.marked) return;
  const float x = layout.left + layout.cell * static_cast<float>(map.marked->second),
              y = layout.top + layout.cell * static_cast<float>(map.marked->first);
  canvas.outline(x, y, x + layout.cell, y + layout.cell, {220, 40, 40}, 2.0f);
}

/// The colours from bottom to top, with the numbers of both ends.
void draw_scale(Canvas& canvas, const Layout& layout) {
  const float left = layout.right + kBarGap, height = layout.bottom - layout.top;
  for (float y = 0.0f; y < height; y += 1.0f)
    canvas.rectangle(left, layout.bottom - y - 1.0f, left + kBarWidth, layout.bottom - y,
                     viridis(static_cast<double>(y / std::max(1.0f, height - 1.0f))));
  const float text = left + kBarWidth + 6.0f, inset = 0.5f * kTickHeight;
  canvas.text({text, layout.top + inset}, short_number(layout.max), kNumberText);
  canvas.text({text, layout.bottom - inset}, short_number(layout.min), kNumberText);
}

}  // namespace

Image plot_heat_map(const HeatMap& map) {
  for (const int64_t extent : {map.rows, map.columns})
    check(extent >= 1 && extent <= kMaxExtent, "plot_heat_map: expected 1 to ", kMaxExtent, " rows and columns, got ",
          map.rows, " x ", map.columns);
  check(static_cast<int64_t>(map.values.size()) == map.rows * map.columns, "plot_heat_map: expected ", map.rows, " x ",
        map.columns, " values, got ", map.values.size());
  const Layout layout = lay_out(map);
  Canvas canvas(layout.height, layout.width, kPaper);
  draw_cells(canvas, map, layout);
  draw_scale(canvas, layout);
  const float middle = 0.5f * (layout.left + layout.right);
  TextStyle style = kTitleText;
  style.vertical = VerticalAlign::top;
  canvas.text({middle, kMargin}, fit_text(map.title, layout.width - 8, style), style);
  style.vertical = VerticalAlign::bottom;
  canvas.text({middle, static_cast<float>(layout.height) - 5.0f}, map.x_label, style);
  style.vertical = VerticalAlign::top;
  style.upward = true;
  canvas.text({6.0f, 0.5f * (layout.top + layout.bottom)}, map.y_label, style);
  return canvas.image();
}

}  // namespace vit
