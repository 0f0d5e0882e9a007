#include "vit/io/json_stream.h"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <system_error>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/utf8.h"
#include "vit/io/json_errors.h"

namespace vit {

using nlohmann::json;

namespace {

/// Bytes that are repaired at a time.
constexpr size_t kRepairedBytes = size_t{64} << 10;

/// Another stream's bytes, with U+FFFD for those that are no UTF-8.
class Utf8Repair : public std::streambuf {
 public:
  explicit Utf8Repair(std::istream& source) : source_(source) {}

 protected:
  int_type underflow() override {
    constexpr size_t kLongest = 4;
    raw_.erase(0, used_);
    const size_t kept = raw_.size();
    raw_.resize(kRepairedBytes);
    source_.read(raw_.data() + kept, static_cast<std::streamsize>(kRepairedBytes - kept));
    raw_.resize(kept + static_cast<size_t>(source_.gcount()));
    // A character that the end cuts waits for the rest.
    used_ = raw_.size();
    if (source_)
      for (size_t back = 1; back < kLongest && back <= raw_.size(); ++back)
        if (static_cast<unsigned char>(raw_[raw_.size() - back]) >= 0xc0) used_ = raw_.size() - back;
    repaired_ = repaired_utf8(std::string_view(raw_).substr(0, used_));
    if (repaired_.empty()) return traits_type::eof();
    setg(repaired_.data(), repaired_.data(), repaired_.data() + repaired_.size());
    return traits_type::to_int_type(repaired_.front());
  }

 private:
  std::istream& source_;
  std::string raw_, repaired_;
  size_t used_ = 0;  // of raw_
};

/// Builds what the parser tells, and hands out and forgets every object of a list as soon as it is complete.
class ObjectStream final : public nlohmann::json_sax<json> {
 public:
  ObjectStream(const std::string& name, const JsonStreamLimits& limits, const JsonVisit& visit)
      : name_(name), limits_(limits), visit_(visit) {}

  json take_rest() { return std::move(root_); }

  bool null() override { return value(nullptr); }
  bool boolean(bool x) override { return value(x); }
  bool number_integer(number_integer_t x) override { return value(x); }
  bool number_unsigned(number_unsigned_t x) override { return value(x); }
  bool number_float(number_float_t x, const string_t& /*text*/) override { return value(x); }
  bool string(string_t& x) override { return value(std::move(x)); }
  bool binary(binary_t& /*x*/) override { return true; }  // JSON has none
  bool start_object(size_t /*size*/) override { return start(json::object()); }
  bool start_array(size_t /*size*/) override { return start(json::array()); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(string_t& name) override {
    if (skipped_depth_ > 0) return true;
    skip_next_ = std::find(limits_.skipped.begin(), limits_.skipped.end(), name) != limits_.skipped.end();
    key_ = std::move(name);
    if (open_.size() == 1) list_ = key_;
    return true;
  }

  bool parse_error(size_t /*position*/, const std::string& /*token*/, const json::exception& error) override {
    refuse_json(name_, error);
  }

 private:
  bool value(json x) {
    if (skipped_depth_ == 0 && !std::exchange(skip_next_, false)) add(std::move(x));
    return true;
  }

  bool start(json container) {
    if (static_cast<int>(open_.size()) + skipped_depth_ >= limits_.max_depth)
      fail_usage(name_, ": nested deeper than ", limits_.max_depth, " levels");
    if (skipped_depth_ > 0 || std::exchange(skip_next_, false)) {
      ++skipped_depth_;
      return true;
    }
    if (container.is_array() && (open_.empty() || (open_.size() == 1 && root_.is_object()))) position_ = 0;
    open_.push_back(&add(std::move(container)));
    return true;
  }

  bool end() {
    if (skipped_depth_ > 0) {
      --skipped_depth_;
      return true;
    }
    const json* done = open_.back();
    open_.pop_back();
    if (done->is_object() && is_list_of_objects()) {
      visit_(list_, position_++, *done);
      open_.back()->erase(open_.back()->size() - 1);
    }
    return true;
  }

  /// Whether the innermost container that is open is one whose objects are handed out.
  bool is_list_of_objects() const {
    return !open_.empty() && open_.back()->is_array() && open_.size() == (root_.is_array() ? 1u : 2u);
  }

  json& add(json x) {
    if (open_.empty()) return root_ = std::move(x);
    json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::move(x);
    parent.push_back(std::move(x));
    return parent.back();
  }

  const std::string& name_;
  const JsonStreamLimits& limits_;
  const JsonVisit& visit_;
  json root_;
  std::vector<json*> open_;  // containers around what is read; the parent of an open one does not grow, so they stay
  std::string key_, list_;
  int64_t position_ = 0;
  int skipped_depth_ = 0;  // containers that are open within a skipped value
  bool skip_next_ = false;
};

}  // namespace

json stream_json(std::istream& text, const std::string& name, const JsonStreamLimits& limits, const JsonVisit& visit) {
  ObjectStream stream(name, limits, visit);
  Utf8Repair repair(text);
  std::istream repaired(&repair);
  json::sax_parse(limits.repair_utf8 ? repaired : text, &stream);
  json rest = stream.take_rest();
  if (!rest.is_structured()) fail_usage(name, ": expected a list or an object");
  return rest;
}

json stream_json(const std::filesystem::path& path, const JsonStreamLimits& limits, const JsonVisit& visit) {
  const std::string name = path.string();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) fail_usage(name, ": a folder, expected a JSON file");
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_usage(name, ": cannot be read (is it there?)");
  const auto bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > static_cast<uintmax_t>(limits.max_bytes))
    fail_usage(name, ": ", bytes, " bytes, more than the limit of ", limits.max_bytes);
  return stream_json(file, name, limits, visit);
}

}  // namespace vit
