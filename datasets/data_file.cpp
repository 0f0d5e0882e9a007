#include "datasets/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vit/core/check.h"

namespace datasets {

struct DataFile::Impl {
  std::string path;
  int descriptor = -1;
  int64_t size = 0;
  bool in_memory = false;
  std::string content;  // where it was inflated

  Impl() = default;
  ~Impl() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

namespace {

constexpr unsigned char kGzipMagic[2] = {0x1F, 0x8B};
constexpr int64_t kMaxPictureBytes = int64_t{1} << 31;
constexpr size_t kInflateStep = size_t{4} << 20;

/// Reads up to `count` bytes; fewer at the end of the file only. Negative: errno says why.
int64_t read_fully(int descriptor, void* into, size_t count, int64_t offset) {
  size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor, static_cast<char*>(into) + done, count - done, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

/// Closes what gzdopen opened.
struct GzipCloser {
  void operator()(gzFile file) const { gzclose(file); }
};

/// All bytes that a gzip file inflates to. Errors (usage): damaged, truncated, too long.
std::string inflate_file(const std::string& path) {
  const std::unique_ptr<gzFile_s, GzipCloser> file(gzopen(path.c_str(), "rb"));
  if (!file) vit::fail_usage(path, ": cannot be opened: ", std::strerror(errno));
  gzbuffer(file.get(), 1 << 18);
  std::string content;
  for (;;) {
    const size_t at = content.size();
    content.resize(at + kInflateStep);
    const int got = gzread(file.get(), content.data() + at, static_cast<unsigned>(kInflateStep));
    content.resize(at + static_cast<size_t>(std::max(got, 0)));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (code == Z_BUF_ERROR) vit::fail_usage(path, ": truncated gzip file: it ends after ", content.size(), " bytes");
    if (got < 0 || code != Z_OK)
      vit::fail_usage(path, ": damaged gzip file, after ", content.size(), " bytes: ", reason);
    if (static_cast<int64_t>(content.size()) > DataFile::kMaxInflatedBytes)
      vit::fail_usage(path, ": it inflates to more than ", DataFile::kMaxInflatedBytes, " bytes; unpack it: gunzip ",
                      path);
    if (static_cast<size_t>(got) < kInflateStep) return content;
  }
}

}  // namespace

DataFile DataFile::open(const std::string& path, Gzip gzip) {
  auto impl = std::make_shared<Impl>();
  impl->path = path;
  // O_NONBLOCK: a pipe of this name must not hang; it is refused below, and regular files do not care.
  impl->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (impl->descriptor < 0) vit::fail_usage(path, ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  if (::fstat(impl->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) vit::fail_usage(path, ": no regular file");
  impl->size = status.st_size;
  unsigned char magic[2] = {};
  const bool is_gzip = read_fully(impl->descriptor, magic, 2, 0) == 2 && std::equal(magic, magic + 2, kGzipMagic);
  if (is_gzip && gzip == Gzip::refuse)
    vit::fail_usage(path, ": it is gzip-compressed, which cannot be read picture by picture; unpack it: gunzip ", path);
  if (is_gzip) {
    impl->content = inflate_file(path);
    impl->size = static_cast<int64_t>(impl->content.size());
    impl->in_memory = true;
    ::close(std::exchange(impl->descriptor, -1));
  }
  DataFile file;
  file.impl_ = std::move(impl);
  return file;
}

const std::string& DataFile::path() const { return impl_->path; }
int64_t DataFile::size() const { return impl_->size; }

void DataFile::read(int64_t offset, std::span<std::byte> into) const {
  const auto count = static_cast<int64_t>(into.size());
  vit::check(offset >= 0 && count <= impl_->size && offset <= impl_->size - count, impl_->path, ": ", count,
             " bytes at byte ", offset, " are wanted, but it ends at byte ", impl_->size);
  if (impl_->in_memory) {
    std::memcpy(into.data(), impl_->content.data() + offset, into.size());
    return;
  }
  const int64_t got = read_fully(impl_->descriptor, into.data(), into.size(), offset);
  vit::check(got >= 0, impl_->path, ": cannot be read at byte ", offset, ": ", std::strerror(errno));
  vit::check(got == count, impl_->path, ": it has become shorter: ", got, " of ", count, " bytes at byte ", offset);
}

std::string DataFile::read(int64_t offset, int64_t bytes) const {
  // Before anything is allocated: the number may come from a damaged file.
  vit::check(bytes >= 0 && bytes <= impl_->size, impl_->path, ": ", bytes, " bytes at byte ", offset,
             " are wanted, but it ends at byte ", impl_->size);
  std::string content(static_cast<size_t>(bytes), '\0');
  read(offset, std::as_writable_bytes(std::span(content)));
  return content;
}

std::string read_picture_file(const std::string& path) {
  try {
    const DataFile file = DataFile::open(path);
    vit::check(file.size() <= kMaxPictureBytes, path, ": a file of ", file.size(), " bytes, at most ", kMaxPictureBytes,
               " are read");
    return file.read(0, file.size());
  } catch (const vit::Error& error) {
    vit::fail(error.what());  // one picture's failure, whatever it is for a file that somebody names
  }
}

}  // namespace datasets
