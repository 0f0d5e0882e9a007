// Curves.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"

namespace vit {

namespace {

using namespace detail;

constexpr float kLineWidth = 1.8f;
/// Series of few points show them.
constexpr size_t kMaxMarkers = 40;
constexpr float kLegendRow = 18.0f, kLegendGap = 26.0f, kLegendLine = 22.0f;

/// Names beside a sample of their line, in rows below the title. Returns where the rows end.
float draw_legend(Canvas& canvas, const std::vector<PlotSeries>& series, float left, float top) {
  const TextStyle style{.height = kLabelHeight, .color = kInk, .vertical = VerticalAlign::middle};
  const float right = static_cast<float>(canvas.width()) - 10.0f;
  float x = left, y = top + 0.5f * kLegendRow;
  for (size_t i = 0; i < series.size(); ++i) {
    const auto room = static_cast<int64_t>(right - left - kLegendLine - 6.0f);
    const std::string name = fit_text(series[i].name, room, style);
    const float width = kLegendLine + 6.0f + static_cast<float>(measure_text(name, style).width);
    if (x > left && x + width > right) {
      x = left;
      y += kLegendRow;
    }
    canvas.rectangle(x, y - 1.5f, x + kLegendLine, y + 1.5f, palette_color(static_cast<int64_t>(i)));
    canvas.text({x + kLegendLine + 6.0f, y}, name, style);
    x += width + kLegendGap;
  }
  return series.empty() ? top : y + 0.5f * kLegendRow;
}

void draw_series(Canvas& canvas, const PlotArea& area, const PlotAxis& x_axis, const PlotAxis& y_axis,
                 const PlotSeries& series, Color color) {
  const auto place = [&](double x, double y) {
    // Far outside is as good as a little outside, and stays within what can be drawn.
    const float right = std::clamp(x_axis.position(x), -4.0f, 5.0f), up = std::clamp(y_axis.position(y), -4.0f, 5.0f);
    return Point{area.left + right * (area.right - area.left), area.bottom - up * (area.bottom - area.top)};
  };
  const PixelRect inside{static_cast<int64_t>(area.left), static_cast<int64_t>(area.top) - 2,
                         static_cast<int64_t>(area.right) + 3, static_cast<int64_t>(area.bottom) + 3};
  const auto draw = [&](const Path& path) {
    if (path.size() > 1) canvas.paint(rasterize(stroke_rings(path, kLineWidth), inside), color);
    if (path.size() == 1 || series.x.size() <= kMaxMarkers)
      for (const Point& point : path) canvas.paint(rasterize({ellipse_path(point, 2.6f, 2.6f)}, inside), color);
  };
  Path path;
  for (size_t i = 0; i < series.x.size(); ++i) {
    const bool drawable =
        std::isfinite(series.x[i]) && std::isfinite(series.y[i]) && (!y_axis.logarithmic || series.y[i] > 0.0);
    if (drawable) {
      path.push_back(place(series.x[i], series.y[i]));
    } else {
      draw(path);
      path.clear();
    }
  }
  draw(path);
}

}  // namespace

Image plot_curves(const CurvePlot& plot) {
  check_plot_size("plot_curves", plot.height, plot.width);
  std::vector<double> xs, ys;
  for (const PlotSeries& series : plot.series) {
    check(series.x.size() == series.y.size(), "plot_curves: series '", series.name, "' has ", series.x.size(),
          " x values and ", series.y.size(), " y values");
    for (size_t i = 0; i < series.x.size(); ++i)
      if (std::isfinite(series.x[i]) && std::isfinite(series.y[i])) {
        xs.push_back(series.x[i]);
        ys.push_back(series.y[i]);
      }
  }
  const PlotAxis x_axis = axis_of(xs, false, 0.0);
  PlotAxis y_axis = axis_of(ys, plot.log_y, 0.05);
  y_axis.min = plot.y_min.value_or(y_axis.min);
  y_axis.max = plot.y_max.value_or(y_axis.max);
  check(std::isfinite(y_axis.min) && std::isfinite(y_axis.max) && y_axis.min < y_axis.max &&
            (!plot.log_y || y_axis.min > 0.0),
        "plot_curves: limits of y from ", y_axis.min, " to ", y_axis.max,
        plot.log_y ? ", expected positive ones in order" : ", expected them in order");

  Canvas canvas(plot.height, plot.width, kPaper);
  draw_title(canvas, plot.title);
  PlotArea area{left_margin(y_axis, !plot.y_label.empty()), plot.title.empty() ? 10.0f : 32.0f,
                static_cast<float>(plot.width) - 18.0f,
                static_cast<float>(plot.height) - (plot.x_label.empty() ? 26.0f : 44.0f)};
  area.top = std::min(draw_legend(canvas, plot.series, area.left, area.top) + 6.0f, area.bottom - 40.0f);
  draw_x_axis(canvas, area, x_axis, plot.x_label);
  draw_y_axis(canvas, area, y_axis, plot.y_label);
  for (size_t i = 0; i < plot.series.size(); ++i)
    draw_series(canvas, area, x_axis, y_axis, plot.series[i], palette_color(static_cast<int64_t>(i)));
  if (xs.empty()) write_no_data(canvas, area);
  draw_frame(canvas, area);
  return canvas.image();
}

}  // namespace vit
