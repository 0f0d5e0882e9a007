#include "datasets/csv.h"

#include <algorithm>
#include <utility>

#include "vit/core/check.h"

namespace datasets {

namespace {
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
}

CsvReader::CsvReader(std::string_view text, char delimiter, std::string name)
    : text_(text), name_(std::move(name)), delimiter_(delimiter) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

std::string CsvReader::place() const { return vit::str(name_, ":", row_line_); }

bool CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  while (at_ < text_.size() && at_line_end()) skip_line_end();
  if (at_ >= text_.size()) return false;
  row_line_ = line_;
  for (;;) {
    const bool quoted = at_ < text_.size() && text_[at_] == '"';
    fields.push_back(quoted ? quoted_field() : plain_field());
    if (at_line_end()) break;
    ++at_;  // the delimiter
  }
  skip_line_end();
  return true;
}

std::string CsvReader::quoted_field() {
  std::string field;
  const int64_t opened = line_;
  for (++at_; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '"' && (at_ + 1 >= text_.size() || text_[at_ + 1] != '"')) {
      ++at_;
      if (!at_line_end() && text_[at_] != delimiter_)
        vit::fail_usage(name_, ":", line_, ": text behind a quoted field; a quote inside one is doubled");
      return field;
    }
    if (c == '"') ++at_;
    if (c == '\n') ++line_;
    if (c == '\0') vit::fail_usage(name_, ":", line_, ": a zero byte, expected text");
    field += c;
  }
  vit::fail_usage(name_, ":", opened, ": a quote that is never closed");
}

std::string CsvReader::plain_field() {
  const size_t begin = at_;
  while (!at_line_end() && text_[at_] != delimiter_) {
    if (text_[at_] == '\0') vit::fail_usage(name_, ":", line_, ": a zero byte, expected text");
    ++at_;
  }
  return std::string(text_.substr(begin, at_ - begin));
}

void CsvReader::skip_line_end() {
  if (at_ >= text_.size()) return;
  const bool pair = text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n';
  at_ += pair ? 2 : 1;
  ++line_;
}

char guess_delimiter(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
  char best = ',';
  for (const char c : {'\t', ';'})
    if (count(c) > count(best)) best = c;
  return best;
}

}  // namespace datasets
