// Plots and contact sheets as pictures: what a run's folder and a report show. They are drawn with the canvas
// (canvas.h), whose letters need the codec module. Save them with save_image (encode.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/image/canvas.h"

namespace vit {

/// A curve. Points that are not finite (or, on a logarithmic axis, not positive) interrupt it.
struct PlotSeries {
  std::string name = {};
  std::vector<double> x = {}, y = {};
};

struct CurvePlot {
  std::string title = {}, x_label = {}, y_label = {};
  std::vector<PlotSeries> series = {};
  bool log_y = false;
  /// Limits of the y axis; from the data when absent.
  std::optional<double> y_min = std::nullopt, y_max = std::nullopt;
  int64_t height = 500, width = 900;
};

/// Curves with axes, ticks, grid and legend. A plot without any point has axes and says "no data".
/// Errors: x and y of different length, naming the series; limits that are not in order; a picture below 200 x 150.
Image plot_curves(const CurvePlot& plot);

struct BarPlot {
  std::string title = {}, y_label = {};
  std::vector<std::string> names = {};  ///< one per bar
  std::vector<double> values = {};      ///< not finite: no bar
  int64_t height = 500, width = 900;
};

/// Bars from zero, each with its value above it and its name below it, as far as there is room.
/// Errors: numbers of names and values that differ; a picture below 200 x 150.
Image plot_bars(const BarPlot& plot);

struct ConfusionPlot {
  std::string title = "confusion matrix";
  std::vector<std::string> names = {};  ///< of the K classes
  std::vector<int64_t> counts = {};     ///< [K, K], true class x predicted class
};

/// A heat map: rows are true classes, columns predictions, colours the share of the row, numbers the counts (left out
/// where cells are too small, as are names). The picture's size follows from K.
/// Errors: counts that are not [K, K] or negative; K outside 1 to 2000.
Image plot_confusion(const ConfusionPlot& plot);

struct HeatMap {
  std::string title = {}, x_label = {}, y_label = {};
  int64_t rows = 0, columns = 0;
  std::vector<float> values = {};          ///< [rows, columns]; not finite: grey
  std::optional<double> min = 0.0, max{};  ///< the ends of the colours; from the data when absent
  int64_t cell = 0;                        ///< side of a value's square in pixels; 0: about 320 for the longer side
  std::optional<std::pair<int64_t, int64_t>> marked = std::nullopt;  ///< row and column of a framed cell
};

/// A matrix in colours (viridis, color_map.h), with the scale beside it. The picture's size follows from the matrix.
/// Errors: values that are not [rows, columns]; extents outside 1 to 2000; limits that are not in order.
Image plot_heat_map(const HeatMap& map);

struct ScatterPoint {
  std::string name = {};
  double x = 0.0, y = 0.0;
};

struct ScatterPlot {
  std::string title = {}, x_label = {}, y_label = {};
  std::vector<ScatterPoint> points =
      {};  ///< without finite numbers (or, on a logarithmic axis, a positive x): left out
  bool log_x = false;
  int64_t height = 600, width = 900;
};

/// Points with their names beside them, placed so that names do not cover one another as far as there is room.
/// Errors: a picture below 200 x 150.
Image plot_scatter(const ScatterPlot& plot);

enum class SheetMark { none, right, wrong };

struct SheetItem {
  Image picture = {};                ///< of any size; it is scaled to fit its cell
  std::string caption = {};          ///< one or more lines, separated by '\n'; each is cut where the cell ends
  SheetMark mark = SheetMark::none;  ///< a green or red border
};

struct ContactSheet {
  std::string title = {};
  std::vector<SheetItem> items = {};
  int64_t columns = 6;
  int64_t cell = 128;  ///< side of a picture's square, in pixels
};

/// Pictures in a grid, row by row. Errors: no items, an undefined picture, columns below 1, a cell outside 16 to 1024,
/// more than 2^28 pixels.
Image contact_sheet(const ContactSheet& sheet);

}  // namespace vit
