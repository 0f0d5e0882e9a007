// Where results go: stdout, or a file that appears whole when the verb is done. Text, JSON lines or CSV.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "apps/common.h"

namespace vit {
class AtomicFile;
}

namespace apps {

using Record = nlohmann::ordered_json;

/// Thrown when the reader of stdout has gone (`vitkit ... | head`): the program then ends quietly, with status 0.
struct ClosedPipe {};

class Output {
 public:
  /// Opens the file of --output at once, so that one that cannot be written is noticed before the work.
  /// Errors: as AtomicFile.
  explicit Output(const CommonOptions& common);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Format format() const { return format_; }

  /// One result in the chosen format: `record` as a JSON line or a CSV row (the first one's keys make the header), or
  /// `text`, which may have several lines or none. Errors: the output cannot be written; ClosedPipe.
  void write(const Record& record, std::string_view text);
  /// A line as it is.
  void line(std::string_view text);
  /// Makes the file appear. Errors: as write().
  void finish();

 private:
  void put(std::string_view bytes);

  Format format_;
  std::unique_ptr<vit::AtomicFile> file_;
  bool has_header_ = false;
};

/// A file that an option names, begun. Errors (usage): it cannot be written, so that this is said before any work.
std::unique_ptr<vit::AtomicFile> open_result_file(const std::string& option, const std::string& path);

/// The record on one line. Bytes that are no UTF-8 (in paths) become U+FFFD.
std::string json_line(const Record& record);
/// A CSV field (RFC 4180): quoted where it must be; null is empty.
std::string csv_field(const Record& value);

}  // namespace apps
