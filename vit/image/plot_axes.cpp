#include "vit/image/plot_axes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "vit/core/check.h"

namespace vit::detail {

namespace {

constexpr int64_t kMinHeight = 150, kMinWidth = 200, kMaxExtent = 16'384;
/// Pixels between two ticks, at least.
constexpr float kTickSpaceX = 70.0f, kTickSpaceY = 45.0f;

std::string formatted(const char* format, int digits, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, digits, value);
  return text;
}

/// A step of 1, 2 or 5 times a power of ten that divides `range` into about `wanted` parts.
double round_step(double range, int wanted) {
  const double rough = range / std::max(wanted, 1), power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough * 0.999) return factor * power;
  return 10.0 * power;
}

std::vector<PlotTick> linear_ticks(const PlotAxis& axis, int wanted) {
  const double step = round_step(axis.max - axis.min, wanted);
  if (!(step > 0.0)) return {{axis.min, formatted("%.*g", 4, axis.min)}};  // a range too small to divide
  const int digits = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  const double largest = std::max(std::abs(axis.min), std::abs(axis.max));
  const bool plain = digits <= 5 && largest < 1e6;
  std::vector<PlotTick> ticks;
  const double first = std::ceil(axis.min / step - 1e-9);
  for (int i = 0; i <= 4 * wanted; ++i) {
    const double value = (first + i) * step;
    if (value > axis.max + 1e-9 * step) break;
    const double clean = std::abs(value) < 1e-9 * step ? 0.0 : value;
    ticks.push_back({clean, plain ? formatted("%.*f", digits, clean) : formatted("%.*g", 4, clean)});
  }
  return ticks;
}

std::vector<PlotTick> logarithmic_ticks(const PlotAxis& axis, int wanted) {
  const auto from = static_cast<int>(std::floor(std::log10(axis.min)));
  const auto to = static_cast<int>(std::ceil(std::log10(axis.max)));
  // Few decades: also 2 and 5 of each. Many: not every decade.
  const bool fine = to - from <= 3;
  const int stride = std::max(1, (to - from) / std::max(wanted, 1));
  std::vector<PlotTick> ticks;
  for (int decade = from; decade <= to; decade += stride)
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1.0 && !fine) continue;
      const double value = factor * std::pow(10.0, decade);
      if (axis.shows(value)) ticks.push_back({value, short_number(value)});
    }
  return ticks;
}

}  // namespace

float PlotAxis::position(double value) const {
  if (logarithmic) return static_cast<float>((std::log(value) - std::log(min)) / (std::log(max) - std::log(min)));
  return static_cast<float>((value - min) / (max - min));
}

bool PlotAxis::shows(double value) const {
  const double room = logarithmic ? 0.0 : 1e-9 * (max - min);
  return std::isfinite(value) && value >= min - room && value <= max + room;
}

PlotAxis axis_of(const std::vector<double>& values, bool logarithmic, double margin) {
  PlotAxis axis{logarithmic ? 0.1 : 0.0, 1.0, logarithmic};
  bool any = false;
  for (const double value : values) {
    // Bounded, so that differences of values stay finite.
    if (!std::isfinite(value) || std::abs(value) > 1e300 || (logarithmic && value <= 1e-300)) continue;
    axis.min = any ? std::min(axis.min, value) : value;
    axis.max = any ? std::max(axis.max, value) : value;
    any = true;
  }
  if (logarithmic) {
    const double room = axis.max > axis.min ? std::pow(axis.max / axis.min, margin) : 3.0;
    return {axis.min / room, axis.max * room, true};
  }
  const double smallest = 1e-9 * std::max({std::abs(axis.min), std::abs(axis.max), 1e-290});
  const double range = axis.max - axis.min;
  const double room =
      range > smallest ? margin * range : std::max(0.1 * std::abs(axis.max), axis.max == 0.0 ? 1.0 : 0.0);
  return {axis.min - room, axis.max + room, false};
}

std::vector<PlotTick> ticks_of(const PlotAxis& axis, int wanted) {
  if (!axis.logarithmic) return linear_ticks(axis, wanted);
  std::vector<PlotTick> ticks = logarithmic_ticks(axis, wanted);
  // Less than a step of 1, 2, 5: as many round numbers as a linear axis would have.
  return ticks.size() >= 2 ? ticks : linear_ticks(axis, wanted);
}

std::string short_number(double value) {
  if (value == 0.0) return "0";
  const double size = std::abs(value);
  if (size >= 1e6 || size < 1e-4) return formatted("%.*g", 3, value);
  if (size >= 1000.0) return formatted("%.*f", 0, value);
  return formatted("%.*g", 4, value);
}

float left_margin(const PlotAxis& axis, bool label) {
  int64_t widest = 0;
  for (const PlotTick& tick : ticks_of(axis, 10))
    widest = std::max(widest, measure_text(tick.text, {.height = kTickHeight}).width);
  return static_cast<float>(widest) + (label ? 34.0f : 16.0f);
}

void draw_y_axis(Canvas& canvas, const PlotArea& area, const PlotAxis& axis, const std::string& label) {
  const int wanted = std::max(2, static_cast<int>((area.bottom - area.top) / kTickSpaceY));
  const TextStyle style{
      .height = kTickHeight, .color = kInk, .horizontal = HorizontalAlign::right, .vertical = VerticalAlign::middle};
  for (const PlotTick& tick : ticks_of(axis, wanted)) {
    if (!axis.shows(tick.value)) continue;
    const float y = area.bottom - axis.position(tick.value) * (area.bottom - area.top);
    canvas.line({area.left, y}, {area.right, y}, kGrid);
    canvas.text({area.left - 6.0f, y}, tick.text, style);
  }
  if (label.empty()) return;
  TextStyle upward{
      .height = kLabelHeight, .color = kInk, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::top};
  upward.upward = true;
  canvas.text({6.0f, 0.5f * (area.top + area.bottom)},
              fit_text(label, static_cast<int64_t>(area.bottom - area.top), upward), upward);
}

void draw_x_axis(Canvas& canvas, const PlotArea& area, const PlotAxis& axis, const std::string& label) {
  const int wanted = std::max(2, static_cast<int>((area.right - area.left) / kTickSpaceX));
  const TextStyle style{
      .height = kTickHeight, .color = kInk, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::top};
  for (const PlotTick& tick : ticks_of(axis, wanted)) {
    if (!axis.shows(tick.value)) continue;
    const float x = area.left + axis.position(tick.value) * (area.right - area.left);
    canvas.line({x, area.top}, {x, area.bottom}, kGrid);
    canvas.text({x, area.bottom + 6.0f}, tick.text, style);
  }
  TextStyle name = style;
  name.height = kLabelHeight;
  name.vertical = VerticalAlign::bottom;
  canvas.text({0.5f * (area.left + area.right), static_cast<float>(canvas.height()) - 4.0f}, label, name);
}

void draw_frame(Canvas& canvas, const PlotArea& area) {
  canvas.line({area.left, area.top}, {area.left, area.bottom}, kInk);
  canvas.line({area.left, area.bottom}, {area.right, area.bottom}, kInk);
}

void draw_title(Canvas& canvas, const std::string& title) {
  const TextStyle style{
      .height = kTitleHeight, .color = kInk, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::top};
  canvas.text({0.5f * static_cast<float>(canvas.width()), 9.0f}, fit_text(title, canvas.width() - 16, style), style);
}

void write_no_data(Canvas& canvas, const PlotArea& area) {
  canvas.text({0.5f * (area.left + area.right), 0.5f * (area.top + area.bottom)}, "no data",
              {.height = kTitleHeight,
               .color = kInk,
               .horizontal = HorizontalAlign::center,
               .vertical = VerticalAlign::middle});
}

void check_plot_size(const char* what, int64_t height, int64_t width) {
  check(height >= kMinHeight && width >= kMinWidth && height <= kMaxExtent && width <= kMaxExtent, what,
        ": expected a picture from ", kMinWidth, " x ", kMinHeight, " to ", kMaxExtent, " x ", kMaxExtent, ", got ",
        width, " x ", height);
}

}  // namespace vit::detail
