#include "apps/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vit/models/labels.h"

namespace apps {

namespace {

constexpr size_t kMaxNameWidth = 40;

/// null for NaN.
Record number(double value) { return std::isfinite(value) ? Record(value) : Record(nullptr); }

/// "71.28 %", "-" where there is no figure.
std::string percent(double value) { return std::isfinite(value) ? fmt::format("{:.2f} %", 100.0 * value) : "-"; }
std::string percent(const Record& value) { return value.is_null() ? "-" : percent(value.get<double>()); }

std::string decimals(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : "-"; }

double images_per_second(const Evaluation& evaluation) {
  return static_cast<double>(evaluation.counts.answered) / evaluation.seconds;
}

/// The records that a table of `limit` rows shows: those with the lowest top-1, classes without pictures last.
std::vector<Record> lowest(std::vector<Record> records, int64_t limit) {
  const auto top1 = [](const Record& record) { return record["top1"].is_null() ? 2.0 : record["top1"].get<double>(); };
  std::stable_sort(records.begin(), records.end(), [&](const Record& a, const Record& b) { return top1(a) < top1(b); });
  records.resize(static_cast<size_t>(limit));
  return records;
}

}  // namespace

Record summary_record(const Evaluation& evaluation) {
  const datasets::ClassificationReport& report = evaluation.report;
  return {{"model", evaluation.model},
          {"data", evaluation.data},
          {"images", evaluation.counts.answered},
          {"errors", evaluation.counts.failed},
          {"classes", evaluation.names.size()},
          {"mapping", name_of(evaluation.mapping.rule)},
          {"top1", number(report.overall().top1())},
          {"top5", number(report.overall().top5())},
          {"loss", number(report.overall().loss())},
          {"ece", number(report.calibration().expected_error())},
          {"mce", number(report.calibration().maximum_error())},
          {"confidence", number(report.calibration().confidence())},
          {"balanced_top1", number(report.balanced_top1())},
          {"macro_f1", number(report.macro_f1())},
          {"images_per_s", number(images_per_second(evaluation))}};
}

std::string summary_text(const Evaluation& evaluation) {
  const datasets::ClassificationReport& report = evaluation.report;
  return fmt::format(
      "top-1 {}   top-5 {}   loss {}   ({} images in {} classes, {} unreadable, {:.1f} images/s)\n"
      "calibration error {} (largest {})   confidence {}   balanced top-1 {}   macro F1 {}",
      percent(report.overall().top1()), percent(report.overall().top5()), decimals(report.overall().loss()),
      evaluation.counts.answered, evaluation.names.size(), evaluation.counts.failed, images_per_second(evaluation),
      percent(report.calibration().expected_error()), percent(report.calibration().maximum_error()),
      percent(report.calibration().confidence()), percent(report.balanced_top1()), percent(report.macro_f1()));
}

std::vector<Record> class_records(const Evaluation& evaluation) {
  const datasets::ConfusionMatrix& confusion = evaluation.report.confusion();
  std::vector<Record> records;
  for (size_t i = 0; i < evaluation.names.size(); ++i) {
    const int64_t index = evaluation.mapping.classes[i];
    const vit::ClassificationMetrics& metrics = evaluation.report.of_label(static_cast<int64_t>(i));
    const datasets::ConfusionMatrix::Cell mistake = confusion.worst_mistake(index);
    records.push_back(
        {{"class", evaluation.names[i]},
         {"label", evaluation.labels.name(index)},
         {"index", index},
         {"pictures", metrics.count()},
         {"top1", number(metrics.top1())},
         {"top5", number(metrics.top5())},
         {"precision", number(confusion.precision(index))},
         {"recall", number(confusion.recall(index))},
         {"f1", number(confusion.f1(index))},
         {"mistaken_for", mistake.count > 0 ? Record(evaluation.labels.name(mistake.predicted)) : Record(nullptr)},
         {"mistakes", mistake.count}});
  }
  return records;
}

std::string shown_name(const Evaluation& evaluation, size_t label) {
  const bool synset = evaluation.mapping.rule == datasets::MappingRule::wnid;
  return synset ? evaluation.labels.name(evaluation.mapping.classes[label]) : evaluation.names[label];
}

std::string class_table(const Evaluation& evaluation, int64_t limit) {
  std::vector<Record> records = class_records(evaluation);
  for (size_t i = 0; i < records.size(); ++i) records[i]["class"] = shown_name(evaluation, i);
  const size_t classes = records.size();
  const bool all = limit <= 0 || static_cast<int64_t>(classes) <= limit;
  if (!all) records = lowest(std::move(records), limit);
  size_t width = std::string("class").size();
  for (const Record& record : records)
    width = std::clamp(record["class"].get<std::string>().size(), width, kMaxNameWidth);
  std::string text = fmt::format("{:<{}}  {:>8}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n", "class", width, "pictures", "top-1",
                                 "top-5", "precision", "F1", "most often mistaken for");
  for (const Record& record : records) {
    const std::string mistake =
        record["mistaken_for"].is_null()
            ? ""
            : fmt::format("{} ({})", record["mistaken_for"].get<std::string>(), record["mistakes"].get<int64_t>());
    text += fmt::format("{:<{}.{}}  {:>8}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n", record["class"].get<std::string>(), width,
                        width, record["pictures"].get<int64_t>(), percent(record["top1"]), percent(record["top5"]),
                        percent(record["precision"]), percent(record["f1"]), mistake);
  }
  if (!all) text += fmt::format("({} of {} classes, those of lowest top-1; --per-class shows all)\n", limit, classes);
  return text;
}

std::vector<Record> reliability_records(const Evaluation& evaluation) {
  std::vector<Record> records;
  for (const datasets::Calibration::Bin& bin : evaluation.report.calibration().bins())
    records.push_back({{"from", bin.from},
                       {"to", bin.to},
                       {"pictures", bin.count},
                       {"confidence", number(bin.confidence)},
                       {"accuracy", number(bin.accuracy)}});
  return records;
}

}  // namespace apps
