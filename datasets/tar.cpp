#include "datasets/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMaxPaxBytes = int64_t{1} << 20;

/// One header block; fields by POSIX's "ustar Interchange Format".
class Header {
 public:
  explicit Header(std::string block) : block_(std::move(block)) {}

  bool is_zero() const {
    return std::all_of(block_.begin(), block_.end(), [](char c) { return c == '\0'; });
  }
  /// The sum of all bytes, the checksum's own as blanks; some old programs summed signed bytes.
  bool checksum_fits() const {
    int64_t sum = 0, signed_sum = 0;
    for (size_t i = 0; i < block_.size(); ++i) {
      const char c = i >= 148 && i < 156 ? ' ' : block_[i];
      sum += static_cast<unsigned char>(c);
      signed_sum += static_cast<signed char>(c);
    }
    const std::optional<int64_t> said = number(148, 8);
    return said && (*said == sum || *said == signed_sum);
  }
  char type() const { return block_[156]; }
  std::optional<int64_t> size() const { return number(124, 12); }
  std::string name() const {
    const std::string prefix = block_.compare(257, 6, std::string("ustar\0", 6)) == 0 ? text(345, 155) : "";
    return prefix.empty() ? text(0, 100) : prefix + "/" + text(0, 100);
  }

 private:
  std::string text(size_t at, size_t count) const {
    const std::string field = block_.substr(at, count);
    return field.substr(0, field.find('\0'));
  }
  /// Octal digits, or GNU's base 256 where the first bit is set. None: neither, negative or too large.
  std::optional<int64_t> number(size_t at, size_t count) const {
    const auto first = static_cast<unsigned char>(block_[at]);
    if (first & 0x80u) {
      int64_t value = first & 0x7Fu;
      for (size_t i = at + 1; i < at + count; ++i) {
        if (value >= int64_t{1} << 54) return std::nullopt;
        value = value << 8 | static_cast<unsigned char>(block_[i]);
      }
      return value;
    }
    std::string_view digits = std::string_view(block_).substr(at, count);
    while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
    while (!digits.empty() && (digits.back() == ' ' || digits.back() == '\0')) digits.remove_suffix(1);
    int64_t value = 0;
    if (digits.empty()) return value;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
    return value;
  }

  std::string block_;
};

/// What pax records say about the next member.
struct PaxRecords {
  std::optional<std::string> path;
  std::optional<int64_t> size;
  bool sparse = false;
};

/// Records "LENGTH KEY=VALUE\n". Errors (usage): damaged.
PaxRecords read_pax(std::string_view text, const std::string& place) {
  PaxRecords records;
  while (!text.empty() && text.front() != '\0') {
    size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const auto digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || length > text.size() || length < digits + 3 || text[digits] != ' ' ||
        text[length - 1] != '\n')
      vit::fail_usage(place, ": damaged tar archive: a pax record of wrong length");
    const std::string_view record = text.substr(digits + 1, length - digits - 2);
    const std::string_view key = record.substr(0, record.find('='));
    const std::string_view value = record.substr(std::min(record.size(), key.size() + 1));
    if (key == "path") records.path = std::string(value);
    if (key.starts_with("GNU.sparse")) records.sparse = true;
    if (key == "size") {
      int64_t size = 0;
      const auto [last, failed] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (failed != std::errc() || last != value.data() + value.size() || size < 0)
        vit::fail_usage(place, ": damaged tar archive: a pax size of '", std::string(value), "'");
      records.size = size;
    }
    text.remove_prefix(length);
  }
  return records;
}

class Lister {
 public:
  Lister(const DataFile& file, const TarLimits& limits) : file_(file), limits_(limits) {}

  std::vector<TarMember> list() {
    while (at_ < file_.size()) {
      if (file_.size() - at_ < kBlock) fail_here("truncated tar archive: it ends inside a header");
      const Header header(file_.read(at_, kBlock));
      if (header.is_zero()) break;  // the end, by two such blocks; some programs write one
      if (!header.checksum_fits())
        fail_here(at_ == 0 ? "no tar archive: wrong checksum of the first header"
                           : "damaged tar archive: wrong checksum of a header");
      add(header);
    }
    return std::move(members_);
  }

 private:
  [[noreturn]] void fail_here(const std::string& what) const {
    vit::fail_usage(file_.path(), ": byte ", at_, ": ", what);
  }

  /// Takes one header and what belongs to it, and moves behind.
  void add(const Header& header) {
    const char type = header.type();
    const bool regular = type == '0' || type == '\0' || type == '7';
    if (type == 'S' || (regular && pax_.sparse))
      fail_here("a sparse file, which is not read; pack it without --sparse");
    const std::optional<int64_t> stored = header.size();
    if (!stored) fail_here("damaged tar archive: the size is no number");
    const bool without_data = type >= '1' && type <= '6';  // links, devices, folders, pipes
    const int64_t size = without_data ? 0 : regular ? pax_.size.value_or(*stored) : *stored;
    const int64_t data = at_ + kBlock;
    if (size > file_.size() - data)
      fail_here(vit::str("truncated tar archive: '", long_name_.value_or(header.name()), "' has ", size,
                         " bytes, but the file ends after ", file_.size() - data));
    if (type == 'L' || type == 'x') {
      if (size > kMaxPaxBytes) fail_here(vit::str("a header of ", size, " bytes, at most ", kMaxPaxBytes, " are read"));
      read_extension(type, file_.read(data, size));
    } else if (type != 'K' && type != 'g') {  // a long link's name, defaults for all members: of no use here
      if (regular) add_member(header, data, size);
      long_name_.reset();
      pax_ = {};
    }
    at_ = data + (size + kBlock - 1) / kBlock * kBlock;
  }

  void read_extension(char type, const std::string& content) {
    if (type == 'x')
      pax_ = read_pax(content, vit::str(file_.path(), ": byte ", at_));
    else
      long_name_ = content.substr(0, content.find('\0'));
  }

  void add_member(const Header& header, int64_t data, int64_t size) {
    std::string name = pax_.path ? *pax_.path : long_name_ ? *long_name_ : header.name();
    if (static_cast<int64_t>(name.size()) > limits_.max_name_bytes)
      fail_here(vit::str("a name of ", name.size(), " bytes, at most ", limits_.max_name_bytes, " are read"));
    if (static_cast<int64_t>(members_.size()) >= limits_.max_members)
      fail_here(vit::str("more than ", limits_.max_members, " files"));
    members_.push_back({std::move(name), data, size});
  }

  const DataFile& file_;
  const TarLimits& limits_;
  int64_t at_ = 0;
  std::optional<std::string> long_name_;
  PaxRecords pax_;
  std::vector<TarMember> members_;
};

}  // namespace

std::vector<TarMember> list_tar(const DataFile& file, const TarLimits& limits) { return Lister(file, limits).list(); }

}  // namespace datasets
