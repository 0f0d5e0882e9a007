// Files read with a limit, and files written whole or not at all: a temporary name in the same folder, fsync, rename,
// fsync of the folder. Whoever looks at the path sees the old content or the new, never a part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vit/core/check.h"

namespace vit {

/// A file under construction. Not thread-safe. A path that exists and is no regular file (a pipe, /dev/stdout) cannot
/// be replaced by a rename: it is appended to directly. A symbolic link is followed: the file that it names is
/// replaced. An existing file's permissions are kept.
class AtomicFile {
 public:
  /// Opens the temporary file. Errors: the folder does not exist or is not writable, naming the path and the reason.
  explicit AtomicFile(const std::filesystem::path& path);
  /// Removes the temporary file unless commit() was called: the path is as it was before.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends. Errors: disk full and the like, naming the path and the reason.
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Writes at a place of its own, for formats that fill in their beginning when they know their end. Not to be mixed
  /// with write(). Errors: as write(); the path is no regular file.
  void write_at(int64_t offset, const void* data, size_t bytes);

  /// Makes everything written appear under the path at once. Call it last, once. Errors as write().
  void commit();

 private:
  void flush();
  void write_through(const char* data, size_t bytes);
  [[noreturn]] void fail_with_errno(const char* action) const;

  std::filesystem::path path_;       // as the caller gave it, for messages
  std::filesystem::path target_;     // behind symbolic links
  std::filesystem::path temporary_;  // empty: path_ itself is written to
  std::vector<char> buffer_;         // small writes are collected
  int descriptor_ = -1;
};

/// Replaces the content of `path`, whole or not at all. Errors: as AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);
/// The same, for content that `write` produces piece by piece; if `write` throws, the path stays as it was.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& write);

/// Removes the temporary files of all AtomicFiles that are not committed. For signal handlers: it only calls what POSIX
/// allows there.
void remove_unfinished_files() noexcept;

constexpr int64_t kDefaultMaxFileBytes = int64_t{64} << 20;

/// The whole file. Errors (of kind `kind`): missing, unreadable, a folder, or longer than `max_bytes`.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes = kDefaultMaxFileBytes,
                      ErrorKind kind = ErrorKind::kUsage);

}  // namespace vit
