// CpuMeter: processor time of a piece of work, on whatever threads it runs. Wall time says nothing about a stage that
// shares the cores with others; a thread's own clock misses what other threads took over in its parallel_for loops.
#pragma once

#include <atomic>
#include <cstdint>

namespace vit {

/// Adds up processor time. Thread-safe.
class CpuMeter {
 public:
  /// Charges what this thread does to `meter` (null: to nobody) for the lifetime of the object, and with it the parts
  /// of parallel_for loops that other threads do for it; a meter that was charged before waits meanwhile. Time that the
  /// thread waits for such parts awake is charged, too. Scopes end in the reverse order of their making.
  class Scope {
   public:
    explicit Scope(CpuMeter* meter);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CpuMeter* outer_;
  };

  double seconds() const { return 1e-9 * static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)); }
  /// What the calling thread charges at the moment; null: nothing.
  static CpuMeter* current();

 private:
  std::atomic<int64_t> nanoseconds_{0};
};

}  // namespace vit
