#include "apps/detection_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "detection/coco_json.h"
#include "detection/coco_plots.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"

namespace apps {

namespace {

constexpr size_t kMaxNameWidth = 40;

/// "45.54 %", "-" where no object counts.
std::string percent(double value) { return value < 0.0 ? "-" : fmt::format("{:.2f} %", 100.0 * value); }
std::string percent(const Record& value) { return value.is_null() ? "-" : percent(value.get<double>()); }

/// Names of the classes, by category id.
std::vector<std::string> class_names(const DetectionEvaluation& evaluation) {
  std::map<int64_t, std::string> name_of;
  for (size_t i = 0; i < evaluation.truth.categories.size(); ++i) {
    const int64_t id = evaluation.truth.categories[i];
    const bool named = i < evaluation.truth.names.size() && !evaluation.truth.names[i].empty();
    name_of[id] = named ? evaluation.truth.names[i] : std::to_string(id);
  }
  std::vector<std::string> names;
  for (const int64_t id : evaluation.result->categories()) names.push_back(name_of[id]);
  return names;
}

struct BestF1 {
  double f1 = 0.0, score = 0.0;
};

/// Over the points of the precision curve at the lowest overlap.
BestF1 best_f1(const detection::CocoResult& result, size_t k) {
  BestF1 best;
  for (size_t r = 1; r < detection::CocoResult::kRecalls; ++r) {
    const double precision = result.precision(0, r, k), recall = detection::CocoResult::recall_point(r);
    if (precision <= 0.0) break;
    const double f1 = 2.0 * precision * recall / (precision + recall);
    if (f1 > best.f1) best = {f1, result.score(0, r, k)};
  }
  return best;
}

void add_figures(Record& record, const detection::CocoSummary& summary) {
  for (const auto& [name, value] : summary.figures()) record[name] = value;
}

int64_t counted_objects(const detection::CocoResult& result) {
  int64_t objects = 0;
  for (size_t k = 0; k < result.categories().size(); ++k) objects += result.objects(k);
  return objects;
}

}  // namespace

Record detection_summary(const DetectionEvaluation& evaluation) {
  Record record = {{evaluation.source_key, evaluation.source},       {"data", evaluation.data},
                   {"images", evaluation.truth.images.size()},       {"errors", evaluation.unreadable.size()},
                   {"classes", evaluation.truth.categories.size()},  {"mapping", evaluation.mapping},
                   {"objects", counted_objects(*evaluation.result)}, {"found", evaluation.detections.size()}};
  add_figures(record, evaluation.result->summary());
  if (evaluation.seconds > 0.0)
    record["images_per_s"] = static_cast<double>(evaluation.truth.images.size()) / evaluation.seconds;
  return record;
}

std::string detection_summary_text(const DetectionEvaluation& evaluation) {
  const detection::CocoSummary s = evaluation.result->summary();
  std::string text = fmt::format(
      "AP {}   AP50 {}   AP75 {}   small {}   medium {}   large {}\n"
      "AR {} (1 per picture)   {} (10)   {} (100)   small {}   medium {}   large {}\n"
      "{} objects of {} classes in {} images, {} detections, {} unreadable",
      percent(s.map), percent(s.map50), percent(s.map75), percent(s.map_small), percent(s.map_medium),
      percent(s.map_large), percent(s.mar1), percent(s.mar10), percent(s.mar100), percent(s.mar_small),
      percent(s.mar_medium), percent(s.mar_large), counted_objects(*evaluation.result),
      evaluation.truth.categories.size(), evaluation.truth.images.size(), evaluation.detections.size(),
      evaluation.unreadable.size());
  if (evaluation.seconds > 0.0)
    text += fmt::format(", {:.1f} images/s", static_cast<double>(evaluation.truth.images.size()) / evaluation.seconds);
  return text;
}

std::vector<Record> detection_class_records(const DetectionEvaluation& evaluation) {
  const detection::CocoResult& result = *evaluation.result;
  const std::vector<std::string> names = class_names(evaluation);
  std::vector<Record> records;
  for (size_t k = 0; k < names.size(); ++k) {
    Record record = {{"class", names[k]},
                     {"category_id", result.categories()[k]},
                     {"objects", result.objects(k)},
                     {"found", result.detections(k)}};
    add_figures(record, result.summary(k));
    const bool has_objects = result.objects(k) > 0;
    const BestF1 best = best_f1(result, k);
    record["f1"] = has_objects ? Record(best.f1) : Record(nullptr);
    record["score"] = has_objects ? Record(best.score) : Record(nullptr);
    records.push_back(std::move(record));
  }
  return records;
}

std::string detection_class_table(const DetectionEvaluation& evaluation, int64_t limit) {
  std::vector<Record> records = detection_class_records(evaluation);
  const size_t classes = records.size();
  const bool all = limit <= 0 || static_cast<int64_t>(classes) <= limit;
  if (!all) {
    const auto key = [](const Record& record) {  // classes without objects last
      const double map = record["map"].get<double>();
      return map < 0.0 ? 2.0 : map;
    };
    std::stable_sort(records.begin(), records.end(), [&](const Record& a, const Record& b) { return key(a) < key(b); });
    records.resize(static_cast<size_t>(limit));
  }
  size_t width = std::string("class").size();
  for (const Record& record : records)
    width = std::clamp(record["class"].get<std::string>().size(), width, kMaxNameWidth);
  std::string text = fmt::format("{:<{}}  {:>8}  {:>8}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}\n", "class", width,
                                 "objects", "found", "AP", "AP50", "AP75", "AR", "F1", "at score");
  for (const Record& record : records)
    text += fmt::format("{:<{}.{}}  {:>8}  {:>8}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}\n",
                        record["class"].get<std::string>(), width, width, record["objects"].get<int64_t>(),
                        record["found"].get<int64_t>(), percent(record["map"]), percent(record["map50"]),
                        percent(record["map75"]), percent(record["mar100"]), percent(record["f1"]),
                        record["score"].is_null() ? "-" : fmt::format("{:.3f}", record["score"].get<double>()));
  if (!all) text += fmt::format("({} of {} classes, those of lowest AP; --per-class shows all)\n", limit, classes);
  return text;
}

void save_detection_evaluation(const DetectionEvaluation& evaluation, const std::filesystem::path& folder) {
  vit::write_file_atomically(folder / "per_class.csv", csv_of(detection_class_records(evaluation)));
  detection::write_coco_detections(folder / "detections.json", evaluation.detections);
  vit::save_image(folder / "pr_curve.png", detection::plot_precision_recall(*evaluation.result));
  vit::save_image(folder / "ap_per_class.png",
                  detection::plot_class_precision(*evaluation.result, class_names(evaluation)));
  Record record = detection_summary(evaluation);
  record["per_class"] = detection_class_records(evaluation);
  record["unknown_classes"] = evaluation.unknown_classes;
  record["unreadable"] = unreadable_records(evaluation.unreadable);
  write_report(folder, record);
}

}  // namespace apps
