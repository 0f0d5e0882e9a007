// Tables of text: comma-separated values by RFC 4180, and the same with another delimiter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace datasets {

/// Reads row by row. Fields may be quoted, a quote in them is doubled, quoted fields may hold line breaks. A byte order
/// mark and empty lines are skipped.
class CsvReader {
 public:
  /// `name` is what messages call the text, which must outlive the reader.
  CsvReader(std::string_view text, char delimiter, std::string name);
  /// The next row; false at the end. Errors (usage), with file and line: an unclosed quote, text behind a quoted field,
  /// a zero byte.
  bool next(std::vector<std::string>& fields);
  /// "labels.csv:12": where the last row begins.
  std::string place() const;
  int64_t line() const { return row_line_; }

 private:
  std::string quoted_field();
  std::string plain_field();
  bool at_line_end() const { return at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }
  void skip_line_end();

  std::string_view text_;
  std::string name_;
  char delimiter_;
  size_t at_ = 0;
  int64_t line_ = 1, row_line_ = 1;
};

/// ',', ';' or a tab: whichever stands most often in the first line; ',' where none does.
char guess_delimiter(std::string_view text);

}  // namespace datasets
