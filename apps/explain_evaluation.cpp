#include "apps/explain_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "datasets/box_dataset.h"
#include "vit/explain/method.h"
#include "vit/image/cell_map.h"

namespace apps {

namespace {

/// A figure of the table and of the records.
struct Figure {
  const char* key;
  const char* title;
  vit::Estimate vit::MethodFigures::*value;
  double factor;
  int decimals;
};

constexpr double kPercent = 100.0, kMilliseconds = 1e3;

const std::vector<Figure>& figures() {
  using vit::MethodFigures;
  static const std::vector<Figure> all = {{"deletion_auc", "deletion", &MethodFigures::deletion, 1.0, 3},
                                          {"insertion_auc", "insertion", &MethodFigures::insertion, 1.0, 3},
                                          {"road", "ROAD", &MethodFigures::road, 1.0, 3},
                                          {"sanity_spearman", "random weights", &MethodFigures::spearman, 1.0, 2},
                                          {"sanity_ssim", "SSIM", &MethodFigures::ssim, 1.0, 2},
                                          {"sanity_failed", "unchanged %", &MethodFigures::unchanged, kPercent, 0},
                                          {"mass_in_object", "in object %", &MethodFigures::mass, kPercent, 1},
                                          {"pointing", "pointing %", &MethodFigures::pointing, kPercent, 1},
                                          {"object_area", "chance %", &MethodFigures::area, kPercent, 1},
                                          {"milliseconds", "ms", &MethodFigures::seconds, kMilliseconds, 1}};
  return all;
}

bool is_time(const Figure& figure) { return figure.value == &vit::MethodFigures::seconds; }

/// "0.123 ±0.015"; "-" where there is no figure.
std::string cell(const Figure& figure, const vit::Estimate& estimate) {
  if (estimate.count == 0) return "-";
  return fmt::format("{:.{}f} ±{:.{}f}", figure.factor * estimate.mean, figure.decimals,
                     figure.factor * 0.5 * (estimate.high - estimate.low), figure.decimals);
}

Record number(double value) { return std::isfinite(value) ? Record(value) : Record(nullptr); }

/// Letters of a UTF-8 text: what has no top bits 10 begins one.
size_t letters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(const std::string& text, size_t width, bool left) {
  const std::string blanks(width - std::min(width, letters(text)), ' ');
  return left ? text + blanks : blanks + text;
}

/// Columns as wide as their longest cell, two blanks apart; the first is set left.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const std::vector<std::string>& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], letters(row[i]));
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += (i == 0 ? "" : "  ") + padded(row[i], widths[i], i == 0);
    text += line + "\n";
  }
  return text;
}

}  // namespace

std::optional<vit::Corners> main_object(const datasets::Dataset& data, int64_t index) {
  const auto* boxed = dynamic_cast<const datasets::BoxDataset*>(&data);
  if (boxed == nullptr) return std::nullopt;
  std::optional<vit::Corners> largest;
  for (const datasets::BoxAnnotation& object : boxed->boxes(index)) {
    if (object.crowd || object.label != boxed->label(index)) continue;
    if (!largest || vit::box_area(object.box) > vit::box_area(*largest)) largest = object.box;
  }
  return largest;
}

std::optional<vit::Corners> box_on_input(const vit::Preprocessor& preprocessor, const vit::Extent& source,
                                         const vit::Extent& input, const vit::Corners& box) {
  const vit::CellWindow window = vit::cell_window(preprocessor, source, input);
  const double across = window.columns / static_cast<double>(source.width),
               down = window.rows / static_cast<double>(source.height);
  const vit::Corners placed = {window.left + across * box[0], window.top + down * box[1], window.left + across * box[2],
                               window.top + down * box[3]};
  const vit::Corners seen = vit::clip_box(placed, static_cast<double>(input.width), static_cast<double>(input.height));
  if (vit::box_area(seen) <= 0.0) return std::nullopt;
  return seen;
}

Record method_record(const vit::MethodFigures& row) {
  Record record = {{"method", row.method},
                   {"title", row.baseline ? row.method : vit::method_registry().find(row.method).title},
                   {"baseline", row.baseline},
                   {"pictures", row.deletion.count}};
  for (const Figure& figure : figures()) {
    const vit::Estimate& estimate = row.*figure.value;
    const double factor = is_time(figure) ? kMilliseconds : 1.0;
    const std::string key = figure.key;
    record[key] = number(factor * estimate.mean);
    record[key + "_low"] = number(factor * estimate.low);
    record[key + "_high"] = number(factor * estimate.high);
  }
  return record;
}

std::string method_table(const std::vector<vit::MethodFigures>& rows, double confidence) {
  std::vector<Figure> shown;
  for (const Figure& figure : figures()) {
    const auto known = [&](const vit::MethodFigures& row) { return (row.*figure.value).count > 0; };
    if (std::any_of(rows.begin(), rows.end(), known)) shown.push_back(figure);
  }
  std::vector<std::vector<std::string>> cells(1, {"method"});
  for (const Figure& figure : shown) cells.front().emplace_back(figure.title);
  for (const vit::MethodFigures& row : rows) {
    cells.push_back({row.method});
    for (const Figure& figure : shown) cells.back().push_back(cell(figure, row.*figure.value));
  }
  const int64_t pictures = rows.empty() ? 0 : rows.front().deletion.count;
  return aligned(cells) +
         fmt::format(
             "{} pictures; ± is half of the {:.0f} % interval (bootstrap over pictures). Better: deletion low; "
             "insertion and ROAD high; random weights near 0.\n",
             pictures, kPercent * confidence);
}

void write_methods(Output& output, const std::vector<vit::MethodFigures>& rows, double confidence) {
  if (output.format() == Format::text) return output.write({}, method_table(rows, confidence));
  for (const vit::MethodFigures& row : rows) output.write(method_record(row), "");
}

}  // namespace apps
