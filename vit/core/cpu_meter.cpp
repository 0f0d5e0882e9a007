#include "vit/core/cpu_meter.h"

#include <ctime>

namespace vit {

namespace {

/// Processor time of the calling thread since it began, in nanoseconds.
int64_t thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{1'000'000'000} * time.tv_sec + time.tv_nsec;
}

struct Charging {
  CpuMeter* meter = nullptr;
  int64_t since = 0;  ///< of the thread's own time
};
thread_local Charging charging;

}  // namespace

CpuMeter* CpuMeter::current() { return charging.meter; }

CpuMeter::Scope::Scope(CpuMeter* meter) : outer_(charging.meter) {
  const int64_t now = thread_time();
  if (outer_) outer_->nanoseconds_.fetch_add(now - charging.since, std::memory_order_relaxed);
  charging = {meter, now};
}

CpuMeter::Scope::~Scope() {
  const int64_t now = thread_time();
  if (charging.meter) charging.meter->nanoseconds_.fetch_add(now - charging.since, std::memory_order_relaxed);
  charging = {outer_, now};
}

}  // namespace vit
