// The reference case of learning-rate schedules (family C1b): golden.json holds timm's scheduler classes, their
// arguments and the rates that came out. Shared by the test of the schedules and the parity tool.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit::test {

struct ScheduleResult {
  std::string name;
  size_t count = 0;      ///< rates compared
  double max_abs = 0.0;  ///< largest difference
  double limit = 0.0;    ///< case.json's tolerance
  bool ok() const { return count > 0 && max_abs <= limit; }
};

/// Every schedule of `dir`/golden.json. A case may list "metrics", one per epoch from the first on (plateau).
/// Errors: files that are not such a case; an unknown class or argument.
std::vector<ScheduleResult> run_schedule_golden(const std::filesystem::path& dir);

}  // namespace vit::test
