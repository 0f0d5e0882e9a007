#include "apps/robustness_corruptions.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "apps/common.h"
#include "datasets/corruption.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/json.h"

namespace apps {

namespace {

Record optional_number(const std::optional<double>& value) { return value ? Record(*value) : Record(nullptr); }

std::string percent(double value) { return fmt::format("{:.2f} %", 100.0 * value); }

Condition corruption_condition(const std::string& family, int64_t severity, uint64_t seed) {
  return {.kind = "corruption",
          .name = family,
          .title = fmt::format("{} {}", family, severity),
          .facts = {{"severity", severity}},
          .strength = static_cast<double>(severity),
          .strength_text = std::to_string(severity),
          .change = [family, severity, seed](const vit::Image& picture, int64_t number) {
            return datasets::corrupt(picture, family, severity, seed, number);
          }};
}

/// Adds one line of a former run's results, if it is one of a clean or a corrupted condition.
void add_record(const vit::JsonObject& record, CorruptionBaseline& baseline) {
  const std::string kind = record.get_string("kind", "");
  if (kind != "clean" && kind != "corruption") return;
  const double error = 1.0 - record.require_double("accuracy", {0.0, 1.0});
  baseline.images = std::max(baseline.images, record.get_int("images", 0));
  if (kind == "clean") {
    baseline.errors.clean = error;
    return;
  }
  const std::string family = record.require_string("name");
  if (!datasets::corruption_registry().contains(family))
    vit::fail_usage(record.where("name"), ": ", datasets::corruption_registry().unknown(family));
  const int64_t severity = record.require_int("severity", {1, datasets::kCorruptionSeverities});
  baseline.errors.corrupted[family][severity] = error;
}

/// The records of a report.json, or of a file with one on each line.
std::vector<nlohmann::json> records_of(const std::string& text, const std::string& file) {
  std::vector<nlohmann::json> records;
  const bool is_report = nlohmann::json::accept(text);
  if (is_report) {
    nlohmann::json whole = vit::parse_json(text, file);
    if (!whole.is_object() || !whole.contains("conditions")) return {std::move(whole)};
    for (nlohmann::json& condition : whole["conditions"]) records.push_back(std::move(condition));
    return records;
  }
  size_t begin = 0;
  for (int64_t line = 1; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string one = text.substr(begin, end - begin);
    if (one.find_first_not_of(" \t\r") != std::string::npos)
      records.push_back(vit::parse_json(one, fmt::format("{}, line {}", file, line)));
    begin = end + 1;
  }
  return records;
}

}  // namespace

void add_corruption_options(CLI::App& command, CorruptionOptions& options) {
  const std::string group = "Corruptions";
  command
      .add_option_function<std::vector<std::string>>(
          "--corruptions",
          // A name that is not there arrives as an empty one; the help's default would arrive in its place if it had
          // one.
          [&options](const std::vector<std::string>& names) {
            const bool unnamed = std::all_of(names.begin(), names.end(), [](const auto& name) { return name.empty(); });
            options.families = unnamed ? std::vector<std::string>{"all"} : names;
          },
          with_example("Spoilt pictures: families (fog), groups (noise, blur, weather, digital), all (the fifteen of "
                       "ImageNet-C; also without a name), extra (its four others) (default: none)",
                       "--corruptions noise,fog"))
      ->type_name("NAME,...")
      ->expected(0, -1)
      ->delimiter(',')
      ->group(group);
  command.add_option("--severities", options.severities, with_example("How much, from 1 to 5", "--severities 1,3,5"))
      ->type_name("N,...")
      ->delimiter(',')
      ->group(group)
      ->default_str("1,2,3,4,5");
  command
      .add_option("--baseline", options.baseline,
                  with_example("Results of another model (of --format json --output F, or report.json), which errors "
                               "are divided by: mCE",
                               "--baseline other.json"))
      ->type_name("F")
      ->group(group)
      ->default_str("none");
}

std::vector<Condition> corruption_conditions(const CorruptionOptions& options, uint64_t seed) {
  if (options.families.empty()) {
    if (!options.baseline.empty())
      vit::fail_usage("--baseline ", options.baseline, ": there is nothing to divide without --corruptions");
    return {};
  }
  for (const int64_t severity : options.severities)
    if (severity < 1 || severity > datasets::kCorruptionSeverities)
      vit::fail_usage("--severities: they are 1 to ", datasets::kCorruptionSeverities, ", got ", severity);
  const std::set<int64_t> severities(options.severities.begin(), options.severities.end());
  std::vector<Condition> conditions;
  for (const std::string& family : datasets::named_corruptions(options.families))
    for (const int64_t severity : severities) conditions.push_back(corruption_condition(family, severity, seed));
  return conditions;
}

datasets::CorruptionErrors corruption_errors(const std::vector<ConditionResult>& results) {
  datasets::CorruptionErrors errors;
  for (const ConditionResult& result : results) {
    const Condition& condition = result.condition;
    const double error = 1.0 - result.figures.accuracy();
    if (condition.kind == "clean") errors.clean = error;
    if (condition.kind == "corruption")
      errors.corrupted[condition.name][condition.facts.at("severity").get<int64_t>()] = error;
  }
  return errors;
}

CorruptionBaseline load_corruption_baseline(const std::string& file) {
  CorruptionBaseline baseline;
  std::string text;
  try {
    text = vit::read_file(file);
  } catch (const vit::Error& error) {
    vit::fail_usage("--baseline: ", error.what());
  }
  const std::vector<nlohmann::json> records = records_of(text, file);
  for (size_t i = 0; i < records.size(); ++i)
    add_record(vit::JsonObject(records[i], fmt::format("{}: result {}", file, i + 1)), baseline);
  if (baseline.errors.corrupted.empty())
    vit::fail_usage(file,
                    ": no corruption is among its results; such a file is made by vitkit robustness "
                    "--model OTHER --corruptions all --format json --output FILE");
  return baseline;
}

Record corruption_summary_record(const datasets::CorruptionSummary& summary) {
  Record groups = Record::object(), families = Record::object();
  for (const datasets::GroupError& group : summary.groups) groups[group.group] = group.mean;
  for (const datasets::FamilyError& family : summary.families)
    families[family.family] = {{"error", family.mean},
                               {"increase", optional_number(family.increase)},
                               {"ce", optional_number(family.normalised)},
                               {"relative_ce", optional_number(family.relative_normalised)}};
  return {{"kind", "summary"},
          {"name", "corruptions"},
          {"mean_error", optional_number(summary.mean_error)},
          {"mean_increase", optional_number(summary.mean_increase)},
          {"mce", optional_number(summary.mce)},
          {"relative_mce", optional_number(summary.relative_mce)},
          {"groups", groups},
          {"families", families}};
}

std::string corruption_summary_text(const datasets::CorruptionSummary& summary) {
  std::string text = "corruptions";
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) text += fmt::format("   {} {}", name, percent(*value));
  };
  add("mean error", summary.mean_error);
  add("above clean", summary.mean_increase);
  add("mCE", summary.mce);
  add("relative mCE", summary.relative_mce);
  if (!summary.groups.empty()) text += "\nmean error by group";
  for (const datasets::GroupError& group : summary.groups)
    text += fmt::format("   {} {}", group.group, percent(group.mean));
  for (const datasets::FamilyError& family : summary.families) {
    text += fmt::format("\n{:<20} {:<8} mean error {:>8}", family.family, family.group, percent(family.mean));
    if (family.normalised) text += fmt::format("   CE {:>8}", percent(*family.normalised));
    if (family.relative_normalised) text += fmt::format("   relative CE {:>9}", percent(*family.relative_normalised));
  }
  return text;
}

Record print_corruption_summary(const std::vector<ConditionResult>& results,
                                const std::optional<CorruptionBaseline>& baseline, Output& output,
                                const CommonOptions& common) {
  const datasets::CorruptionErrors errors = corruption_errors(results);
  if (errors.corrupted.empty()) return nullptr;
  const int64_t images = results.front().figures.count();
  if (baseline && baseline->images != images)
    note(common, "warning: the baseline was measured on {} pictures, this on {}: mCE compares the same ones only",
         baseline->images, images);
  const datasets::CorruptionSummary summary =
      datasets::summarise_corruptions(errors, baseline ? &baseline->errors : nullptr);
  Record record = corruption_summary_record(summary);
  const std::string text = corruption_summary_text(summary);
  if (output.format() == Format::csv)
    note(common, "{}", text);  // a CSV file has one header
  else
    output.write(record, text + "\n");
  return record;
}

}  // namespace apps
