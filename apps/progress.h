// A progress bar on stderr: appears when that is a terminal and the work lasts longer than a second.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "vit/core/timer.h"

namespace apps {

struct CommonOptions;

/// Removes the bar from the terminal's line, if there is one; the next advance() draws it again.
void clear_progress();

class Progress {
 public:
  /// `unit` is what is counted: "images". `total` may be given later, when it is known; without it there is no ETA.
  /// `prints_results`: results appear on stdout while the work goes on; on a terminal a bar between them would disturb.
  Progress(const CommonOptions& common, std::string unit, bool prints_results, int64_t total = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True when stderr can show the bar: otherwise nothing here has any effect.
  bool enabled() const { return enabled_; }
  /// From any thread.
  void set_total(int64_t total) { total_.store(total); }
  /// One thread.
  void advance(int64_t count = 1);

 private:
  std::string unit_;
  bool enabled_ = false;
  std::atomic<int64_t> total_;
  int64_t done_ = 0;
  double drawn_at_ = 0.0;
  vit::Timer timer_;
};

/// "[######........] 120/5000 images, 41.3/s, 2:00 left"; without a total: "120 images, 41.3/s". At most 79 characters.
std::string progress_line(int64_t done, int64_t total, double seconds, const std::string& unit);

}  // namespace apps
