#include "apps/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace apps {

namespace {
constexpr int kWarmUps = 3;
constexpr int64_t kPeakSamples = 5;  // before, after, and three between the runs

double timed_run(const Step& step, vit::Context& ctx) {
  const vit::Timer timer;
  step(ctx);
  return timer.seconds();
}
}  // namespace

void OpCosts::add_cost(const std::string&, std::string_view op, double flops, double) {
  flops_[std::string(op)] += flops;
}

double OpCosts::flops() const {
  double sum = 0.0;
  for (const auto& [op, flops] : flops_) sum += flops;
  return sum;
}

double OpCosts::flops_of(const std::string& op) const {
  const auto found = flops_.find(op);
  return found == flops_.end() ? 0.0 : found->second;
}

PeakMeter::PeakMeter(double seconds) {
  run(iterations_);  // threads awake, clocks up
  double rate = run(iterations_);
  for (int i = 0; i < 3; ++i) {
    // The number of operations is in proportion to the iterations, so the rate tells how long one iteration takes.
    int64_t flops = 0;
    vit::kernels::kernels().fma_peak(1024, &flops);
    const double per_iteration = static_cast<double>(flops) / 1024.0 * vit::num_threads() / rate;
    iterations_ = std::max<int64_t>(1 << 10, static_cast<int64_t>(seconds / per_iteration));
    rate = run(iterations_);
  }
}

double PeakMeter::sample() const { return run(iterations_); }

double PeakMeter::run(int64_t iterations) const {
  const auto& table = vit::kernels::kernels();
  const int threads = vit::num_threads();
  // Each part waits until all have begun, so that no thread does two of them one after the other; not for ever, because
  // the pool may have fewer threads to spare than it says.
  std::atomic<int> begun{0};
  std::atomic<int64_t> flops{0};
  std::atomic<double> slowest{0.0};
  vit::parallel_for(threads, [&](int64_t) {
    begun.fetch_add(1);
    const vit::Timer waiting;
    while (begun.load() < threads && waiting.seconds() < 0.05) {
    }
    const vit::Timer timer;
    int64_t done = 0;
    const volatile float checksum = table.fma_peak(iterations, &done);
    (void)checksum;
    const double seconds = timer.seconds();
    flops.fetch_add(done);
    double seen = slowest.load();
    while (seconds > seen && !slowest.compare_exchange_weak(seen, seconds)) {
    }
  });
  return static_cast<double>(flops.load()) / std::max(slowest.load(), 1e-9);
}

Measurement measure(const Step& step, int64_t runs, const std::function<void()>& progress) {
  Measurement result;
  vit::Context ctx;
  ctx.costs = &result.costs;
  result.first_seconds = timed_run(step, ctx);
  ctx.costs = nullptr;
  progress();
  if (runs == 0) return result;
  const PeakMeter peak;
  for (int i = 0; i < kWarmUps; ++i) timed_run(step, ctx);
  const int64_t between = std::max<int64_t>(1, (runs + kPeakSamples - 2) / (kPeakSamples - 1));
  for (int64_t i = 0; i < runs; ++i) {
    if (i % between == 0) result.peaks.push_back(peak.sample());
    result.seconds.push_back(timed_run(step, ctx));
    progress();
  }
  result.peaks.push_back(peak.sample());
  return result;
}

std::vector<vit::StageProfile::Stage> profile_stages(const Step& step, int64_t runs) {
  vit::StageProfile profile;
  vit::Context ctx;
  timed_run(step, ctx);  // the arena's first allocations belong to no stage
  ctx.profile = &profile;
  for (int64_t i = 0; i < runs; ++i) {
    const vit::Timer timer;
    step(ctx);
    profile.add("(whole run)", timer.seconds());
  }
  std::vector<vit::StageProfile::Stage> stages = profile.stages();
  for (vit::StageProfile::Stage& stage : stages) {
    stage.seconds /= static_cast<double>(runs);
    stage.calls /= runs;
  }
  return stages;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024.0 / 1e6;
}

}  // namespace apps
