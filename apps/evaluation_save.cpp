// The files of `vitkit evaluate --save`.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <unordered_map>

#include "apps/evaluation_report.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"
#include "vit/image/plot.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

/// Classes of the model that were predicted and are none of the data's, rising.
std::vector<int64_t> further_classes(const Evaluation& evaluation) {
  std::set<int64_t> further;
  for (const auto& cell : evaluation.report.confusion().cells()) further.insert(cell.predicted);
  for (const int64_t k : evaluation.mapping.classes) further.erase(k);
  return {further.begin(), further.end()};
}

void write_matrix(const Evaluation& evaluation, vit::AtomicFile& file) {
  std::vector<int64_t> columns = evaluation.mapping.classes;
  std::string header = "true";
  for (const std::string& name : evaluation.names) header += "," + csv_field(name);
  for (const int64_t k : further_classes(evaluation)) {
    columns.push_back(k);
    header += "," + csv_field(evaluation.labels.name(k));
  }
  file.write(header + "\n");
  for (size_t row = 0; row < evaluation.names.size(); ++row) {
    std::string line = csv_field(evaluation.names[row]);
    for (const int64_t column : columns)
      line += fmt::format(",{}", evaluation.report.confusion().count(evaluation.mapping.classes[row], column));
    file.write(line + "\n");
  }
}

void write_pairs(const Evaluation& evaluation, vit::AtomicFile& file) {
  std::unordered_map<int64_t, std::string> names;
  for (size_t i = 0; i < evaluation.names.size(); ++i) names[evaluation.mapping.classes[i]] = evaluation.names[i];
  const auto name_of_class = [&](int64_t k) {
    const auto found = names.find(k);
    return csv_field(found == names.end() ? evaluation.labels.name(k) : found->second);
  };
  file.write("true,predicted,count\n");
  for (const auto& cell : evaluation.report.confusion().cells())
    file.write(fmt::format("{},{},{}\n", name_of_class(cell.target), name_of_class(cell.predicted), cell.count));
}

vit::Image draw_confusion(const Evaluation& evaluation) {
  const size_t own = evaluation.names.size();
  const bool others = !further_classes(evaluation).empty();
  const size_t side = own + (others ? 1 : 0);
  vit::ConfusionPlot plot{.counts = std::vector<int64_t>(side * side)};
  std::unordered_map<int64_t, size_t> position;
  for (size_t i = 0; i < own; ++i) {
    plot.names.push_back(shown_name(evaluation, i));
    position[evaluation.mapping.classes[i]] = i;
  }
  if (others) plot.names.emplace_back("(others)");
  for (const auto& cell : evaluation.report.confusion().cells()) {
    const auto column = position.find(cell.predicted);
    plot.counts[position.at(cell.target) * side + (column == position.end() ? own : column->second)] += cell.count;
  }
  return vit::plot_confusion(plot);
}

vit::Image draw_reliability(const Evaluation& evaluation) {
  vit::PlotSeries accuracy{.name = "accuracy"}, perfect{.name = "perfect calibration", .x = {0, 1}, .y = {0, 1}};
  for (const auto& bin : evaluation.report.calibration().bins()) {
    if (bin.count == 0) continue;
    accuracy.x.push_back(bin.confidence);
    accuracy.y.push_back(bin.accuracy);
  }
  const double error = evaluation.report.calibration().expected_error();
  return vit::plot_curves({.title = std::isfinite(error)
                                        ? fmt::format("expected calibration error {:.2f} %", 100.0 * error)
                                        : "no pictures",
                           .x_label = "confidence",
                           .y_label = "accuracy",
                           .series = {accuracy, perfect},
                           .y_min = 0.0,
                           .y_max = 1.0,
                           .height = 500,
                           .width = 560});
}

Record full_report(const Evaluation& evaluation) {
  Record record = summary_record(evaluation);
  record["per_class"] = class_records(evaluation);
  record["reliability"] = reliability_records(evaluation);
  record["unreadable"] = unreadable_records(evaluation.unreadable);
  return record;
}

}  // namespace

void save_evaluation(const Evaluation& evaluation, const std::filesystem::path& folder) {
  const bool as_matrix = static_cast<int64_t>(evaluation.names.size()) <= kMaxMatrixClasses;
  vit::write_file_atomically(folder / "per_class.csv", csv_of(class_records(evaluation)));
  vit::write_file_atomically(folder / "confusion.csv", [&](vit::AtomicFile& file) {
    as_matrix ? write_matrix(evaluation, file) : write_pairs(evaluation, file);
  });
  if (as_matrix) vit::save_image(folder / "confusion.png", draw_confusion(evaluation));
  vit::save_image(folder / "reliability.png", draw_reliability(evaluation));
  write_report(folder, full_report(evaluation));
}

}  // namespace apps
