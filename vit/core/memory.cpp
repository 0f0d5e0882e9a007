#include "vit/core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace vit {

namespace {

/// The number in a file that holds one; nothing for "max" or a file that is not there.
int64_t read_number(const char* path, int64_t otherwise) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : otherwise;
}

int64_t system_available() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (int64_t kilobytes = 0; file >> name >> kilobytes; file.ignore(64, '\n'))
    if (name == "MemAvailable:") return kilobytes * 1024;
  return 0;
}

}  // namespace

int64_t available_memory() {
  constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
  int64_t group = kUnknown;
  const int64_t limit = read_number("/sys/fs/cgroup/memory.max", kUnknown);
  if (limit != kUnknown) group = std::max<int64_t>(0, limit - read_number("/sys/fs/cgroup/memory.current", 0));
  const int64_t system = system_available();
  if (system == 0) return group == kUnknown ? 0 : group;
  return std::min(system, group);
}

}  // namespace vit
