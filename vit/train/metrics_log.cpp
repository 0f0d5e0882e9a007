#include "vit/train/metrics_log.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace vit {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxLogBytes = int64_t{4} << 30;

std::string shortest(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
  return {text, end};
}

std::string csv_header(const std::vector<std::string>& columns) {
  std::string line = "epoch,step";
  for (const std::string& column : columns) {
    check(column.find_first_of(",\"\n\r") == std::string::npos, "metrics: '", column,
          "' cannot name a column of a CSV file");
    line += "," + column;
  }
  return line;
}

std::string csv_line(const MetricsRow& row, const std::vector<std::string>& columns) {
  std::string line = std::to_string(row.epoch) + "," + std::to_string(row.step);
  for (const std::string& column : columns) {
    const auto found =
        std::find_if(row.values.begin(), row.values.end(), [&](const auto& value) { return value.first == column; });
    line += ",";
    if (found != row.values.end()) line += shortest(found->second);
  }
  return line;
}

/// The step of a line, if it has one.
std::optional<int64_t> step_of_csv(std::string_view line) {
  const size_t begin = line.find(',') + 1;
  const size_t end = std::min(line.find(',', begin), line.size());
  int64_t step = 0;
  if (begin == 0 || std::from_chars(line.data() + begin, line.data() + end, step).ptr != line.data() + end) return {};
  return step;
}

std::optional<int64_t> step_of_json(std::string_view line) {
  const nlohmann::json row = nlohmann::json::parse(line, nullptr, false);
  const auto step = row.is_object() ? row.find("step") : row.end();
  if (!row.is_object() || step == row.end() || !step->is_number_integer()) return {};
  return step->get<int64_t>();
}

/// The file's whole lines up to `last_step`; the first `head` lines always.
void cut_back(const fs::path& path, size_t head, int64_t last_step,
              const std::function<std::optional<int64_t>(std::string_view)>& step_of) {
  if (!fs::exists(path)) return;
  const std::string text = read_file(path, kMaxLogBytes, ErrorKind::kFailure);
  std::string kept;
  size_t lines = 0;
  for (size_t begin = 0; begin < text.size(); ++lines) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const std::optional<int64_t> step = lines < head ? std::nullopt : step_of(line);
    if (lines < head || (step && *step <= last_step)) kept.append(line).append("\n");
    begin = end + 1;
  }
  if (kept != text) write_file_atomically(path, kept);
}

std::string first_line(const fs::path& path) {
  const std::string text = read_file(path, kMaxLogBytes, ErrorKind::kFailure);
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string json_line(const MetricsRow& row) {
  std::string line = "{\"epoch\": " + std::to_string(row.epoch) + ", \"step\": " + std::to_string(row.step);
  for (const auto& [name, value] : row.values)
    line += ", " + nlohmann::json(name).dump() + ": " + (std::isfinite(value) ? shortest(value) : "null");
  return line + "}";
}

MetricsLog::MetricsLog(const fs::path& folder, std::vector<std::string> columns, std::optional<int64_t> resumed_step)
    : columns_(std::move(columns)) {
  const fs::path csv = folder / "metrics.csv", jsonl = folder / "metrics.jsonl";
  const std::string header = csv_header(columns_);
  if (resumed_step) {
    cut_back(csv, 1, *resumed_step, step_of_csv);
    cut_back(jsonl, 0, *resumed_step, step_of_json);
  }
  const bool has_header = resumed_step && fs::exists(csv) && fs::file_size(csv) > 0;
  if (has_header && first_line(csv) != header)
    fail_usage(csv.string(), ": its columns are '", first_line(csv), "' and this run's '", header,
               "'; resume with the options the run began with, or move the file away");
  csv_ = std::make_unique<AppendFile>(csv, !resumed_step);
  jsonl_ = std::make_unique<AppendFile>(jsonl, !resumed_step);
  if (!has_header) csv_->append(header + "\n");
}

void MetricsLog::log(const MetricsRow& row) {
  csv_->append(csv_line(row, columns_) + "\n");
  jsonl_->append(json_line(row) + "\n");
}

}  // namespace vit
