#include "vit/explain/attention_sheet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/canvas.h"
#include "vit/image/color_map.h"
#include "vit/image/plot_axes.h"
#include "vit/image/resize.h"

namespace vit {

namespace {

using detail::kInk;
using detail::kPaper;

constexpr int64_t kMaxExtent = 256, kMinSide = 24, kMaxSide = 512, kDefaultSide = 160;
constexpr int64_t kMargin = 12, kTitleRoom = 24, kHeadRoom = 20, kLegendRoom = 44, kMaxNameWidth = 240;
/// What is left of the picture's light, and how much of a colour covers it where nothing and where most is.
constexpr double kLight = 0.55, kLeast = 0.25, kMost = 0.9;

TextStyle text(float height, HorizontalAlign horizontal, VerticalAlign vertical) {
  return {.height = height, .color = kInk, .horizontal = horizontal, .vertical = vertical};
}

struct Layout {
  int64_t columns = 0;            // of maps: the mean's and the heads'
  int64_t height = 0, width = 0;  // of a map
  int64_t gap = 0, left = 0, top = 0;
  float name_height = 10.0f;
  int64_t sheet_height = 0, sheet_width = 0;

  int64_t x(int64_t column) const { return left + column * (width + gap); }
  int64_t y(int64_t row) const { return top + row * (height + gap); }
};

void check_layers(const Image& picture, const std::vector<SheetLayer>& layers, const AttentionSheetOptions& options) {
  check(picture.defined(), "draw_attention_sheet: there is no picture");
  check(!layers.empty() && static_cast<int64_t>(layers.size()) <= kMaxExtent, "draw_attention_sheet: expected 1 to ",
        kMaxExtent, " layers, got ", layers.size());
  for (const SheetLayer& layer : layers) {
    const Tensor& cells = layer.cells;
    check(cells.defined() && cells.rank() == 3 && cells.dtype() == DType::f32 && cells.numel() > 0,
          "draw_attention_sheet: ", layer.name, ": expected f32 [heads, rows, columns], got ",
          cells.defined() ? str(name_of(cells.dtype()), " ", cells.shape()) : "nothing");
    check(cells.size(0) <= kMaxExtent, "draw_attention_sheet: ", layer.name, ": ", cells.size(0), " heads, at most ",
          kMaxExtent, " are drawn");
  }
  check(options.side == 0 || (options.side >= kMinSide && options.side <= kMaxSide),
        "draw_attention_sheet: expected a side from ", kMinSide, " to ", kMaxSide, ", got ", options.side);
}

/// "blocks.11.attn" where there is room, else its end.
std::string short_name(const std::string& name, const TextStyle& style) {
  std::string shown = name;
  while (measure_text(shown, style).width > kMaxNameWidth && shown.size() > 3)
    shown = ".." + shown.substr(shown.starts_with("..") ? 3 : 1);
  return shown;
}

/// The largest side at which the sheet keeps to its bound.
int64_t side_of(const Layout& layout, int64_t rows, const AttentionSheetOptions& options) {
  if (options.side > 0) return options.side;
  const int64_t across = (options.most_pixels - layout.left - kMargin) / layout.columns - layout.gap;
  const int64_t down = (options.most_pixels - layout.top - kLegendRoom) / rows - layout.gap;
  return std::clamp(std::min(across, down), kMinSide, kDefaultSide);
}

Layout lay_out(const Image& picture, const std::vector<SheetLayer>& layers, const AttentionSheetOptions& options) {
  Layout layout;
  int64_t names = 0;
  for (const SheetLayer& layer : layers) {
    layout.columns = std::max(layout.columns, layer.cells.size(0) + (options.mean ? 1 : 0));
    const TextStyle style{.height = layout.name_height};
    names = std::max(names, measure_text(short_name(layer.name, style), style).width);
  }
  layout.gap = 4;
  layout.left = kMargin + names + 8;
  layout.top = kMargin + (options.title.empty() ? 0 : kTitleRoom) + kHeadRoom;
  const auto rows = static_cast<int64_t>(layers.size());
  const int64_t side = side_of(layout, rows, options), longer = std::max(picture.height(), picture.width());
  const auto extent = [&](int64_t pixels) { return std::max<int64_t>(4, (2 * pixels * side + longer) / (2 * longer)); };
  layout.height = extent(picture.height());
  layout.width = extent(picture.width());
  constexpr int64_t kLeastWidth = 420;
  layout.sheet_width = std::max(layout.x(layout.columns) - layout.gap + kMargin, kLeastWidth);
  layout.sheet_height = layout.y(rows) + kLegendRoom;
  return layout;
}

/// f32 [rows, columns]: a head's map, or the mean of all.
Tensor map_of(const SheetLayer& layer, int64_t head) {
  const int64_t heads = layer.cells.size(0), cells = layer.cells.numel() / heads;
  Tensor map = Tensor::zeros({layer.cells.size(1), layer.cells.size(2)});
  const int64_t first = head < 0 ? 0 : head, last = head < 0 ? heads : head + 1;
  for (int64_t h = first; h < last; ++h)
    for (int64_t i = 0; i < cells; ++i)
      map.f32()[i] += layer.cells.f32()[h * cells + i] / static_cast<float>(last - first);
  return map;
}

double largest_of(const Tensor& values) {
  double largest = 0.0;
  for (const float value : values.span<float>())
    if (std::isfinite(value)) largest = std::max(largest, static_cast<double>(value));
  return largest;
}

/// The picture in the dark, with the colours of a map over it.
Image drawn_map(const Image& picture, const Tensor& map, const CellWindow& window, double largest) {
  const Tensor values = cells_on_picture(map, window, {picture.height(), picture.width()});
  Image drawn(picture.height(), picture.width());
  const uint8_t* before = picture.pixels.data<uint8_t>();
  auto* after = drawn.pixels.data<uint8_t>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double share = largest > 0.0 ? std::clamp(values.f32()[i] / largest, 0.0, 1.0) : 0.0;
    const double weight = kLeast + (kMost - kLeast) * share;
    const Color color = viridis(share);
    const std::array<uint8_t, 3> channels{color.r, color.g, color.b};
    for (size_t c = 0; c < 3; ++c) {
      const int64_t at = 3 * i + static_cast<int64_t>(c);
      after[at] = static_cast<uint8_t>(std::lround((1.0 - weight) * kLight * before[at] + weight * channels[c]));
    }
  }
  return drawn;
}

void draw_headings(Canvas& canvas, const Layout& layout, const AttentionSheetOptions& options) {
  if (!options.title.empty()) {
    const TextStyle title = text(12.0f, HorizontalAlign::left, VerticalAlign::top);
    canvas.text({static_cast<float>(kMargin), static_cast<float>(kMargin) - 2.0f},
                fit_text(options.title, layout.sheet_width - 2 * kMargin, title), title);
  }
  const TextStyle style = text(9.0f, HorizontalAlign::center, VerticalAlign::bottom);
  const bool narrow = layout.width < 56;
  for (int64_t column = 0; column < layout.columns; ++column) {
    const int64_t head = column - (options.mean ? 1 : 0);
    const std::string name = head < 0 ? "mean" : (narrow ? "" : "head ") + std::to_string(head);
    canvas.text({static_cast<float>(layout.x(column)) + 0.5f * static_cast<float>(layout.width),
                 static_cast<float>(layout.top) - 3.0f},
                name, style);
  }
}

/// A bar of the colours, and what its ends mean.
void draw_legend(Canvas& canvas, const Layout& layout, const std::string& words) {
  const float top = static_cast<float>(layout.sheet_height) - 28.0f, left = static_cast<float>(kMargin);
  constexpr float kBarWidth = 120.0f, kBarHeight = 12.0f;
  for (float x = 0.0f; x < kBarWidth; x += 1.0f)
    canvas.rectangle(left + x, top, left + x + 1.0f, top + kBarHeight,
                     viridis(static_cast<double>(x / (kBarWidth - 1.0f))));
  const TextStyle style = text(10.0f, HorizontalAlign::left, VerticalAlign::middle);
  canvas.text({left + kBarWidth + 8.0f, top + 0.5f * kBarHeight},
              fit_text(words, layout.sheet_width - 2 * kMargin - static_cast<int64_t>(kBarWidth) - 8, style), style);
}

std::string legend_of(const AttentionSheetOptions& options, double largest) {
  std::string words = "attention";
  if (!options.query.empty()) words += " of " + options.query;
  words += ": 0 to ";
  if (options.scale == SheetScale::common) return words + detail::short_number(largest) + ", one scale for all";
  if (options.scale == SheetScale::layer) return words + "the largest value of the layer (each row its own scale)";
  return words + "the largest value of the map (each its own scale)";
}

}  // namespace

Image draw_attention_sheet(const Image& picture, const std::vector<SheetLayer>& layers,
                           const AttentionSheetOptions& options) {
  check_layers(picture, layers, options);
  const Layout layout = lay_out(picture, layers, options);
  const Image small = resize(picture, {.height = layout.height, .width = layout.width, .filter = Filter::kBicubic});
  double largest = 0.0;
  for (const SheetLayer& layer : layers) largest = std::max(largest, largest_of(layer.cells));
  Canvas canvas(layout.sheet_height, layout.sheet_width, kPaper);
  draw_headings(canvas, layout, options);
  const TextStyle name_style = text(layout.name_height, HorizontalAlign::right, VerticalAlign::middle);
  for (size_t row = 0; row < layers.size(); ++row) {
    const SheetLayer& layer = layers[row];
    const int64_t y = layout.y(static_cast<int64_t>(row));
    canvas.text(
        {static_cast<float>(layout.left) - 8.0f, static_cast<float>(y) + 0.5f * static_cast<float>(layout.height)},
        short_name(layer.name, name_style), name_style);
    const double of_layer = largest_of(layer.cells);
    int64_t column = 0;
    for (int64_t head = options.mean ? -1 : 0; head < layer.cells.size(0); ++head, ++column) {
      const Tensor map = map_of(layer, head);
      const double scale = options.scale == SheetScale::common  ? largest
                           : options.scale == SheetScale::layer ? of_layer
                                                                : largest_of(map);
      canvas.blit(drawn_map(small, map, layer.window, scale), layout.x(column), y);
    }
  }
  draw_legend(canvas, layout, legend_of(options, largest));
  return canvas.image();
}

}  // namespace vit
