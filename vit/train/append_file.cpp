#include "vit/train/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vit/core/check.h"

namespace vit {

AppendFile::AppendFile(const std::filesystem::path& path, bool exclusive) : path_(path) {
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (exclusive ? O_EXCL : 0);
  descriptor_ = open(path.c_str(), flags, 0666);
  check(descriptor_ >= 0, "cannot write ", path.string(), ": ", std::strerror(errno));
}

AppendFile::~AppendFile() { close(descriptor_); }

void AppendFile::append(std::string_view record) {
  struct stat before {};
  const bool is_file = fstat(descriptor_, &before) == 0 && S_ISREG(before.st_mode);
  while (!record.empty()) {
    const ssize_t written = write(descriptor_, record.data(), record.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      // Half a record would spoil the next one.
      const bool is_whole = !is_file || ftruncate(descriptor_, before.st_size) == 0;
      fail("cannot write ", path_.string(), ": ", std::strerror(error),
           is_whole ? "" : "; its last record is cut short");
    }
    record.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace vit
