#include "apps/ablation_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "apps/ablation_measure.h"
#include "apps/progress.h"
#include "apps/stop.h"
#include "apps/train_run.h"
#include "vit/core/check.h"
#include "vit/core/config_text.h"

namespace apps {

namespace {

namespace fs = std::filesystem;

/// What a killed ablation left of files that it was writing.
void remove_leftovers(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.ends_with(".tmp")) leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

}  // namespace

AblationRun::AblationRun(Ablation ablation, AblationMode mode, const CommonOptions& common)
    : ablation_(std::move(ablation)), mode_(mode), common_(common) {
  if (vit::holds_run(ablation_.output))
    vit::fail_usage("output: ", ablation_.output.string(),
                    " holds a training run; an ablation needs a folder of its own: output=FOLDER");
  for (AblationVariant& variant : ablation_.variants) {
    const fs::path folder = ablation_.output / variant.name;
    TrainConfig config = vit::read_config<TrainConfig>(variant.config);
    trials_.push_back({std::move(variant), folder, std::move(config)});
  }
  if (mode != AblationMode::overwrite) find_finished();
  if (mode != AblationMode::measure) check_variants();
  lock_ = std::make_unique<vit::RunFolder>(ablation_.output, vit::RunMode::resume);
  remove_leftovers(ablation_.output);
  for (const Trial& trial : trials_) remove_leftovers(trial.folder);
  if (mode == AblationMode::overwrite) remove_everything();
}

AblationRun::~AblationRun() = default;

void AblationRun::find_finished() {
  for (Trial& trial : trials_) {
    require_same_run("variant '" + trial.variant.name + "': ", trial.folder, vit::write_config(trial.config));
    trial.result = read_result(trial.folder);
    if (mode_ == AblationMode::measure && !trial.result)
      vit::fail_usage("--measure: variant '", trial.variant.name, "' is not trained yet; the same command without ",
                      "--measure trains it");
  }
}

void AblationRun::check_variants() {
  for (Trial& trial : trials_) {
    if (trial.is_done()) continue;
    try {
      const TrainRun run(trial.config, common_);
      trial.memory_mb = 1e-6 * static_cast<double>(run.step_memory());
    } catch (const vit::Error& error) {
      throw vit::Error(vit::str("variant '", trial.variant.name, "': ", error.what()), error.kind());
    }
  }
}

void AblationRun::remove_everything() const {
  for (const std::string& file : result_files()) fs::remove(ablation_.output / file);
  for (const Trial& trial : trials_) {
    fs::remove(trial.folder / "result.json");
    const vit::RunFolder emptied(trial.folder, vit::RunMode::overwrite);
  }
}

/// ", about 5 min left", as soon as one variant has shown how long they take.
std::string AblationRun::time_left() const {
  const auto is_left = [](const Trial& trial) { return !trial.result; };
  const auto left = std::count_if(trials_.begin(), trials_.end(), is_left);
  if (trained_now_ == 0 || left == 0) return "";
  const double seconds = train_seconds_ / static_cast<double>(trained_now_) * static_cast<double>(left);
  return seconds < 90.0 ? fmt::format(", about {:.0f} s left", seconds)
                        : fmt::format(", about {:.0f} min left", seconds / 60.0);
}

/// False: stopped before its end.
bool AblationRun::run_training(const Trial& trial, VariantResult& result) {
  CommonOptions quiet = common_;
  quiet.quiet = common_.verbose == 0;  // each run's own notes would drown the comparison
  TrainRun run(trial.config, quiet);
  result.params = run.setup().model->parameter_count();
  Progress progress(common_, "batches of " + trial.variant.name, /*prints_results=*/false);
  bool has_begun = false;
  const auto on_batch = [&](const vit::TrainProgress& now) {
    if (!std::exchange(has_begun, true)) progress.set_total((now.epochs - now.epoch) * now.batches - now.batch + 1);
    progress.advance();
  };
  const vit::TrainResult ended = run.train(vit::RunMode::resume, {.trainer = {.on_batch = on_batch}});
  if (ended.finished) read_training_figures(trial.folder, result);
  return ended.finished;
}

void AblationRun::train(Trial& trial, size_t number) {
  const std::string& name = trial.variant.name;
  const vit::Timer timer;
  VariantResult result;
  result.name = name;
  result.value = vit::inline_yaml(trial.variant.value);
  result.train_memory_mb = trial.memory_mb;
  try {
    if (!run_training(trial, result)) return;
  } catch (const vit::Error& error) {
    result.failure = error.what();
  } catch (const std::bad_alloc&) {
    result.failure = "out of memory";
  }
  fs::create_directories(trial.folder);
  write_result(trial.folder, result);
  trial.result = result;
  train_seconds_ += timer.seconds();
  ++trained_now_;
  const std::string figures =
      result.trained() ? fmt::format("{}, {}", metric_text("top1", result.top1), metric_text("loss", result.val_loss))
                       : "failed: " + result.failure;
  note(common_, "{}/{} {}: {}, {:.0f} s{}", number, trials_.size(), name, figures, timer.seconds(), time_left());
}

bool AblationRun::train() {
  size_t kept = 0;
  for (Trial& trial : trials_) {
    kept += trial.is_done() ? 1 : 0;
    if (!trial.is_done()) trial.result.reset();  // what failed is tried again
  }
  note(common_, "{} variants of {}, {} trained already; folder {}", trials_.size(), ablation_.key, kept,
       ablation_.output.string());
  // Speeds compare within one measurement only: those without the new ones mean nothing.
  if (kept < trials_.size()) fs::remove(ablation_.output / "results.jsonl");
  for (size_t i = 0; i < trials_.size(); ++i) {
    if (trials_[i].is_done()) continue;
    train(trials_[i], i + 1);
    if (!stop_requested()) continue;
    note(common_, "stopped in '{}'; the same command goes on", trials_[i].variant.name);
    return false;
  }
  return true;
}

bool AblationRun::knows_speeds(const std::vector<VariantResult>& before) const {
  if (mode_ == AblationMode::measure || before.size() != trials_.size()) return false;
  return std::equal(trials_.begin(), trials_.end(), before.begin(), [](const Trial& trial, const VariantResult& known) {
    return known.trained() && known.name == trial.variant.name && known.value == trial.result->value;
  });
}

void AblationRun::measure() {
  const std::vector<VariantResult> before = read_results(ablation_.output);
  if (knows_speeds(before)) {
    for (size_t i = 0; i < trials_.size(); ++i) trials_[i].result = before[i];
    return;
  }
  std::vector<SpeedTrial> trials;
  for (Trial& trial : trials_)
    if (trial.is_done()) trials.push_back({trial.folder / "checkpoints" / "last", &*trial.result});
  note(common_, "measuring the speed of {} models", trials.size());
  Progress progress(common_, "measurements", /*prints_results=*/false,
                    static_cast<int64_t>(trials.size()) * ablation_.rounds);
  measure_speeds(trials, trials_.front().config.loader.batch_size, ablation_.rounds, [&] { progress.advance(); });
  write_results(ablation_.output, results());
}

std::vector<VariantResult> AblationRun::results() const {
  std::vector<VariantResult> results;
  for (const Trial& trial : trials_) results.push_back(*trial.result);
  return results;
}

}  // namespace apps
