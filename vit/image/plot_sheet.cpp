// Contact sheets.
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/image/plot.h"
#include "vit/image/plot_axes.h"
#include "vit/image/resize.h"

namespace vit {

namespace {

using namespace detail;

constexpr int64_t kMinCell = 16, kMaxCell = 1024, kMaxPixels = int64_t{1} << 28;
constexpr int64_t kGap = 10, kBorder = 4, kLine = 14, kTitleRoom = 34;
constexpr Color kRight{34, 160, 70}, kWrong{214, 40, 50}, kBack{246, 247, 249};
constexpr TextStyle kCaption{.height = 7.0f, .color = kInk, .horizontal = HorizontalAlign::center};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  size_t from = 0;
  for (size_t end; (end = text.find('\n', from)) != std::string::npos; from = end + 1)
    lines.push_back(text.substr(from, end - from));
  lines.push_back(text.substr(from));
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

/// Scaled so that the longer side is `cell`.
Image fitted(const Image& picture, int64_t cell) {
  const double scale = static_cast<double>(cell) / static_cast<double>(std::max(picture.height(), picture.width()));
  const auto extent = [&](int64_t size) {
    return std::clamp<int64_t>(std::llround(scale * static_cast<double>(size)), 1, cell);
  };
  // Small pictures keep their pixels' edges when they are enlarged by whole factors.
  const bool enlarged = scale >= 2.0 && cell % std::max(picture.height(), picture.width()) == 0;
  return resize(picture, {.height = extent(picture.height()),
                          .width = extent(picture.width()),
                          .filter = enlarged ? Filter::kNearest : Filter::kBicubic});
}

void draw_item(Canvas& canvas, const SheetItem& item, int64_t x, int64_t y, int64_t cell) {
  const Image picture = fitted(item.picture, cell);
  const int64_t left = x + (cell - picture.width()) / 2, top = y + (cell - picture.height()) / 2;
  if (item.mark != SheetMark::none)
    canvas.rectangle(static_cast<float>(left - kBorder), static_cast<float>(top - kBorder),
                     static_cast<float>(left + picture.width() + kBorder),
                     static_cast<float>(top + picture.height() + kBorder),
                     item.mark == SheetMark::right ? kRight : kWrong);
  canvas.blit(picture, left, top);
  int64_t baseline = y + cell + kBorder + kLine - 2;
  for (const std::string& line : lines_of(item.caption)) {
    TextStyle style = kCaption;
    if (item.mark == SheetMark::wrong) style.color = kWrong;
    canvas.text({static_cast<float>(x) + 0.5f * static_cast<float>(cell), static_cast<float>(baseline)},
                fit_text(line, cell + kGap - 4, style), style);
    baseline += kLine;
  }
}

}  // namespace

Image contact_sheet(const ContactSheet& sheet) {
  check(!sheet.items.empty(), "contact_sheet: no pictures");
  check(sheet.columns >= 1, "contact_sheet: expected at least one column, got ", sheet.columns);
  check(sheet.cell >= kMinCell && sheet.cell <= kMaxCell, "contact_sheet: expected a cell from ", kMinCell, " to ",
        kMaxCell, " pixels, got ", sheet.cell);
  size_t most_lines = 0;
  for (size_t i = 0; i < sheet.items.size(); ++i) {
    check(sheet.items[i].picture.defined(), "contact_sheet: item ", i, " has no picture");
    most_lines = std::max(most_lines, lines_of(sheet.items[i].caption).size());
  }
  const auto count = static_cast<int64_t>(sheet.items.size());
  const int64_t columns = std::min(sheet.columns, count), rows = (count + columns - 1) / columns;
  const int64_t step_x = sheet.cell + 2 * kBorder + kGap;
  const int64_t step_y = step_x + static_cast<int64_t>(most_lines) * kLine;
  const int64_t head = sheet.title.empty() ? kGap : kTitleRoom;
  const int64_t width = columns * step_x + kGap, height = rows * step_y + head;
  check(height <= kMaxPixels / width, "contact_sheet: ", width, " x ", height, " pixels, at most ", kMaxPixels,
        "; use fewer pictures or smaller cells");
  Canvas canvas(height, width, kBack);
  draw_title(canvas, sheet.title);
  for (int64_t i = 0; i < count; ++i)
    draw_item(canvas, sheet.items[static_cast<size_t>(i)], kGap + kBorder + (i % columns) * step_x,
              head + kBorder + (i / columns) * step_y, sheet.cell);
  return canvas.image();
}

}  // namespace vit
