// Wall-clock timing, and the table of time per stage that `benchmark -v` prints.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace vit {

/// Time since construction.
class Timer {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double milliseconds() const { return 1e3 * seconds(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// Accumulates time per named stage. Not thread-safe: one profile belongs to one Context.
class StageProfile {
 public:
  struct Stage {
    std::string name;
    double seconds = 0;
    int64_t calls = 0;
  };
  void add(std::string_view name, double seconds);
  void clear() { stages_.clear(); }
  /// In order of first use.
  const std::vector<Stage>& stages() const { return stages_; }

 private:
  std::vector<Stage> stages_;
};

/// Adds the time of its scope to a profile, if there is one.
class StageTimer {
 public:
  StageTimer(StageProfile* profile, std::string_view name) : profile_(profile), name_(name) {}
  ~StageTimer() {
    if (profile_) profile_->add(name_, timer_.seconds());
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  StageProfile* profile_;
  std::string_view name_;
  Timer timer_;
};

}  // namespace vit
