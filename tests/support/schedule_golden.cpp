#include "tests/support/schedule_golden.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "vit/io/json.h"
#include "vit/train/schedule.h"

namespace vit::test {

namespace {

ScheduleKind kind_of(const std::string& scheduler) {
  static const std::map<std::string, ScheduleKind> kinds = {
      {"CosineLRScheduler", ScheduleKind::cosine},       {"TanhLRScheduler", ScheduleKind::tanh},
      {"PolyLRScheduler", ScheduleKind::poly},           {"StepLRScheduler", ScheduleKind::step},
      {"MultiStepLRScheduler", ScheduleKind::multistep}, {"PlateauLRScheduler", ScheduleKind::plateau}};
  const auto found = kinds.find(scheduler);
  check(found != kinds.end(), "schedule golden: unknown class ", scheduler);
  return found->second;
}

/// One keyword argument of timm's class.
void set_argument(ScheduleSpec& spec, const std::string& key, const nlohmann::json& value) {
  if (key == "t_initial")
    spec.t_initial = value.get<int64_t>();
  else if (key == "lr_min")
    spec.lr_min = value.get<double>();
  else if (key == "warmup_t")
    spec.warmup_t = value.get<int64_t>();
  else if (key == "warmup_lr_init")
    spec.warmup_lr_init = value.get<double>();
  else if (key == "warmup_prefix")
    spec.warmup_prefix = value.get<bool>();
  else if (key == "cycle_mul")
    spec.cycle_mul = value.get<double>();
  else if (key == "cycle_decay")
    spec.cycle_decay = value.get<double>();
  else if (key == "cycle_limit")
    spec.cycle_limit = value.get<int64_t>();
  else if (key == "k_decay")
    spec.k_decay = value.get<double>();
  else if (key == "power")
    spec.power = value.get<double>();
  else if (key == "lb")
    spec.tanh_lower = value.get<double>();
  else if (key == "ub")
    spec.tanh_upper = value.get<double>();
  else if (key == "decay_rate")
    spec.decay_rate = value.get<double>();
  else if (key == "decay_t" && value.is_array())
    spec.decay_milestones = value.get<std::vector<int64_t>>();
  else if (key == "decay_t")
    spec.decay_t = value.get<double>();
  else if (key == "patience_t")
    spec.patience_t = value.get<int64_t>();
  else if (key == "cooldown_t")
    spec.cooldown_t = value.get<int64_t>();
  else if (key == "threshold")
    spec.threshold = value.get<double>();
  else if (key == "mode")
    spec.metric_decreases = value.get<std::string>() == "min";
  else if (key != "t_in_epochs" && key != "verbose")
    fail("schedule golden: unknown argument ", key);
}

ScheduleSpec spec_of(const nlohmann::json& entry) {
  ScheduleSpec spec;
  spec.kind = kind_of(entry.at("scheduler").get<std::string>());
  spec.base_lr = entry.at("base_lr").get<double>();
  // The defaults of timm's classes where they differ from ScheduleSpec's.
  spec.warmup_prefix = spec.kind == ScheduleKind::step || spec.kind == ScheduleKind::multistep;
  if (spec.kind == ScheduleKind::plateau) spec.decay_rate = 0.1;
  for (const auto& [key, value] : entry.at("kwargs").items()) set_argument(spec, key, value);
  return spec;
}

}  // namespace

std::vector<ScheduleResult> run_schedule_golden(const std::filesystem::path& dir) {
  const double limit = load_json(dir / "case.json").at("tolerance").get<double>();
  const nlohmann::json golden = load_json(dir / "golden.json");
  std::vector<ScheduleResult> results;
  for (const auto& [name, entry] : golden.items()) {
    ScheduleResult result{name, 0, 0.0, limit};
    LrSchedule schedule(spec_of(entry));
    const std::vector<double> expected = entry.at("lr").get<std::vector<double>>();
    const std::vector<double> metrics = entry.value("metrics", std::vector<double>{});
    for (size_t epoch = 0; epoch < expected.size(); ++epoch) {
      std::optional<double> metric;
      if (epoch >= 1 && epoch <= metrics.size()) metric = metrics[epoch - 1];
      if (epoch > 0) schedule.finish_epoch(static_cast<int64_t>(epoch), metric);
      result.max_abs = std::max(result.max_abs, std::abs(schedule.lr() - expected[epoch]));
      ++result.count;
    }
    results.push_back(result);
  }
  return results;
}

}  // namespace vit::test
