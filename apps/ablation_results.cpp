#include "apps/ablation_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"
#include "vit/image/plot.h"

namespace apps {

namespace {

namespace fs = std::filesystem;

double number(const Record& record, const char* key) {
  return record.contains(key) && record.at(key).is_number() ? record.at(key).get<double>() : kUnknownFigure;
}

VariantResult from_record(const Record& record) {
  VariantResult result;
  result.name = record.at("name").get<std::string>();
  result.value = record.at("value").get<std::string>();
  if (record.at("status") != "trained") result.failure = record.at("reason").get<std::string>();
  result.epochs = record.at("epochs").get<int64_t>();
  result.steps = record.at("steps").get<int64_t>();
  result.params = record.at("params").get<int64_t>();
  result.loss = number(record, "loss");
  result.val_loss = number(record, "val_loss");
  result.top1 = number(record, "top1");
  result.top5 = number(record, "top5");
  result.train_memory_mb = number(record, "train_memory_mb");
  result.gflop = number(record, "gflop");
  result.images_per_s = number(record, "images_per_s");
  result.memory_mb = number(record, "memory_mb");
  return result;
}

VariantResult parse_result(const std::string& text, const std::string& where) {
  try {
    return from_record(Record::parse(text));
  } catch (const nlohmann::json::exception&) {
    vit::fail_usage(where, ": this is no result of an ablation; remove it, and vitkit ablate writes it anew");
  }
}

/// The lines of a file; none when there is no file.
std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  if (!fs::exists(file)) return lines;
  std::istringstream stream(vit::read_file(file, int64_t{1} << 30));
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

struct Column {
  std::string title;
  std::function<std::string(const VariantResult&)> text;
  bool left = false;
};

std::string figure(double value, const char* format, double factor = 1.0) {
  return std::isfinite(value) ? fmt::format(fmt::runtime(format), factor * value) : "-";
}

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"variant", [](const VariantResult& r) { return r.name; }, /*left=*/true},
      {"top1 %", [](const VariantResult& r) { return r.trained() ? figure(r.top1, "{:.2f}", 100.0) : "failed"; }},
      {"val loss", [](const VariantResult& r) { return figure(r.val_loss, "{:.4f}"); }},
      {"loss", [](const VariantResult& r) { return figure(r.loss, "{:.4f}"); }},
      {"images/s", [](const VariantResult& r) { return figure(r.images_per_s, "{:.0f}"); }},
      {"params M", [](const VariantResult& r) { return figure(static_cast<double>(r.params), "{:.3f}", 1e-6); }},
      {"MFLOP", [](const VariantResult& r) { return figure(r.gflop, "{:.1f}", 1e3); }},
      {"memory MB", [](const VariantResult& r) { return figure(r.memory_mb, "{:.1f}"); }},
      {"training MB", [](const VariantResult& r) { return figure(r.train_memory_mb, "{:.1f}"); }}};
  return all;
}

/// The best accuracy first; failures last.
std::vector<VariantResult> ranked(std::vector<VariantResult> results) {
  const auto merit = [](const VariantResult& r) {
    if (!r.trained()) return -2.0;
    return std::isfinite(r.top1) ? r.top1 : -1.0;
  };
  std::stable_sort(results.begin(), results.end(),
                   [&](const VariantResult& a, const VariantResult& b) { return merit(a) > merit(b); });
  return results;
}

std::vector<size_t> widths_of(const std::vector<VariantResult>& results) {
  std::vector<size_t> widths;
  for (const Column& column : columns()) {
    size_t width = column.title.size();
    for (const VariantResult& result : results) width = std::max(width, column.text(result).size());
    widths.push_back(width);
  }
  return widths;
}

/// Cells in columns, `around` each: "| " and " " in Markdown.
std::string row_of(const std::vector<size_t>& widths, const char* before, const char* between, const char* after,
                   const std::function<std::string(const Column&)>& cell) {
  std::string line = before;
  for (size_t i = 0; i < widths.size(); ++i) {
    const Column& column = columns()[i];
    line += (i == 0 ? "" : between) + (column.left ? fmt::format("{:<{}}", cell(column), widths[i])
                                                   : fmt::format("{:>{}}", cell(column), widths[i]));
  }
  return line + after + "\n";
}

std::string failures_text(const std::vector<VariantResult>& results, const char* line_start) {
  std::string text;
  for (const VariantResult& result : results)
    if (!result.trained()) text += fmt::format("{}{} failed: {}\n", line_start, result.name, result.failure);
  return text;
}

std::string csv_text(const std::vector<VariantResult>& results) {
  std::string text;
  for (const VariantResult& result : results) {
    std::string header, row;
    const Record record = to_record(result);
    for (const auto& [key, value] : record.items()) {
      header += (header.empty() ? "" : ",") + key;
      row += (key == "name" ? "" : ",") + csv_field(value);
    }
    text += (text.empty() ? header + "\n" : "") + row + "\n";
  }
  return text;
}

void write_plot(const fs::path& file, const std::vector<VariantResult>& results, const std::string& x_label,
                const std::function<double(const VariantResult&)>& x) {
  vit::ScatterPlot plot{.title = "accuracy and cost", .x_label = x_label, .y_label = "top1, percent"};
  plot.log_x = true;
  for (const VariantResult& result : results)
    if (result.trained()) plot.points.push_back({result.name, x(result), 100.0 * result.top1});
  vit::save_image(file, vit::plot_scatter(plot));
}

}  // namespace

Record to_record(const VariantResult& result) {
  Record record = {{"name", result.name},
                   {"value", result.value},
                   {"status", result.trained() ? "trained" : "failed"},
                   {"reason", result.failure},
                   {"epochs", result.epochs},
                   {"steps", result.steps},
                   {"loss", result.loss},
                   {"val_loss", result.val_loss},
                   {"top1", result.top1},
                   {"top5", result.top5},
                   {"images_per_s", result.images_per_s},
                   {"params", result.params},
                   {"gflop", result.gflop},
                   {"memory_mb", result.memory_mb},
                   {"train_memory_mb", result.train_memory_mb}};
  for (auto& [key, value] : record.items())
    if (value.is_number_float() && !std::isfinite(value.get<double>())) value = nullptr;
  return record;
}

void read_training_figures(const fs::path& folder, VariantResult& result) {
  const fs::path file = folder / "metrics.jsonl";
  for (const std::string& line : lines_of(file)) {
    const Record record = Record::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) vit::fail(file.string(), ": a line is no JSON object");
    if (record.contains("grad_norm")) continue;  // within an epoch
    result.epochs = record.value("epoch", int64_t{-1}) + 1;
    result.steps = record.value("step", int64_t{0});
    result.loss = number(record, "loss");
    result.val_loss = number(record, "val_loss");
    result.top1 = number(record, "top1");
    result.top5 = number(record, "top5");
  }
}

std::optional<VariantResult> read_result(const fs::path& folder) {
  const fs::path file = folder / "result.json";
  if (!fs::exists(file)) return {};
  return parse_result(vit::read_file(file), file.string());
}

void write_result(const fs::path& folder, const VariantResult& result) {
  vit::write_file_atomically(folder / "result.json", json_line(to_record(result)) + "\n");
}

std::vector<VariantResult> read_results(const fs::path& output) {
  std::vector<VariantResult> results;
  const fs::path file = output / "results.jsonl";
  for (const std::string& line : lines_of(file)) results.push_back(parse_result(line, file.string()));
  return results;
}

std::string table_text(const std::vector<VariantResult>& results) {
  const std::vector<VariantResult> sorted = ranked(results);
  const std::vector<size_t> widths = widths_of(sorted);
  std::string text = row_of(widths, "", "  ", "", [](const Column& column) { return column.title; });
  for (const VariantResult& result : sorted)
    text += row_of(widths, "", "  ", "", [&](const Column& column) { return column.text(result); });
  return text + failures_text(sorted, "");
}

std::string table_markdown(const std::vector<VariantResult>& results) {
  const std::vector<VariantResult> sorted = ranked(results);
  const std::vector<size_t> widths = widths_of(sorted);
  std::string text = row_of(widths, "| ", " | ", " |", [](const Column& column) { return column.title; });
  text += "|";
  for (size_t i = 0; i < widths.size(); ++i)
    text += columns()[i].left ? " :" + std::string(widths[i] - 1, '-') + " |"
                              : " " + std::string(widths[i] - 1, '-') + ": |";
  text += "\n";
  for (const VariantResult& result : sorted)
    text += row_of(widths, "| ", " | ", " |", [&](const Column& column) { return column.text(result); });
  const std::string failures = failures_text(sorted, "- ");
  return text + (failures.empty() ? "" : "\n" + failures);
}

const std::vector<std::string>& result_files() {
  static const std::vector<std::string> names = {"table.md", "table.csv", "speed.png", "flops.png", "results.jsonl"};
  return names;
}

void write_results(const fs::path& output, const std::vector<VariantResult>& results) {
  std::string lines;
  for (const VariantResult& result : results) lines += json_line(to_record(result)) + "\n";
  vit::write_file_atomically(output / "table.md", table_markdown(results));
  vit::write_file_atomically(output / "table.csv", csv_text(results));
  write_plot(output / "speed.png", results, "images per second",
             [](const VariantResult& result) { return result.images_per_s; });
  write_plot(output / "flops.png", results, "MFLOP per picture",
             [](const VariantResult& result) { return 1e3 * result.gflop; });
  vit::write_file_atomically(output / "results.jsonl", lines);  // last: whoever has it has the others
}

}  // namespace apps
