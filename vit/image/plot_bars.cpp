// Bars.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"

namespace vit {

namespace {

using namespace detail;

constexpr TextStyle kSmallText{.height = kTickHeight, .color = kInk, .horizontal = HorizontalAlign::center};
/// Bars that are narrower have no names.
constexpr float kMinNamedStep = 12.0f;

bool drawable(double value) { return std::isfinite(value) && std::abs(value) <= 1e300; }

/// How bars share the area, and what there is room for.
struct BarLayout {
  PlotArea area;
  PlotAxis axis;
  float step = 0.0f;     // from one bar to the next
  bool numbered = true;  // all bars have their values above them, or none
  bool upward = false;   // names are written upwards
  bool named = true;

  float height_of(double value) const { return area.bottom - axis.position(value) * (area.bottom - area.top); }
  float middle_of(size_t bar) const { return area.left + (static_cast<float>(bar) + 0.5f) * step; }
};

float widest(const std::vector<std::string>& texts) {
  int64_t width = 0;
  for (const std::string& text : texts) width = std::max(width, measure_text(text, kSmallText).width);
  return static_cast<float>(width);
}

BarLayout lay_out(const BarPlot& plot) {
  BarLayout layout;
  std::vector<double> with_zero = plot.values;
  with_zero.push_back(0.0);
  layout.axis = axis_of(with_zero, false, 0.08);
  if (std::none_of(plot.values.begin(), plot.values.end(), [](double value) { return value < 0.0; }))
    layout.axis.min = 0.0;
  layout.area = {left_margin(layout.axis, !plot.y_label.empty()), plot.title.empty() ? 12.0f : 36.0f,
                 static_cast<float>(plot.width) - 14.0f, static_cast<float>(plot.height) - 30.0f};
  layout.step = (layout.area.right - layout.area.left) / static_cast<float>(std::max<size_t>(plot.values.size(), 1));

  std::vector<std::string> numbers;
  for (const double value : plot.values)
    if (drawable(value)) numbers.push_back(short_number(value));
  layout.numbered = widest(numbers) < layout.step;
  const float widest_name = widest(plot.names);
  layout.upward = widest_name > layout.step - 4.0f;
  layout.named = !layout.upward || layout.step >= kMinNamedStep;
  if (layout.upward && layout.named)
    layout.area.bottom -= std::min(widest_name, static_cast<float>(plot.height) / 3.0f);
  return layout;
}

void draw_bar(Canvas& canvas, const BarLayout& layout, size_t bar, double value) {
  if (!drawable(value)) return;
  const float middle = layout.middle_of(bar), half = std::max(0.36f * layout.step, 0.4f);
  canvas.rectangle(middle - half, layout.height_of(value), middle + half, layout.height_of(0.0), palette_color(0));
  if (!layout.numbered) return;
  TextStyle style = kSmallText;
  style.vertical = VerticalAlign::bottom;
  canvas.text({middle, layout.height_of(std::max(value, 0.0)) - 1.0f}, short_number(value), style);
}

void draw_name(Canvas& canvas, const BarLayout& layout, size_t bar, const std::string& name) {
  if (!layout.named) return;
  TextStyle style = kSmallText;
  style.upward = layout.upward;
  style.horizontal = layout.upward ? HorizontalAlign::right : HorizontalAlign::center;
  style.vertical = layout.upward ? VerticalAlign::middle : VerticalAlign::top;
  const auto room = static_cast<int64_t>(static_cast<float>(canvas.height()) - layout.area.bottom - 8.0f);
  canvas.text({layout.middle_of(bar), layout.area.bottom + 6.0f}, layout.upward ? fit_text(name, room, style) : name,
              style);
}

}  // namespace

Image plot_bars(const BarPlot& plot) {
  check_plot_size("plot_bars", plot.height, plot.width);
  check(plot.names.size() == plot.values.size(), "plot_bars: ", plot.names.size(), " names and ", plot.values.size(),
        " values");
  const BarLayout layout = lay_out(plot);
  Canvas canvas(plot.height, plot.width, kPaper);
  draw_title(canvas, plot.title);
  draw_y_axis(canvas, layout.area, layout.axis, plot.y_label);
  for (size_t bar = 0; bar < plot.values.size(); ++bar) {
    draw_bar(canvas, layout, bar, plot.values[bar]);
    draw_name(canvas, layout, bar, plot.names[bar]);
  }
  if (plot.values.empty()) write_no_data(canvas, layout.area);
  draw_frame(canvas, layout.area);
  return canvas.image();
}

}  // namespace vit
