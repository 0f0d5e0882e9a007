#include "apps/train_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "apps/common.h"
#include "apps/output.h"
#include "apps/stop.h"
#include "vit/core/file.h"
#include "vit/core/memory.h"
#include "vit/train/append_file.h"

namespace apps {

namespace {

/// Keys that may differ between a run and its continuation: they change when it ends and what it keeps, not what it
/// computes up to there.
bool may_change(const std::string& key) {
  for (const char* free : {"output", "max_minutes", "keep_checkpoints", "checkpoint_interval", "max_memory_gb",
                           "cache_mb", "prefetch", "plots", "monitor"})
    if (key == free || key.starts_with(std::string(free) + ".")) return true;
  return false;
}

/// Two pictures as training sees them: enough to know what a whole batch needs, and never too large to be made.
vit::Batch first_pictures(const TrainSetup& setup, const TrainConfig& config) {
  datasets::LoaderConfig two = config.loader;
  two.batch_size = 2;
  two.drop_last = false;
  two.prefetch = 1;
  two.cache_mb = 0;
  two.max_bad_fraction = 1.0;  // the run itself counts and lists them
  const auto loader = setup.make_train_loader(two);
  vit::Batch batch;
  loader->start(0, 0);
  if (!loader->next(batch)) {
    const datasets::BadPicture& bad = loader->quarantine().at(0);
    vit::fail("data: no picture of the training data can be read; the first is ", bad.source, ": ", bad.reason);
  }
  return batch;
}

/// Refuses what would not fit, with the figure. The bytes of a step, without the weights.
int64_t require_memory(const TrainSetup& setup, const TrainConfig& config, const CommonOptions& common) {
  const vit::Batch batch = first_pictures(setup, config);
  const int64_t batch_size = config.loader.batch_size;
  const int64_t batch_bytes = batch.images.nbytes() / batch.size() * batch_size;
  const int64_t resident = vit::resident_memory();
  const int64_t step = vit::estimate_memory(*setup.task, batch, config.trainer, batch_size);
  const int64_t bytes = step + (config.loader.prefetch + 1) * batch_bytes + resident;
  const double needed = 1e-9 * static_cast<double>(bytes);
  detail_note(common, "memory: about {:.2f} GB, without the cache of decoded pictures", needed);
  const int64_t available = vit::available_memory();
  if (available == 0 && config.max_memory_gb == 0.0) return step;  // not known here
  const double limit =
      config.max_memory_gb > 0.0 ? config.max_memory_gb : 1e-9 * static_cast<double>(available + resident);
  if (needed > limit)
    vit::fail_usage("batch_size ", batch_size, " needs about ", fmt::format("{:.2f}", needed), " GB, ",
                    fmt::format("{:.2f}", limit),
                    config.max_memory_gb > 0.0 ? " GB are allowed (max_memory_gb)" : " GB are available",
                    "; use a smaller batch_size with grad_accum_steps, or grad_checkpointing: true");
  return step;
}

/// The run's quarantine.jsonl: pictures that could not be read, each once, however often the run is resumed.
class Quarantine {
 public:
  explicit Quarantine(const std::filesystem::path& path) {
    // A kill may leave half a line.
    std::string kept;
    const std::string text = std::filesystem::exists(path) ? vit::read_file(path, kMaxBytes) : std::string();
    for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      if (lines_.insert(text.substr(begin, end - begin)).second) kept += text.substr(begin, end + 1 - begin);
    if (kept != text) vit::write_file_atomically(path, kept);
    file_ = std::make_unique<vit::AppendFile>(path);
  }
  void add(const datasets::BadPicture& bad) {
    const std::string line = json_line({{"source", bad.source}, {"reason", bad.reason}});
    if (lines_.insert(line).second) file_->append(line + "\n");
  }

 private:
  static constexpr int64_t kMaxBytes = int64_t{1} << 30;
  std::set<std::string> lines_;
  std::unique_ptr<vit::AppendFile> file_;
};

void record_quarantine(datasets::Loader& loader, Quarantine& quarantine, const CommonOptions& common) {
  loader.on_bad_picture([&](const datasets::BadPicture& bad) {
    quarantine.add(bad);
    note(common, "left out: {}: {}", bad.source, bad.reason);
  });
}

/// The whole configuration as it is recorded: with what the model decided, but not the names of all that is frozen.
TrainConfig as_asked(const TrainConfig& asked, TrainConfig prepared) {
  prepared.trainer.optimizer.freeze = asked.trainer.optimizer.freeze;
  return prepared;
}

/// The run's bad_boxes.jsonl: boxes that were repaired or left out.
void record_bad_boxes(const std::vector<datasets::BadBox>& boxes, const std::filesystem::path& path,
                      const CommonOptions& common) {
  if (boxes.empty()) return;
  std::string lines;
  for (const datasets::BadBox& box : boxes)
    lines += json_line({{"source", box.source}, {"reason", box.reason}, {"repaired", box.repaired}}) + "\n";
  vit::write_file_atomically(path, lines);
  const auto repaired = std::count_if(boxes.begin(), boxes.end(), [](const auto& box) { return box.repaired; });
  note(common, "boxes: {} could not be used as they stand, {} of them were repaired; {} lists them", boxes.size(),
       repaired, path.string());
}

/// The run's bad_captions.jsonl: captions and pictures that were left out.
void record_bad_captions(const std::vector<datasets::BadCaption>& captions, const std::filesystem::path& path,
                         const CommonOptions& common) {
  if (captions.empty()) return;
  std::string lines;
  for (const datasets::BadCaption& caption : captions)
    lines += json_line({{"source", caption.source}, {"reason", caption.reason}}) + "\n";
  vit::write_file_atomically(path, lines);
  note(common, "captions: {} entries could not be used; {} lists them", captions.size(), path.string());
}

/// Errors (usage): --overwrite would remove the checkpoint that the run begins with.
void require_elsewhere(const TrainConfig& config) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path model = fs::weakly_canonical(config.model.text(), error);
  const fs::path output = fs::weakly_canonical(config.output, error);
  const auto at = std::mismatch(output.begin(), output.end(), model.begin(), model.end());
  if (config.model.is_scalar() && fs::is_directory(model, error) && at.first == output.end())
    vit::fail_usage("--overwrite would remove the model ", config.model.text(), " that the run begins with, in ",
                    config.output, "; give another `output`");
}

}  // namespace

void require_same_run(const std::string& prefix, const std::filesystem::path& folder, const vit::ConfigNode& resolved) {
  const std::filesystem::path file = folder / "config.yaml";
  if (!std::filesystem::exists(file)) return;
  std::string differing;
  // Keys that the run did not have yet count with their defaults.
  const vit::ConfigNode before = vit::write_config(vit::read_config<TrainConfig>(vit::ConfigNode::load(file)));
  for (const std::string& key : vit::differing_keys(before, resolved))
    if (!may_change(key)) differing += (differing.empty() ? "" : ", ") + key;
  if (!differing.empty())
    vit::fail_usage(
        prefix, file.string(), " says otherwise about: ", differing,
        "; give the values of the run, start another with another `output`, or replace it with --overwrite");
}

TrainRun::TrainRun(const TrainConfig& config, const CommonOptions& common)
    : common_(common),
      config_(config),
      setup_(prepare_training(config_)),
      resolved_(vit::write_config(as_asked(config, config_))) {
  step_memory_ = require_memory(setup_, config_, common);
  vit::require_trainable(*setup_.task, *setup_.train, config_.trainer);
}

vit::TrainResult TrainRun::train(vit::RunMode mode, RunHooks hooks) {
  if (mode == vit::RunMode::overwrite) require_elsewhere(config_);
  vit::RunFolder folder(config_.output, mode);
  if (mode == vit::RunMode::resume) require_same_run("--resume: ", folder.path(), resolved_);
  Quarantine quarantine(folder.quarantine_file());
  for (datasets::Loader* loader : {setup_.train.get(), setup_.val.get()})
    if (loader) record_quarantine(*loader, quarantine, common_);
  record_bad_boxes(setup_.bad_boxes, folder.bad_boxes_file(), common_);
  record_bad_captions(setup_.bad_captions, folder.bad_captions_file(), common_);
  stop_on_signals();
  if (hooks.on_start) hooks.on_start(!folder.has_config());
  hooks.trainer.stop_requested = stop_requested;
  hooks.trainer.on_note = [&](const std::string& text) { note(common_, "{}", text); };
  return vit::train(*setup_.task, *setup_.train, config_.trainer, folder, resolved_, setup_.facts, hooks.trainer);
}

std::string metric_text(const std::string& name, double value) {
  const bool fraction = name.starts_with("top") || name.starts_with("map") || name.starts_with("mar");
  return fmt::format("{} {:.{}f}{}", name == "loss" ? "val loss" : name, fraction ? 100.0 * value : value,
                     fraction ? 2 : 4, fraction ? " %" : "");
}

}  // namespace apps
