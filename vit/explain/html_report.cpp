#include "vit/explain/html_report.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/utf8.h"
#include "vit/explain/report_data.h"
#include "vit/explain/report_page.h"
#include "vit/explain/report_plan.h"

namespace vit {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char letter : repaired_utf8(text)) switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += letter;
    }
  return result;
}

/// The page with {{name}} replaced, in one pass: what is put in is not looked at again.
std::string filled(std::string_view page, const std::vector<std::pair<std::string_view, std::string_view>>& parts) {
  std::string result;
  while (true) {
    const size_t open = page.find("{{"), close = page.find("}}");
    result += page.substr(0, open);
    if (open == std::string_view::npos) return result;
    const std::string_view name = page.substr(open + 2, close - open - 2);
    for (const auto& [part, text] : parts)
      if (part == name) result += text;
    page.remove_prefix(close + 2);
  }
}

std::string page_with(const Report& report, const std::string& data) {
  const std::string title = escaped(report.title.empty() ? "vitkit explain" : report.title);
  const std::string script = std::string(resources::report_data_js()) + std::string(resources::report_page_js());
  return filled(resources::report_page_html(), {{"title", title},
                                                {"style", resources::report_page_css()},
                                                {"script", script},
                                                {"data", data},
                                                {"version", VITKIT_VERSION}});
}

/// Bytes of the page without any attention, but with all that may be said about what is left out.
int64_t bare_size(const Report& report, const ReportOptions& options) {
  constexpr int64_t kNotesRoom = 256;  // for a second note of a picture
  detail::ReportPlan plan = detail::plan_report(report, std::numeric_limits<int64_t>::max());
  plan.notes = detail::plan_report(report, 0).notes;
  return static_cast<int64_t>(page_with(report, detail::report_json(report, plan, options, false)).size() +
                              kNotesRoom * (report.pictures.size() + 1));
}

}  // namespace

std::string html_report(const Report& report, const ReportOptions& options) {
  check(options.picture_side >= 32 && options.picture_side <= 8192,
        "report: expected a picture_side from 32 to 8192, got ", options.picture_side);
  check(!report.pictures.empty(), "report: there is no picture");
  for (size_t p = 0; p < report.pictures.size(); ++p) detail::check_picture(report.pictures[p], p);
  Report kept = report;  // tensors are shared
  int64_t bare = bare_size(kept, options);
  while (bare > options.max_bytes && kept.pictures.size() > 1) {
    const auto count = static_cast<int64_t>(kept.pictures.size());
    const int64_t fitting = std::clamp<int64_t>(count * options.max_bytes / bare, 1, count - 1);
    kept.pictures.resize(static_cast<size_t>(fitting));
    kept.left_out += count - fitting;
    bare = bare_size(kept, options);
  }
  if (bare > options.max_bytes)
    fail_usage("report: ", kept.pictures.front().name, " and its maps alone take ", bare,
               " bytes, more than the limit of ", options.max_bytes,
               "; raise it, or make pictures smaller (picture_side ", options.picture_side, ")");
  const detail::ReportPlan plan = detail::plan_report(kept, options.max_bytes - bare);
  return page_with(kept, detail::report_json(kept, plan, options));
}

void write_html_report(const std::filesystem::path& path, const Report& report, const ReportOptions& options) {
  std::string page;
  try {
    page = html_report(report, options);
  } catch (const Error& error) {
    throw Error(path.string() + ": " + error.what(), error.kind());
  }
  write_file_atomically(path, page);
}

}  // namespace vit
