// What the reports of evaluations share: how figures are printed, and the files of --save.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/output.h"

namespace apps {

/// A picture that could not be evaluated, and why.
struct Unreadable {
  std::string source, error;
};
/// [{"source", "error"}]
Record unreadable_records(const std::vector<Unreadable>& pictures);

/// The figures of an evaluation, ready to be printed.
struct Figures {
  Record summary{};
  std::string text{};             ///< the summary for people; no line break at the end
  std::vector<Record> classes{};  ///< one per class
  /// A table of these; above 0, `limit` is the number of rows at most.
  std::function<std::string(int64_t limit)> table{};
};
/// Prints the summary, and the classes with --per-class; of text also with -v, the worst classes only where there are
/// many. A CSV file has one header: with --per-class it is the classes', and the summary goes to stderr. Errors: as
/// Output.
void print_figures(Output& output, const CommonOptions& common, bool per_class, const Figures& figures);

/// Makes the folder of --save, so that one that cannot be written to is noticed before the work.
/// Errors: naming it and the reason.
void prepare_save_folder(const std::filesystem::path& folder);
/// One line per record; the first one's keys make the header. Empty without records.
std::string csv_of(const std::vector<Record>& records);
/// Writes report.json whole or not at all. Errors: as AtomicFile.
void write_report(const std::filesystem::path& folder, const Record& report);

}  // namespace apps
