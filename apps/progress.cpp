#include "apps/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/common.h"

namespace apps {

namespace {
constexpr double kPatience = 1.0;  // seconds before the bar appears
constexpr double kInterval = 0.1;  // seconds between drawings
std::atomic<bool> visible{false};

std::string clock_text(double seconds) {
  const int64_t whole = std::llround(std::min(seconds, 3.6e6));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}
}  // namespace

void clear_progress() {
  if (visible.exchange(false)) std::fputs("\r\033[K", stderr);
}

Progress::Progress(const CommonOptions& common, std::string unit, bool prints_results, int64_t total)
    : unit_(std::move(unit)), total_(total) {
  const bool disturbs = prints_results && common.output.empty() && isatty(STDOUT_FILENO);
  enabled_ = !common.quiet && !disturbs && isatty(STDERR_FILENO);
}

Progress::~Progress() { clear_progress(); }

void Progress::advance(int64_t count) {
  done_ += count;
  if (!enabled_) return;
  const double now = timer_.seconds();
  if (now < kPatience || now - drawn_at_ < kInterval) return;
  drawn_at_ = now;
  visible = true;
  std::fputs(("\r\033[K" + progress_line(done_, total_.load(), now, unit_)).c_str(), stderr);
  std::fflush(stderr);
}

std::string progress_line(int64_t done, int64_t total, double seconds, const std::string& unit) {
  const double rate = seconds > 0.0 ? static_cast<double>(done) / seconds : 0.0;
  if (total < done || total <= 0) return fmt::format("{} {}, {:.1f}/s", done, unit, rate);
  constexpr int kWidth = 24;
  const auto filled = static_cast<size_t>(kWidth * done / total);
  const std::string left = rate > 0.0 ? clock_text(static_cast<double>(total - done) / rate) : "?";
  return fmt::format("[{}{}] {}/{} {}, {:.1f}/s, {} left", std::string(filled, '#'), std::string(kWidth - filled, '.'),
                     done, total, unit, rate, left);
}

}  // namespace apps
