#include "vit/core/pipeline.h"

#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <exception>
#include <limits>
#include <list>
#include <mutex>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/cpu_meter.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"

namespace vit {

double PipelineReport::cpu_seconds() const {
  double sum = 0.0;
  for (const StageTime& stage : stages) sum += stage.cpu_seconds;
  return sum;
}

namespace {

using detail::AnyItem;

/// What travels through TBB's filters.
struct Token {
  AnyItem item;
  int64_t number = 0;
};

/// The error of the earliest item, and which items come after it.
class Failure {
 public:
  bool is_before(int64_t number) const {
    const std::lock_guard lock(mutex_);
    return number_ <= number;
  }

  void keep(int64_t number, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (number >= number_) return;
    number_ = number;
    error_ = std::move(error);
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  mutable std::mutex mutex_;
  int64_t number_ = std::numeric_limits<int64_t>::max();
  std::exception_ptr error_;
};

/// Meters by name, in the order of their first use.
class Meters {
 public:
  CpuMeter* of(const std::string& name) {
    for (auto& [known, meter] : meters_)
      if (known == name) return &meter;
    meters_.emplace_back(std::piecewise_construct, std::forward_as_tuple(name), std::forward_as_tuple());
    return &meters_.back().second;
  }

  std::vector<StageTime> times() const {
    std::vector<StageTime> all;
    for (const auto& [name, meter] : meters_) all.push_back({name, meter.seconds()});
    return all;
  }

 private:
  std::list<std::pair<std::string, CpuMeter>> meters_;  // a list: meters stay where they are
};

/// Runs `work` for item `number`, charged to `meter`; an error is kept, for nothing may throw in a task. Isolated: a
/// thread that waits for the end of a loop inside would else begin another item's stage, and the loop's item would
/// wait for that.
template <class Work>
void guarded(CpuMeter* meter, Failure& failure, int64_t number, const Work& work) {
  tbb::this_task_arena::isolate([&] {
    const CpuMeter::Scope charged(meter);
    try {
      work();
    } catch (...) {
      failure.keep(number, std::current_exception());
    }
  });
}

}  // namespace

PipelineReport detail::run_pipeline(const std::function<AnyItem()>& read,
                                    const std::vector<PipelineStage<AnyItem>>& stages, const PipelineOptions& options) {
  check(options.max_items >= 0, "pipeline: max_items is negative: ", options.max_items);
  const int64_t max_items = options.max_items > 0 ? options.max_items : 2 * num_threads() + 2;
  const Timer timer;
  Failure failure;
  Meters meters;
  int64_t items = 0;
  CpuMeter* const reading = meters.of(options.read_name);

  tbb::filter<void, Token> source(tbb::filter_mode::serial_in_order, [&, reading](tbb::flow_control& control) {
    Token token{nullptr, items};
    if (!failure.is_before(items)) guarded(reading, failure, items, [&] { token.item = read(); });
    if (token.item)
      ++items;
    else
      control.stop();
    return token;
  });
  tbb::filter<Token, Token> middle(tbb::filter_mode::parallel, [](Token token) { return token; });
  for (const PipelineStage<AnyItem>& stage : stages) {
    CpuMeter* const meter = meters.of(stage.name);
    const auto mode = stage.order == StageOrder::any ? tbb::filter_mode::parallel : tbb::filter_mode::serial_in_order;
    middle &= tbb::filter<Token, Token>(mode, [&failure, &stage, meter](Token token) {
      if (!failure.is_before(token.number)) guarded(meter, failure, token.number, [&] { stage.work(token.item); });
      return token;
    });
  }
  tbb::filter<Token, void> sink(tbb::filter_mode::parallel, [](const Token&) {});
  tbb::parallel_pipeline(static_cast<size_t>(max_items), source & middle & sink);
  failure.rethrow();
  return {meters.times(), items, timer.seconds()};
}

}  // namespace vit
