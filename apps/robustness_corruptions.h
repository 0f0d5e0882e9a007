// The corruptions that `vitkit robustness --corruptions` measures: one condition per family and severity, and what they
// say together. docs/corruptions.md.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/robustness_run.h"
#include "datasets/corruption_error.h"

namespace apps {

struct CorruptionOptions {
  std::vector<std::string> families{};  ///< as datasets::named_corruptions takes them; none: no corruptions
  std::vector<int64_t> severities = {1, 2, 3, 4, 5};
  std::string baseline{};  ///< file with another model's results
};

/// Adds --corruptions, --severities and --baseline.
void add_corruption_options(CLI::App& command, CorruptionOptions& options);

/// One condition per family and severity, in the paper's order; none without families. Pictures are spoilt as the model
/// would see them, resized and cropped, before they are normalised. Errors (usage): an unknown family, with the known
/// ones; a severity outside 1 to 5; severities or a baseline without families.
std::vector<Condition> corruption_conditions(const CorruptionOptions& options, uint64_t seed);

/// The errors of clean and corrupted conditions among results.
datasets::CorruptionErrors corruption_errors(const std::vector<ConditionResult>& results);

/// Another model's results.
struct CorruptionBaseline {
  datasets::CorruptionErrors errors{};
  int64_t images = 0;  ///< that they were measured on
};
/// Of a file of `--format json --output FILE`, or of the report.json of --save. Errors (usage): unreadable, no JSON,
/// values out of range, no corruption among them; the file is named.
CorruptionBaseline load_corruption_baseline(const std::string& file);

/// {"kind": "summary", "name": "corruptions", "mean_error", "mean_increase", "mce", "relative_mce", "groups": {GROUP:
/// mean error}, "families": {FAMILY: {"error", "increase", "ce", "relative_ce"}}}. Fractions, null where there is none.
Record corruption_summary_record(const datasets::CorruptionSummary& summary);
/// The means in a few lines, in percent; no line break at the end.
std::string corruption_summary_text(const datasets::CorruptionSummary& summary);

/// Prints the summary of the corruptions among results, as a record of JSON, as text, or beside CSV on stderr; nothing
/// where there are none. Returns the record, or null.
Record print_corruption_summary(const std::vector<ConditionResult>& results,
                                const std::optional<CorruptionBaseline>& baseline, Output& output,
                                const CommonOptions& common);

}  // namespace apps
