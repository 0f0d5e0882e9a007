#include "vit/core/parallel.h"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/cpu_meter.h"

namespace vit {

namespace {
std::mutex control_mutex;
std::unique_ptr<tbb::global_control> control;
// TBB's own arena has a place per core. More threads than cores (to test that results do not depend on them) need a
// wider one.
std::shared_ptr<tbb::task_arena> wide_arena;
}  // namespace

void set_num_threads(int threads) {
  if (threads < 0 || threads > 1024) fail_usage("threads: expected 0 (all cores) to 1024, got ", threads);
  const std::lock_guard lock(control_mutex);
  control.reset();
  wide_arena.reset();
  if (threads == 0) return;
  control =
      std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
  if (threads > static_cast<int>(std::thread::hardware_concurrency()))
    wide_arena = std::make_shared<tbb::task_arena>(threads);
}

int num_threads() {
  return static_cast<int>(tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism));
}

namespace detail {

void run_parts(int64_t parts, PartFunction function, const void* body) {
  if (num_threads() == 1) {
    for (int64_t part = 0; part < parts; ++part) function(body, part);
    return;
  }
  CpuMeter* const meter = CpuMeter::current();
  const auto run_range = [&](const tbb::blocked_range<int64_t>& range) {
    for (int64_t part = range.begin(); part < range.end(); ++part) function(body, part);
  };
  const auto spread = [&] {
    tbb::parallel_for(
        tbb::blocked_range<int64_t>(0, parts),
        [&](const tbb::blocked_range<int64_t>& range) {
          if (CpuMeter::current() == meter) return run_range(range);
          const CpuMeter::Scope helping(meter);  // on another thread than the one that charges the loop
          run_range(range);
        },
        tbb::static_partitioner());
  };
  if (wide_arena)
    wide_arena->execute(spread);
  else
    spread();
}

}  // namespace detail

struct TaskGroup::Impl {
  tbb::task_group group;
  std::mutex mutex;
  std::exception_ptr error;

  void keep(std::exception_ptr thrown) {
    const std::lock_guard lock(mutex);
    if (!error) error = std::move(thrown);
  }
};

TaskGroup::TaskGroup() : impl_(std::make_unique<Impl>()) {}
TaskGroup::~TaskGroup() { impl_->group.wait(); }

void TaskGroup::run(std::function<void()> task) {
  impl_->group.run([impl = impl_.get(), task = std::move(task)] {
    try {
      task();
    } catch (...) {
      impl->keep(std::current_exception());
    }
  });
}

void TaskGroup::wait() {
  impl_->group.wait();
  const std::lock_guard lock(impl_->mutex);
  if (impl_->error) std::rethrow_exception(std::exchange(impl_->error, nullptr));
}

}  // namespace vit
