// Named points.
#include <algorithm>
#include <array>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"

namespace vit {

namespace {

using namespace detail;

constexpr float kRadius = 4.0f, kGap = 7.0f;
constexpr TextStyle kNameText{.height = kTickHeight, .color = kInk, .vertical = VerticalAlign::middle};

struct Box {
  float left, top, right, bottom;
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

/// A point on the picture, and where its name goes.
struct Label {
  Point point;
  std::string name;
  Color color;
};

bool drawable(const ScatterPoint& point, bool log_x) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!log_x || point.x > 0.0);
}

/// The first place around its point, nearest first, where a name covers neither a point nor another name; right of the
/// point when there is none.
Box place_name(const Label& label, const std::vector<Box>& taken, const PlotArea& area) {
  const auto width = static_cast<float>(measure_text(label.name, kNameText).width), half = 0.75f * kTickHeight;
  const auto at = [&](float left, float middle) { return Box{left, middle - half, left + width, middle + half}; };
  const float x = label.point.x, y = label.point.y;
  const Box fallback = at(x + kGap, y);
  for (const float away : {0.0f, 1.0f, 2.0f, 3.0f, 4.0f}) {
    const float step = away * 2.0f * half;
    const std::array<Box, 6> places = {at(x + kGap, y - step),
                                       at(x - kGap - width, y - step),
                                       at(x + kGap, y + step),
                                       at(x - kGap - width, y + step),
                                       at(x - 0.5f * width, y - step - 2.0f * half),
                                       at(x - 0.5f * width, y + step + 2.0f * half)};
    for (const Box& place : places) {
      const bool inside = place.left >= area.left && place.right <= area.right && place.top >= area.top - half &&
                          place.bottom <= area.bottom;
      const bool free = std::none_of(taken.begin(), taken.end(), [&](const Box& box) { return box.overlaps(place); });
      if (inside && free) return place;
    }
  }
  return fallback;
}

/// A name that stands away from its point is tied to it.
void draw_name(Canvas& canvas, const Label& label, const Box& box) {
  const float middle = 0.5f * (box.top + box.bottom);
  const float near_x = std::clamp(label.point.x, box.left, box.right);
  if (std::hypot(near_x - label.point.x, middle - label.point.y) > 2.0f * kGap)
    canvas.line(label.point, {near_x, std::clamp(label.point.y, box.top, box.bottom)}, label.color, 0.8f, 0.6f);
  canvas.text({box.left, middle}, label.name, kNameText);
}

}  // namespace

Image plot_scatter(const ScatterPlot& plot) {
  check_plot_size("plot_scatter", plot.height, plot.width);
  std::vector<double> xs, ys;
  for (const ScatterPoint& point : plot.points) {
    if (!drawable(point, plot.log_x)) continue;
    xs.push_back(point.x);
    ys.push_back(point.y);
  }
  const PlotAxis x_axis = axis_of(xs, plot.log_x, 0.08), y_axis = axis_of(ys, false, 0.08);
  Canvas canvas(plot.height, plot.width, kPaper);
  draw_title(canvas, plot.title);
  const PlotArea area{left_margin(y_axis, !plot.y_label.empty()), plot.title.empty() ? 10.0f : 36.0f,
                      static_cast<float>(plot.width) - 18.0f,
                      static_cast<float>(plot.height) - (plot.x_label.empty() ? 26.0f : 44.0f)};
  draw_x_axis(canvas, area, x_axis, plot.x_label);
  draw_y_axis(canvas, area, y_axis, plot.y_label);
  draw_frame(canvas, area);
  std::vector<Label> labels;
  std::vector<Box> taken;
  for (const ScatterPoint& point : plot.points) {
    if (!drawable(point, plot.log_x)) continue;
    const Point at{area.left + x_axis.position(point.x) * (area.right - area.left),
                   area.bottom - y_axis.position(point.y) * (area.bottom - area.top)};
    labels.push_back({at, point.name, palette_color(static_cast<int64_t>(labels.size()))});
    taken.push_back({at.x - kRadius, at.y - kRadius, at.x + kRadius, at.y + kRadius});
    canvas.circle(at, kRadius, labels.back().color);
  }
  for (const Label& label : labels) {
    taken.push_back(place_name(label, taken, area));
    draw_name(canvas, label, taken.back());
  }
  if (labels.empty()) write_no_data(canvas, area);
  return canvas.image();
}

}  // namespace vit
