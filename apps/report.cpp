#include "apps/report.h"

#include <system_error>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace apps {

namespace {

/// Classes that -v shows where there are more.
constexpr int64_t kShownClasses = 20;

}  // namespace

Record unreadable_records(const std::vector<Unreadable>& pictures) {
  Record records = Record::array();
  for (const Unreadable& picture : pictures) records.push_back({{"source", picture.source}, {"error", picture.error}});
  return records;
}

void print_figures(Output& output, const CommonOptions& common, bool per_class, const Figures& figures) {
  if (output.format() == Format::text) {
    output.write({}, figures.text + "\n");
    if (per_class || common.verbose > 0) output.write({}, "\n" + figures.table(per_class ? 0 : kShownClasses));
    return;
  }
  if (output.format() == Format::csv && per_class)
    note(common, "{}", figures.text);
  else
    output.write(figures.summary, "");
  if (!per_class) return;
  for (const Record& record : figures.classes) output.write(record, "");
}

void prepare_save_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) vit::fail("--save: cannot make the folder ", folder.string(), ": ", error.message());
  vit::AtomicFile(folder / "report.json");  // opened and dropped: whether files can be made here
}

std::string csv_of(const std::vector<Record>& records) {
  std::string text;
  if (records.empty()) return text;
  for (const auto& [key, value] : records.front().items()) text += (text.empty() ? "" : ",") + csv_field(key);
  text += "\n";
  for (const Record& record : records) {
    bool is_first = true;
    for (const auto& [key, value] : record.items()) {
      text += (is_first ? "" : ",") + csv_field(value);
      is_first = false;
    }
    text += "\n";
  }
  return text;
}

void write_report(const std::filesystem::path& folder, const Record& report) {
  const std::string text = report.dump(2, ' ', /*ensure_ascii=*/false, Record::error_handler_t::replace);
  vit::write_file_atomically(folder / "report.json", text + "\n");
}

}  // namespace apps
