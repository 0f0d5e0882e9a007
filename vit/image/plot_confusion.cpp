// Confusion matrices.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"

namespace vit {

namespace {

using namespace detail;

constexpr int64_t kMaxClasses = 2000;
/// The matrix is about this large: cells are between kMinCell and kMaxCell.
constexpr int64_t kWantedExtent = 640, kMinCell = 1, kMaxCell = 52;
/// Smaller cells hold no numbers, rows no names.
constexpr int64_t kMinCellForNumbers = 20, kMinCellForNames = 11;
constexpr int64_t kMaxNameWidth = 150;
constexpr float kSmall = 7.0f;

/// White to dark blue for 0 to 1.
Color heat(double share) {
  const auto mix = [&](int low, int high) {
    return static_cast<uint8_t>(low + (high - low) * std::pow(share, 0.6) + 0.5);
  };
  return {mix(250, 12), mix(251, 52), mix(253, 130)};
}

struct Layout {
  int64_t classes = 0, cell = 0, left = 0, top = 0, width = 0, height = 0;
  bool names = false, numbers = false;
};

Layout lay_out(const ConfusionPlot& plot) {
  Layout layout;
  layout.classes = static_cast<int64_t>(plot.names.size());
  layout.cell = std::clamp(kWantedExtent / layout.classes, kMinCell, kMaxCell);
  layout.names = layout.cell >= kMinCellForNames;
  layout.numbers = layout.cell >= kMinCellForNumbers;
  int64_t widest = 0;
  if (layout.names)
    for (const std::string& name : plot.names)
      widest = std::max(widest, std::min(kMaxNameWidth, measure_text(name, {.height = kTickHeight}).width));
  layout.left = widest + 36;
  layout.top = 40;
  const int64_t extent = layout.cell * layout.classes;
  layout.width = std::max<int64_t>(layout.left + extent + 16, 260);
  layout.height = layout.top + extent + widest + 36;
  return layout;
}

void draw_cells(Canvas& canvas, const ConfusionPlot& plot, const Layout& layout) {
  for (int64_t row = 0; row < layout.classes; ++row) {
    const int64_t* counts = plot.counts.data() + row * layout.classes;
    double total = 0.0;
    for (int64_t k = 0; k < layout.classes; ++k) total += static_cast<double>(counts[k]);
    for (int64_t column = 0; column < layout.classes; ++column) {
      const double share = total > 0.0 ? static_cast<double>(counts[column]) / total : 0.0;
      const auto x = static_cast<float>(layout.left + column * layout.cell),
                 y = static_cast<float>(layout.top + row * layout.cell);
      const auto cell = static_cast<float>(layout.cell), gap = layout.names ? 1.0f : 0.0f;
      canvas.rectangle(x, y, x + cell - gap, y + cell - gap, heat(share));
      if (!layout.numbers || counts[column] == 0) continue;
      TextStyle style{.height = kTickHeight,
                      .color = share > 0.35 ? kWhite : kInk,
                      .horizontal = HorizontalAlign::center,
                      .vertical = VerticalAlign::middle};
      const std::string text = std::to_string(counts[column]);
      if (measure_text(text, style).width > layout.cell - 3) style.height = kSmall;
      if (measure_text(text, style).width <= layout.cell - 1)
        canvas.text({x + 0.5f * cell, y + 0.5f * cell}, text, style);
    }
  }
}

void draw_names(Canvas& canvas, const ConfusionPlot& plot, const Layout& layout) {
  TextStyle across{
      .height = kTickHeight, .color = kInk, .horizontal = HorizontalAlign::right, .vertical = VerticalAlign::middle};
  TextStyle upward = across;
  upward.upward = true;
  const int64_t extent = layout.cell * layout.classes;
  for (int64_t k = 0; layout.names && k < layout.classes; ++k) {
    const std::string name = fit_text(plot.names[static_cast<size_t>(k)], kMaxNameWidth, across);
    const float along = (static_cast<float>(k) + 0.5f) * static_cast<float>(layout.cell);
    canvas.text({static_cast<float>(layout.left) - 5.0f, static_cast<float>(layout.top) + along}, name, across);
    canvas.text({static_cast<float>(layout.left) + along, static_cast<float>(layout.top + extent) + 5.0f}, name,
                upward);
  }
  TextStyle label{
      .height = kLabelHeight, .color = kInk, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::bottom};
  canvas.text(
      {static_cast<float>(layout.left) + 0.5f * static_cast<float>(extent), static_cast<float>(layout.height) - 4.0f},
      "predicted", label);
  label.upward = true;
  label.vertical = VerticalAlign::top;
  canvas.text({6.0f, static_cast<float>(layout.top) + 0.5f * static_cast<float>(extent)}, "true", label);
}

}  // namespace

Image plot_confusion(const ConfusionPlot& plot) {
  const auto classes = static_cast<int64_t>(plot.names.size());
  check(classes >= 1 && classes <= kMaxClasses, "plot_confusion: expected 1 to ", kMaxClasses, " classes, got ",
        classes);
  check(static_cast<int64_t>(plot.counts.size()) == classes * classes, "plot_confusion: expected ", classes, " x ",
        classes, " counts, got ", plot.counts.size());
  for (const int64_t count : plot.counts) check(count >= 0, "plot_confusion: a negative count, ", count);
  const Layout layout = lay_out(plot);
  Canvas canvas(layout.height, layout.width, kPaper);
  draw_title(canvas, plot.title);
  const auto extent = static_cast<float>(layout.cell * layout.classes);
  const auto left = static_cast<float>(layout.left), top = static_cast<float>(layout.top);
  canvas.outline(left - 2.0f, top - 2.0f, left + extent + 1.0f, top + extent + 1.0f, kGrid, 1.0f);
  draw_cells(canvas, plot, layout);
  draw_names(canvas, plot, layout);
  return canvas.image();
}

}  // namespace vit
