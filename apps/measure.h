// What `vitkit benchmark` measures: a model's runs or training steps, and beside them, in the same seconds on the same
// threads, the peak of the processor. Speeds drift from second to second (clocks, neighbours): only figures of one run
// compare.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vit/core/context.h"
#include "vit/core/timer.h"

namespace apps {

/// Sums the work of all ops, by op.
class OpCosts : public vit::CostSink {
 public:
  void add_cost(const std::string& scope, std::string_view op, double flops, double bytes) override;
  double flops() const;
  /// 0 for an op that reports no work.
  double flops_of(const std::string& op) const;

 private:
  std::map<std::string, double> flops_;
};

/// The rate of independent multiply-adds in registers, f32, on all of the toolkit's threads.
class PeakMeter {
 public:
  /// Calibrates one sample to about `seconds` (and so warms the clocks up).
  explicit PeakMeter(double seconds = 0.05);
  /// Operations per second of one sample.
  double sample() const;

 private:
  double run(int64_t iterations) const;
  int64_t iterations_ = 1 << 16;
};

struct Measurement {
  std::vector<double> seconds;  ///< of each timed run
  std::vector<double> peaks;    ///< operations per second, sampled before, between and after the runs
  double first_seconds = 0.0;   ///< of the very first run, caches cold
  OpCosts costs;                ///< of one run
};

/// What is timed: a forward pass, or a training step.
using Step = std::function<void(vit::Context&)>;

/// One first run, warm-up runs, then `runs` timed ones with samples of the peak between them. With `runs` = 0: the
/// first run only. `progress` is called after each run.
Measurement measure(const Step& step, int64_t runs, const std::function<void()>& progress);

/// Time per stage of `runs` further runs, in seconds per run, in the order of first use.
std::vector<vit::StageProfile::Stage> profile_stages(const Step& step, int64_t runs);

/// The middle value (the mean of the two middle ones). NaN of none.
double median(std::vector<double> values);

/// Largest memory that the process has had in use, in MB (10^6 bytes).
double peak_memory_mb();

}  // namespace apps
