#include "apps/robustness_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/softmax.h"
#include "vit/image/encode.h"

namespace apps {

namespace {

/// Small pictures are drawn larger.
constexpr int64_t kCell = 128;
constexpr size_t kPicturesDrawn = 6;
constexpr float kGrey = 0.5f;

struct Difference {
  vit::Image picture;
  double largest = 0.0, factor = 1.0;
};

/// after - before around grey, magnified to the whole range.
Difference difference_of(const vit::Tensor& before, const vit::Tensor& after) {
  Difference result;
  for (int64_t i = 0; i < before.numel(); ++i)
    result.largest = std::max(result.largest, std::abs(static_cast<double>(after.f32()[i]) - before.f32()[i]));
  if (result.largest > 0.0) result.factor = kGrey / result.largest;
  vit::Tensor shown = vit::Tensor::empty(before.shape());
  for (int64_t i = 0; i < before.numel(); ++i)
    shown.f32()[i] = kGrey + static_cast<float>(result.factor) * (after.f32()[i] - before.f32()[i]);
  result.picture = to_picture(shown, 0);
  return result;
}

std::string percent(const Record& value) {
  return value.is_null() ? "-" : fmt::format("{:.2f} %", 100.0 * value.get<double>());
}

/// The curve of this name; a new one begins with the accuracy without an attack.
vit::PlotSeries& series_of(vit::CurvePlot& plot, const std::string& name, double clean) {
  for (vit::PlotSeries& series : plot.series)
    if (series.name == name) return series;
  plot.series.push_back({.name = name, .x = {0.0}, .y = {clean}});
  return plot.series.back();
}

/// The conditions of which pictures are drawn: each attack's strongest, in the order of the results.
std::vector<const ConditionResult*> strongest(const std::vector<ConditionResult>& results) {
  std::vector<const ConditionResult*> chosen;
  for (const ConditionResult& result : results) {
    if (result.condition.kind != "attack") continue;
    const auto same = std::find_if(chosen.begin(), chosen.end(), [&](const ConditionResult* other) {
      return other->condition.name == result.condition.name;
    });
    if (same == chosen.end())
      chosen.push_back(&result);
    else if (result.condition.strength > (*same)->condition.strength)
      *same = &result;
  }
  return chosen;
}

std::string markdown_of(const RobustnessReport& report, const std::vector<std::string>& pictures) {
  std::string text = fmt::format("# How easily {} is fooled\n\n{} pictures of {}, {} unreadable.\n\n", report.model,
                                 report.images, report.data, report.unreadable.size());
  text += "| condition | accuracy | loss | confidence | calibration error |\n|---|---|---|---|---|\n";
  for (const ConditionResult& result : report.results) {
    const Record record = condition_record(result, 0);
    text += fmt::format("| {} | {} | {:.4f} | {} | {} |\n", result.condition.title, percent(record["accuracy"]),
                        result.figures.loss(), percent(record["confidence"]), percent(record["ece"]));
  }
  for (const std::string& picture : pictures) text += fmt::format("\n![{0}]({0})\n", picture);
  return text;
}

}  // namespace

void ChangedPictures::see(const Condition& condition, const vit::AttackBatch& batch, const vit::AttackResult& result) {
  const int64_t classes = result.logits.size(1);
  for (size_t b = 0; b < batch.numbers.size(); ++b) {
    if (std::find(numbers_.begin(), numbers_.end(), batch.numbers[b]) == numbers_.end()) continue;
    const auto at = static_cast<int64_t>(b);
    const float* logits = result.logits.f32() + at * classes;
    const int64_t answer = vit::predicted_class(logits, classes);
    seen_[condition.title][batch.numbers[b]] = {.pixels = result.pixels.slice(at, at + 1).clone(),
                                                .answer = answer,
                                                .label = batch.goals[b].label,
                                                .confidence = vit::softmax_probability(logits, classes, answer)};
  }
}

std::string ChangedPictures::caption(const Seen& seen) const {
  return fmt::format("{} {:.0f} %", labels_.name(seen.answer), 100.0 * seen.confidence);
}

std::vector<int64_t> ChangedPictures::drawn(const std::map<int64_t, Seen>& clean) const {
  std::vector<int64_t> right, wrong;
  for (const auto& [number, seen] : clean) (seen.answer == seen.label ? right : wrong).push_back(number);
  right.insert(right.end(), wrong.begin(), wrong.end());
  if (right.size() > kPicturesDrawn) right.resize(kPicturesDrawn);
  std::sort(right.begin(), right.end());
  return right;
}

vit::Image ChangedPictures::sheet(const Condition& condition) const {
  const auto clean = seen_.find("clean"), changed = seen_.find(condition.title);
  if (clean == seen_.end() || changed == seen_.end()) return {};
  vit::ContactSheet sheet{.title = condition.title + ": as it is, attacked, difference", .columns = 6, .cell = kCell};
  for (const int64_t number : drawn(clean->second)) {
    const auto before = clean->second.find(number), found = changed->second.find(number);
    if (found == changed->second.end() || before->second.pixels.shape() != found->second.pixels.shape()) continue;
    const Seen& after = found->second;
    const Difference difference = difference_of(before->second.pixels, after.pixels);
    const auto mark = [](const Seen& seen) {
      return seen.answer == seen.label ? vit::SheetMark::right : vit::SheetMark::wrong;
    };
    sheet.items.push_back({to_picture(before->second.pixels, 0), caption(before->second), mark(before->second)});
    sheet.items.push_back({to_picture(after.pixels, 0), caption(after), mark(after)});
    sheet.items.push_back(
        {difference.picture, fmt::format("x{:.0f}, most {:.1f}/255", difference.factor, 255.0 * difference.largest)});
  }
  return sheet.items.empty() ? vit::Image() : vit::contact_sheet(sheet);
}

vit::CurvePlot accuracy_curves(const std::vector<ConditionResult>& results, const std::string& norm) {
  vit::CurvePlot plot{.title = "accuracy under attack",
                      .x_label = "eps, " + norm + (norm == "linf" ? " (255ths)" : ""),
                      .y_label = "accuracy, %",
                      .y_min = 0.0,
                      .y_max = 100.0,
                      .height = 460,
                      .width = 720};
  const double unit = norm == "linf" ? 255.0 : 1.0;
  double clean = std::nan("");
  for (const ConditionResult& result : results) {
    if (result.condition.kind == "clean") clean = result.figures.accuracy();
    if (result.condition.kind != "attack" || result.condition.facts.value("norm", std::string()) != norm) continue;
    vit::PlotSeries& series = series_of(plot, result.condition.name, 100.0 * clean);
    series.x.push_back(unit * result.condition.strength);
    series.y.push_back(100.0 * result.figures.accuracy());
  }
  return plot;
}

void save_robustness(const RobustnessReport& report, const std::filesystem::path& folder) {
  std::vector<std::string> pictures;
  for (const char* norm : {"linf", "l2"}) {
    const vit::CurvePlot plot = accuracy_curves(report.results, norm);
    if (plot.series.empty()) continue;
    pictures.push_back(fmt::format("accuracy_{}.png", norm));
    vit::save_image(folder / pictures.back(), vit::plot_curves(plot));
  }
  for (const ConditionResult* result : strongest(report.results)) {
    const vit::Image sheet = report.pictures.sheet(result->condition);
    if (!sheet.defined()) continue;
    pictures.push_back("pictures_" + result->condition.name + ".png");
    vit::save_image(folder / pictures.back(), sheet);
  }
  for (const std::string& name : save_corruption_pictures(report.results, report.spoilt, folder))
    pictures.push_back(name);
  std::vector<Record> records;
  records.reserve(report.results.size());
  for (const ConditionResult& result : report.results)
    records.push_back(condition_record(result, static_cast<int64_t>(report.unreadable.size())));
  vit::write_file_atomically(folder / "conditions.csv", csv_of(records));
  vit::write_file_atomically(folder / "report.md", markdown_of(report, pictures));
  write_report(folder, {{"model", report.model},
                        {"data", report.data},
                        {"images", report.images},
                        {"conditions", records},
                        {"corruptions", report.corruptions},
                        {"unreadable", unreadable_records(report.unreadable)}});
}

}  // namespace apps
