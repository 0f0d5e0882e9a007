// The picture of frame_importance(): frames, the map on them, and a bar for each.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/explain/figure_text.h"
#include "vit/explain/frames.h"
#include "vit/explain/overlay.h"
#include "vit/image/plot_axes.h"
#include "vit/image/resize.h"
#include "vit/image/strip.h"

namespace vit {

namespace {

using detail::kInk;
using detail::kPaper;

constexpr int64_t kMinSide = 24, kMaxSide = 512, kMostColumns = 64;
constexpr int64_t kMargin = 12, kGap = 6, kMark = 5, kBars = 48, kName = 16, kLine = 18, kTitleLine = 22, kRowGap = 14;
constexpr int64_t kLeastTextWidth = 420;
constexpr Color kMarked{214, 96, 40}, kBar{68, 114, 196};
constexpr TextStyle kTitleText{.height = 11.0f, .color = kInk, .vertical = VerticalAlign::top};
constexpr TextStyle kLineText{.height = 9.0f, .color = kInk, .vertical = VerticalAlign::top};
constexpr TextStyle kNameText{
    .height = 8.0f, .color = kInk, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::top};

struct Layout {
  std::vector<std::string> title{}, lines{};
  Extent frame{};  ///< as drawn
  int64_t columns = 1, rows = 1;
  int64_t top = 0;         ///< of the first row of frames
  int64_t row_height = 0;  ///< mark, frame, frame with colours, bar, name
  int64_t width = 0, height = 0;
};

Layout lay_out(const Image& strip, int64_t frames, const FilmStripOptions& options) {
  Layout layout;
  const int64_t height = strip.height() / frames, width = strip.width(), longer = std::max(height, width);
  const auto scaled = [&](int64_t extent) {
    return std::max<int64_t>(1, (extent * options.side + longer / 2) / longer);
  };
  layout.frame = {scaled(height), scaled(width)};
  layout.columns = std::min(options.columns, frames);
  layout.rows = (frames + layout.columns - 1) / layout.columns;
  const int64_t room = std::max(kLeastTextWidth, layout.columns * layout.frame.width + (layout.columns - 1) * kGap);
  layout.width = room + 2 * kMargin;
  if (!options.title.empty()) layout.title = detail::wrapped_text({options.title}, room, kTitleText);
  layout.lines = detail::wrapped_text(options.lines, room, kLineText);
  layout.top = kMargin + static_cast<int64_t>(layout.title.size()) * kTitleLine;
  layout.row_height = kMark + 2 * (layout.frame.height + kGap) + kBars + kName;
  const int64_t below = layout.top + layout.rows * (layout.row_height + kRowGap);
  layout.height = below + static_cast<int64_t>(layout.lines.size()) * kLine + kMargin;
  return layout;
}

/// The part of the map over frame `t`.
CellWindow window_of(const Tensor& map, int64_t frames, int64_t t) {
  const double rows = static_cast<double>(map.size(0)) / static_cast<double>(frames);
  return {.top = static_cast<double>(t) * rows, .left = 0.0, .rows = rows, .columns = static_cast<double>(map.size(1))};
}

/// A map's rows of one frame, so that colours do not run into the next.
Tensor rows_of(const Tensor& map, int64_t frames, int64_t t) {
  if (map.size(0) % frames != 0) return map;
  const int64_t each = map.size(0) / frames;
  return map.slice(t * each, (t + 1) * each);
}

void draw_frame(Canvas& canvas, const Layout& layout, const Image& strip, const FrameImportance& importance,
                const MapScale& scale, const FilmStripOptions& options, int64_t t) {
  const auto frames = static_cast<int64_t>(importance.shares.size());
  const auto index = static_cast<size_t>(t);
  const int64_t left = kMargin + t % layout.columns * (layout.frame.width + kGap);
  int64_t top = layout.top + t / layout.columns * (layout.row_height + kRowGap);
  const auto x0 = static_cast<float>(left), x1 = static_cast<float>(left + layout.frame.width);
  if (!options.marked.empty() && options.marked[index])
    canvas.rectangle(x0, static_cast<float>(top), x1, static_cast<float>(top + kMark - 2), kMarked);
  top += kMark;
  const Image frame = resize(strip_frame(strip, frames, t),
                             {.height = layout.frame.height, .width = layout.frame.width, .filter = Filter::kBicubic});
  canvas.blit(frame, left, top);
  top += layout.frame.height + kGap;
  const Tensor map = rows_of(importance.explanation.map, frames, t);
  const bool own = map.size(0) != importance.explanation.map.size(0);
  const CellWindow window = own || frames == 1 ? window_of(map, 1, 0) : window_of(map, frames, t);
  canvas.blit(color_overlay(frame, map, window, scale), left, top);
  top += layout.frame.height + kGap;
  const double largest = *std::max_element(importance.shares.begin(), importance.shares.end());
  const double share = importance.shares[index];
  constexpr float kNumber = 12.0f;
  const auto bottom = static_cast<float>(top + kBars);
  const float bar = (static_cast<float>(kBars) - kNumber) * static_cast<float>(share / std::max(largest, 1e-12));
  canvas.rectangle(x0 + 2.0f, bottom - bar, x1 - 2.0f, bottom, kBar);
  canvas.line({x0, bottom}, {x1, bottom}, kInk);
  const float middle = 0.5f * (x0 + x1);
  TextStyle number = kNameText;
  number.vertical = VerticalAlign::bottom;
  canvas.text({middle, bottom - bar - 2.0f}, str(std::lround(100.0 * share), " %"), number);
  const std::string name = options.names.empty() ? std::to_string(t) : options.names[index];
  canvas.text({middle, bottom + 4.0f}, fit_text(name, layout.frame.width, kNameText), kNameText);
}

}  // namespace

Image draw_film_strip(const Image& strip, const FrameImportance& importance, const FilmStripOptions& options) {
  const auto frames = static_cast<int64_t>(importance.shares.size());
  check(strip.defined() && frames > 0 && strip.height() % frames == 0, "draw_film_strip: the strip's rows are no ",
        frames, " frames");
  check((options.names.empty() || static_cast<int64_t>(options.names.size()) == frames) &&
            (options.marked.empty() || static_cast<int64_t>(options.marked.size()) == frames),
        "draw_film_strip: expected names and marks of ", frames, " frames");
  check(options.side >= kMinSide && options.side <= kMaxSide && options.columns >= 1 && options.columns <= kMostColumns,
        "draw_film_strip: expected a side from ", kMinSide, " to ", kMaxSide, " and 1 to ", kMostColumns, " columns");
  const MapScale scale = scale_of(importance.explanation.map, importance.explanation.is_signed);
  const Layout layout = lay_out(strip, frames, options);
  Canvas canvas(layout.height, layout.width, kPaper);
  int64_t y = kMargin;
  for (const std::string& line : layout.title) {
    canvas.text({static_cast<float>(kMargin), static_cast<float>(y)}, line, kTitleText);
    y += kTitleLine;
  }
  for (int64_t t = 0; t < frames; ++t) draw_frame(canvas, layout, strip, importance, scale, options, t);
  y = layout.top + layout.rows * (layout.row_height + kRowGap);
  for (const std::string& line : layout.lines) {
    canvas.text({static_cast<float>(kMargin), static_cast<float>(y)}, line, kLineText);
    y += kLine;
  }
  return canvas.image();
}

}  // namespace vit
