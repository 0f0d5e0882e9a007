// Axes of plots: from data to pixels, ticks at round numbers, grid and labels.
#pragma once

#include <string>
#include <vector>

#include "vit/image/canvas.h"

namespace vit::detail {

inline constexpr Color kInk{40, 40, 48};
inline constexpr Color kGrid{224, 226, 232};
inline constexpr Color kPaper{255, 255, 255};
inline constexpr float kTickHeight = 8.0f, kLabelHeight = 9.0f, kTitleHeight = 12.0f;

/// Where the axes are drawn, in pixels.
struct PlotArea {
  float left = 0.0f, top = 0.0f, right = 0.0f, bottom = 0.0f;
};

/// One axis: values from `min` to `max`, linear or logarithmic.
struct PlotAxis {
  double min = 0.0, max = 1.0;
  bool logarithmic = false;

  /// 0 at min, 1 at max.
  float position(double value) const;
  bool shows(double value) const;
};

/// An axis that holds all values with a little room; a single value gets some room around it, none gives [0, 1].
PlotAxis axis_of(const std::vector<double>& values, bool logarithmic, double margin);

struct PlotTick {
  double value = 0.0;
  std::string text;
};
/// About `wanted` ticks at round numbers (1, 2 or 5 times a power of ten) within the axis.
std::vector<PlotTick> ticks_of(const PlotAxis& axis, int wanted);

/// "0.25", "1200", "3.2e-05": a few digits.
std::string short_number(double value);

/// Room at the left for the widest number and the name of the axis.
float left_margin(const PlotAxis& axis, bool label);
void draw_y_axis(Canvas& canvas, const PlotArea& area, const PlotAxis& axis, const std::string& label);
void draw_x_axis(Canvas& canvas, const PlotArea& area, const PlotAxis& axis, const std::string& label);
/// The lines at the left and at the bottom, over grid and data.
void draw_frame(Canvas& canvas, const PlotArea& area);
void draw_title(Canvas& canvas, const std::string& title);
/// "no data" in the middle.
void write_no_data(Canvas& canvas, const PlotArea& area);
/// Errors: a picture that is too small or too large for a plot, naming the function `what`.
void check_plot_size(const char* what, int64_t height, int64_t width);

}  // namespace vit::detail
