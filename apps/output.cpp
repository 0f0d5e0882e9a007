#include "apps/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "apps/progress.h"
#include "vit/core/check.h"
#include "vit/core/file.h"

namespace apps {

std::unique_ptr<vit::AtomicFile> open_result_file(const std::string& option, const std::string& path) {
  try {
    return std::make_unique<vit::AtomicFile>(path);
  } catch (const vit::Error& error) {
    vit::fail_usage(option, " ", error.what());
  }
}

std::string json_line(const Record& record) {
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string csv_field(const Record& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : json_line(value);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

Output::Output(const CommonOptions& common) : format_(common.format) {
  if (!common.output.empty()) file_ = std::make_unique<vit::AtomicFile>(common.output);
}

Output::~Output() = default;

void Output::write(const Record& record, std::string_view text) {
  if (format_ == Format::json) return line(json_line(record));
  if (format_ == Format::text) return put(text);
  std::string header, row;
  for (const auto& [key, value] : record.items()) {
    header += (header.empty() ? "" : ",") + csv_field(key);
    row += (&value == &*record.begin() ? "" : ",") + csv_field(value);
  }
  if (!has_header_) line(header);
  has_header_ = true;
  line(row);
}

void Output::line(std::string_view text) { put(std::string(text) + "\n"); }

void Output::put(std::string_view bytes) {
  if (file_) return file_->write(bytes);
  if (bytes.empty()) return;
  clear_progress();
  // No buffer: whoever reads a pipe has each result when it is known, and a lost reader is noticed at once.
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) throw ClosedPipe{};
    if (written < 0) vit::fail("cannot write to stdout: ", std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Output::finish() {
  if (file_) file_->commit();
}

}  // namespace apps
