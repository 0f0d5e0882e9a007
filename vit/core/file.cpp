#include "vit/core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace vit {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBufferBytes = size_t{64} << 10;
// Linux moves at most about 2 GiB per call; smaller steps also keep signals responsive.
constexpr size_t kMaxWrite = size_t{64} << 20;
constexpr size_t kMaxBaseName = 200;  // leaves room in the 255 bytes of a file name for the temporary's suffix

std::string reason(int error) { return std::strerror(error); }

/// The file behind symbolic links, even when the last link dangles (then that is where the file shall appear). Links
/// that lead into /proc stand for open descriptors (/dev/stdout, /dev/fd/63) and are left as they are:
/// `through_descriptor`.
fs::path behind_links(const fs::path& path, bool& through_descriptor) {
  fs::path target = path;
  std::error_code error;
  through_descriptor = false;
  for (int links = 0; links < 40 && fs::is_symlink(fs::symlink_status(target, error)); ++links) {
    const std::string name = target.string();  // /dev/fd is itself a link to /proc/self/fd
    through_descriptor = through_descriptor || name.starts_with("/proc/") || name.starts_with("/dev/fd/");
    const fs::path next = fs::read_symlink(target, error);
    if (error) break;
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// Temporary files in existence, for remove_unfinished_files(). More at once than there are slots are written all the
// same; only a signal would then leave one behind.
struct UnfinishedFile {
  std::atomic<bool> taken{false};
  std::atomic<bool> ready{false};
  char path[4096];
};
UnfinishedFile unfinished_files[16];

void remember_unfinished(const fs::path& path) {
  const std::string name = path.string();
  if (name.size() >= sizeof(UnfinishedFile::path)) return;
  for (UnfinishedFile& slot : unfinished_files) {
    if (slot.taken.exchange(true)) continue;
    std::memcpy(slot.path, name.c_str(), name.size() + 1);
    slot.ready = true;
    return;
  }
}

void forget_unfinished(const fs::path& path) {
  for (UnfinishedFile& slot : unfinished_files) {
    if (!slot.ready || path.string() != slot.path) continue;
    slot.ready = false;
    slot.taken = false;
  }
}

/// Opens a new file beside `target`: the name carries the process and a counter, and O_EXCL settles the rest.
int create_beside(const fs::path& target, mode_t mode, fs::path& created) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string base = target.filename().string().substr(0, kMaxBaseName);
    const unsigned number = counter.fetch_add(1);
    created = folder_of(target) / ("." + base + "." + std::to_string(getpid()) + "-" + std::to_string(number) + ".tmp");
    const int descriptor = open(created.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor >= 0 || errno != EEXIST) return descriptor;
  }
  return -1;
}

/// fsync, where the file is of a kind that can be synchronised; a pipe or a terminal is not.
bool synchronise(int descriptor) { return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP; }

}  // namespace

void remove_unfinished_files() noexcept {
  for (UnfinishedFile& slot : unfinished_files)
    if (slot.ready) unlink(slot.path);
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  check(!path.empty(), "cannot write a file: its name is empty");
  bool through_descriptor = false;
  target_ = behind_links(path, through_descriptor);
  struct stat status {};
  const bool exists = stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail("cannot write ", path_.string(), ": it is a folder");
  if (exists && (through_descriptor || !S_ISREG(status.st_mode))) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor_ < 0) fail_with_errno("open");
    return;
  }
  // A read-only file is protected on purpose, although a rename could replace it.
  if (exists && access(target_.c_str(), W_OK) != 0) fail_with_errno("write");
  descriptor_ = create_beside(target_, exists ? (status.st_mode & 0777) | S_IWUSR : 0666, temporary_);
  if (descriptor_ < 0) {
    temporary_.clear();
    fail_with_errno("write");
  }
  remember_unfinished(temporary_);
  if (exists && fchmod(descriptor_, status.st_mode & 07777) != 0) errno = 0;  // not the owner: the umask's mode will do
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (temporary_.empty()) return;
  unlink(temporary_.c_str());
  forget_unfinished(temporary_);
}

void AtomicFile::fail_with_errno(const char* action) const {
  const int error = errno;
  fail("cannot ", action, " ", path_.string(), ": ", reason(error));
}

void AtomicFile::write_through(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, data, std::min(bytes, kMaxWrite));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with_errno("write");
    data += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFile::write(const void* data, size_t bytes) {
  check(descriptor_ >= 0, "cannot write ", path_.string(), ": it was committed already");
  if (bytes == 0) return;
  const char* begin = static_cast<const char*>(data);
  if (buffer_.size() + bytes > kBufferBytes) flush();
  if (bytes >= kBufferBytes)
    write_through(begin, bytes);
  else
    buffer_.insert(buffer_.end(), begin, begin + bytes);
}

void AtomicFile::write_at(int64_t offset, const void* data, size_t bytes) {
  check(descriptor_ >= 0, "cannot write ", path_.string(), ": it was committed already");
  check(!temporary_.empty(), "cannot write ", path_.string(), ": this format needs a file on a disk");
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(descriptor_, next, std::min(bytes, kMaxWrite), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with_errno("write");
    next += written;
    offset += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  check(descriptor_ >= 0, "cannot write ", path_.string(), ": it was committed already");
  flush();
  if (!synchronise(descriptor_)) fail_with_errno("write");
  // Network file systems report a full disk only here.
  if (close(std::exchange(descriptor_, -1)) != 0) fail_with_errno("write");
  if (temporary_.empty()) return;
  if (rename(temporary_.c_str(), target_.c_str()) != 0) fail_with_errno("write");
  forget_unfinished(temporary_);
  temporary_.clear();
  // The rename itself survives a power cut only when the folder is on the disk. The content is complete already, so a
  // file system that cannot synchronise folders is no error.
  const int folder = open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, [&](AtomicFile& file) { file.write(bytes); });
}

void write_file_atomically(const fs::path& path, const std::function<void(AtomicFile&)>& write) {
  AtomicFile file(path);
  write(file);
  file.commit();
}

std::string read_file(const fs::path& path, int64_t max_bytes, ErrorKind kind) {
  const auto refuse = [&](const std::string& why) { throw Error(str("cannot read ", path.string(), ": ", why), kind); };
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(reason(errno));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* d) { close(*d); });
  struct stat status {};
  if (fstat(descriptor, &status) != 0) refuse(reason(errno));
  if (S_ISDIR(status.st_mode)) refuse("it is a folder");
  const std::string too_long = str("it is longer than the limit of ", max_bytes, " bytes");
  if (status.st_size > max_bytes) refuse(too_long);
  // The size is only a hint: files in /proc say 0, and a pipe has none.
  std::string content(static_cast<size_t>(status.st_size) + 1, '\0');
  size_t filled = 0;
  for (;;) {
    const ssize_t got = read(descriptor, content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(reason(errno));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
    if (static_cast<int64_t>(filled) > max_bytes) refuse(too_long);
    if (filled == content.size()) content.resize(2 * content.size());
  }
  content.resize(filled);
  return content;
}

}  // namespace vit
