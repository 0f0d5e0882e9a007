// Files of data sets, read at any offset from many threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace datasets {

/// An open file, or a gzip file that was inflated into memory. Cheap to copy; thread-safe. A file is read and not
/// mapped: one that shrinks meanwhile is an error, not a signal.
class DataFile {
 public:
  enum class Gzip : uint8_t {
    inflate,  ///< files that begin as gzip does are inflated
    refuse,   ///< such files are an error that says how to unpack them
  };
  /// Inflated files are this long at most.
  static constexpr int64_t kMaxInflatedBytes = int64_t{2} << 30;

  /// Errors (usage): missing, no regular file, unreadable; damaged, truncated or too long gzip data.
  static DataFile open(const std::string& path, Gzip gzip = Gzip::refuse);

  const std::string& path() const;
  /// Bytes, after inflating.
  int64_t size() const;
  /// Fills `into` from `offset` on. Errors: the file ends before, or cannot be read.
  void read(int64_t offset, std::span<std::byte> into) const;
  /// The same as a string. Errors: as above.
  std::string read(int64_t offset, int64_t bytes) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// The bytes of a picture's own file. Errors (failure): as open(), and longer than 2 GiB.
std::string read_picture_file(const std::string& path);

}  // namespace datasets
