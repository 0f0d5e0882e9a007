#include "apps/robustness_corruption_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "datasets/corruption.h"
#include "vit/core/softmax.h"
#include "vit/image/encode.h"

namespace apps {

namespace {

constexpr int64_t kCell = 96;

/// Accuracies, in percent, by severity, of everything that has one name on the plot.
struct Curve {
  std::map<int64_t, std::vector<double>> values;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

vit::PlotSeries series_of(const std::string& name, const Curve& curve, const std::optional<double>& clean) {
  vit::PlotSeries series{.name = name};
  if (clean) {
    series.x.push_back(0.0);
    series.y.push_back(*clean);
  }
  for (const auto& [severity, values] : curve.values) {
    series.x.push_back(static_cast<double>(severity));
    series.y.push_back(mean_of(values));
  }
  return series;
}

/// The best answer and its share of the softmax.
std::string answer_text(const float* logits, int64_t classes, const vit::ClassLabels& labels, int64_t answer) {
  return fmt::format("{} {:.0f} %", labels.name(answer), 100.0 * vit::softmax_probability(logits, classes, answer));
}

}  // namespace

void SpoiltPictures::see(const Condition& condition, const vit::AttackBatch& batch, const vit::AttackResult& result) {
  const bool wanted = condition.kind == "clean" ||
                      (condition.kind == "corruption" && condition.facts.at("severity").get<int64_t>() == severity_);
  if (!wanted) return;
  const std::string row = condition.name.empty() ? "as they are" : condition.name;
  const int64_t classes = result.logits.size(1);
  for (size_t b = 0; b < batch.numbers.size(); ++b) {
    if (std::find(numbers_.begin(), numbers_.end(), batch.numbers[b]) == numbers_.end()) continue;
    const auto at = static_cast<int64_t>(b);
    const float* logits = result.logits.f32() + at * classes;
    const int64_t answer = vit::predicted_class(logits, classes);
    if (items_.find(row) == items_.end()) rows_.push_back(row);
    items_[row].push_back({.picture = to_picture(result.pixels, at),
                           .caption = row + "\n" + answer_text(logits, classes, labels_, answer),
                           .mark = answer == batch.goals[b].label ? vit::SheetMark::right : vit::SheetMark::wrong});
  }
}

vit::Image SpoiltPictures::sheet() const {
  size_t columns = 0;
  for (const auto& [row, items] : items_) columns = std::max(columns, items.size());
  if (rows_.size() < 2 || columns == 0) return {};
  vit::ContactSheet sheet{.title = fmt::format("corruptions at severity {}", severity_),
                          .columns = static_cast<int64_t>(columns),
                          .cell = kCell};
  for (const std::string& row : rows_) {
    const std::vector<vit::SheetItem>& items = items_.at(row);
    if (items.size() == columns) sheet.items.insert(sheet.items.end(), items.begin(), items.end());
  }
  return vit::contact_sheet(sheet);
}

int64_t drawn_severity(const std::vector<int64_t>& severities) {
  constexpr int64_t kMiddle = 3;
  int64_t best = kMiddle, distance = datasets::kCorruptionSeverities;
  for (const int64_t severity : severities)
    if (std::abs(severity - kMiddle) < distance) {
      best = severity;
      distance = std::abs(severity - kMiddle);
    }
  return best;
}

vit::CurvePlot corruption_curves(const std::vector<ConditionResult>& results, const std::string& group) {
  vit::CurvePlot plot{.title = group.empty() ? "accuracy under corruptions" : "accuracy under " + group,
                      .x_label = "severity",
                      .y_label = "accuracy, %",
                      .y_min = 0.0,
                      .y_max = 100.0,
                      .height = 460,
                      .width = 720};
  std::vector<std::string> names;
  std::map<std::string, Curve> curves;
  std::optional<double> clean;
  for (const ConditionResult& result : results) {
    const Condition& condition = result.condition;
    const double accuracy = 100.0 * result.figures.accuracy();
    if (condition.kind == "clean") clean = accuracy;
    if (condition.kind != "corruption") continue;
    const datasets::CorruptionEntry& entry = datasets::corruption_registry().find(condition.name);
    // Extra families are drawn with their group's, but are no part of its mean.
    if (group.empty() ? entry.is_extra : entry.group != group) continue;
    const std::string name = group.empty() ? entry.group : condition.name;
    if (curves.find(name) == curves.end()) names.push_back(name);
    curves[name].values[condition.facts.at("severity").get<int64_t>()].push_back(accuracy);
  }
  for (const std::string& name : names) plot.series.push_back(series_of(name, curves.at(name), clean));
  return plot;
}

std::vector<std::string> save_corruption_pictures(const std::vector<ConditionResult>& results,
                                                  const SpoiltPictures& pictures, const std::filesystem::path& folder) {
  std::vector<std::string> written;
  const auto save_curves = [&](const vit::CurvePlot& plot, const std::string& name) {
    if (plot.series.empty()) return;
    vit::save_image(folder / name, vit::plot_curves(plot));
    written.push_back(name);
  };
  save_curves(corruption_curves(results), "accuracy_corruptions.png");
  for (const std::string& group : datasets::corruption_groups())
    save_curves(corruption_curves(results, group), "accuracy_" + group + ".png");
  const vit::Image sheet = pictures.sheet();
  if (sheet.defined()) {
    written.emplace_back("pictures_corruptions.png");
    vit::save_image(folder / written.back(), sheet);
  }
  return written;
}

}  // namespace apps
