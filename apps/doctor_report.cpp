#include "apps/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace apps {

using datasets::Finding;
using datasets::Severity;

namespace {

constexpr Severity kSeverities[] = {Severity::error, Severity::warning, Severity::note};

size_t count_of(const std::vector<Finding>& findings, Severity severity) {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [&](const Finding& finding) { return finding.severity == severity; }));
}

/// Kinds of one severity in the order in which they are found.
std::vector<std::string> kinds_of(const std::vector<Finding>& findings, Severity severity) {
  std::vector<std::string> kinds;
  for (const Finding& finding : findings)
    if (finding.severity == severity && std::find(kinds.begin(), kinds.end(), finding.kind) == kinds.end())
      kinds.push_back(finding.kind);
  return kinds;
}

std::string kind_text(const std::vector<Finding>& findings, Severity severity, const std::string& kind, size_t limit) {
  std::string text;
  size_t count = 0;
  for (const Finding& finding : findings) {
    if (finding.severity != severity || finding.kind != kind) continue;
    if (limit == 0 || count < limit) text += fmt::format("    {}: {}\n", finding.source, finding.detail);
    ++count;
  }
  if (limit > 0 && count > limit) text += fmt::format("    ... and {} more (-v shows all)\n", count - limit);
  return fmt::format("  {} ({})\n{}", kind, count, text);
}

}  // namespace

std::string doctor_summary(const std::vector<Finding>& findings) {
  std::string text;
  for (const Severity severity : kSeverities) {
    const size_t count = count_of(findings, severity);
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, name_of(severity), count == 1 ? "" : "s");
  }
  return text;
}

std::string doctor_report(const datasets::Examination& examination, const std::vector<Finding>& findings,
                          size_t limit) {
  std::string text;
  for (const datasets::ExaminedSplit& split : examination.splits) {
    const auto readable = std::count_if(split.pictures.begin(), split.pictures.end(),
                                        [](const auto& facts) { return facts.is_readable(); });
    const size_t pictures = split.pictures.size(), classes = split.data->class_names().size();
    const std::string kinds =
        classes == 0 ? " with captions" : fmt::format(" in {} {}", classes, classes == 1 ? "class" : "classes");
    text += fmt::format("{}: {} {}{}, {} readable{}\n", split.root, pictures, pictures == 1 ? "picture" : "pictures",
                        kinds, readable, split.name.empty() ? "" : fmt::format(" (split {})", split.name));
  }
  for (const Severity severity : kSeverities) {
    const std::vector<std::string> kinds = kinds_of(findings, severity);
    if (!kinds.empty()) text += fmt::format("\n{}s\n", name_of(severity));
    for (const std::string& kind : kinds) text += kind_text(findings, severity, kind, limit);
  }
  return text + "\n" + doctor_summary(findings) + "\n";
}

}  // namespace apps
