#include "datasets/caption_table.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <utility>

#include "datasets/csv.h"
#include "datasets/picture_finder.h"
#include "vit/core/check.h"
#include "vit/media/source.h"

namespace datasets {

namespace {

constexpr size_t kSniffedBytes = size_t{64} << 10;

using Fields = std::vector<std::string>;

bool is_one_of(const std::string& name, const std::set<std::string>& names) { return names.contains(lower_case(name)); }

bool names_files(const std::string& name) {
  return is_one_of(name, {"image", "file", "file_name", "filename", "image_name", "image_path", "path", "filepath"});
}

bool names_captions(const std::string& name) {
  return is_one_of(name, {"caption", "captions", "sentence", "comment", "text", "title"});
}

/// "a.jpg#3": "a.jpg".
std::string without_number(const std::string& file) {
  const size_t mark = file.rfind('#');
  if (mark == std::string::npos || mark == 0 || mark + 1 == file.size()) return file;
  const bool digits = std::all_of(file.begin() + static_cast<std::ptrdiff_t>(mark) + 1, file.end(),
                                  [](unsigned char c) { return std::isdigit(c); });
  return digits ? file.substr(0, mark) : file;
}

/// Rows of either kind, field by field.
class Rows {
 public:
  Rows(const std::string& text, const std::string& name)
      : text_(text), csv_(text, ',', name), is_csv_(text.substr(0, text.find('\n')).find('\t') == std::string::npos) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  /// False at the end. `line` is where the row begins.
  bool next(Fields& fields, int64_t& line) {
    fields.clear();
    if (is_csv_) {
      const bool more = csv_.next(fields);
      line = csv_.line();
      return more;
    }
    while (!text_.empty()) {
      const size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view row = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++line_;
      if (row.ends_with('\r')) row.remove_suffix(1);
      if (row.empty()) continue;
      line = line_;
      split(row, fields);
      return true;
    }
    return false;
  }

 private:
  /// All but the last column are up to a tab; the header's count says which is the last.
  void split(std::string_view row, Fields& fields) {
    for (size_t tab = row.find('\t'); tab != std::string_view::npos && (columns_ == 0 || fields.size() + 1 < columns_);
         tab = row.find('\t')) {
      fields.emplace_back(row.substr(0, tab));
      row.remove_prefix(tab + 1);
    }
    fields.emplace_back(row);
    if (columns_ == 0) columns_ = fields.size();
  }

  std::string_view text_;
  CsvReader csv_;
  bool is_csv_;
  int64_t line_ = 0;
  size_t columns_ = 0;  // of the first row
};

struct Columns {
  size_t file = 0, caption = 1;
  bool has_header = false;
};

Columns columns_of(const Fields& first) {
  Columns columns;
  const auto file = std::find_if(first.begin(), first.end(), names_files);
  const auto caption = std::find_if(first.begin(), first.end(), names_captions);
  if (file == first.end() || caption == first.end()) return columns;
  columns.file = static_cast<size_t>(file - first.begin());
  columns.caption = static_cast<size_t>(caption - first.begin());
  columns.has_header = true;
  return columns;
}

}  // namespace

std::vector<CaptionRow> parse_caption_table(const std::string& text, const std::string& name) {
  std::vector<CaptionRow> rows;
  Rows reader(text, name);
  Fields fields;
  std::optional<Columns> columns;
  for (int64_t line = 0; reader.next(fields, line);) {
    if (!columns) {
      columns = columns_of(fields);
      if (columns->has_header) continue;
    }
    if (fields.size() <= std::max(columns->file, columns->caption))
      vit::fail_usage(name, ":", line, ": expected a file and a caption, separated by a tab (or a comma), got '",
                      fields.front(), "'");
    std::string file = without_number(fields[columns->file]);
    if (file.empty()) vit::fail_usage(name, ":", line, ": the name of the file is empty");
    rows.push_back({line, std::move(file), fields[columns->caption]});
  }
  return rows;
}

bool looks_like_caption_table(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string ending = lower_case(file.extension().string());
  std::error_code error;
  if ((ending != ".tsv" && ending != ".csv" && ending != ".txt") || !std::filesystem::is_regular_file(file, error))
    return false;
  std::ifstream stream(path, std::ios::binary);
  std::string beginning(kSniffedBytes, '\0');
  stream.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  beginning.resize(std::min(beginning.find('\n'), beginning.size()));
  try {
    Fields first;
    int64_t line = 0;
    if (!Rows(beginning, path).next(first, line) || first.size() < 2) return false;
    if (columns_of(first).has_header) return true;
    const std::string picture = without_number(first[0]);
    if (!vit::has_image_extension(picture)) return false;
    return picture != first[0] || lower_case(file.stem().string()).find("caption") != std::string::npos;
  } catch (const vit::Error&) {
    return false;
  }
}

}  // namespace datasets
