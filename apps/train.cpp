// vitkit train: trains or fine-tunes a model from a YAML configuration.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "apps/measure.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/train_setup.h"
#include "apps/verbs.h"
#include "vit/core/file.h"
#include "vit/core/memory.h"
#include "vit/train/append_file.h"
#include "vit/train/run_folder.h"

namespace apps {

namespace {

struct TrainOptions {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false;
  bool overwrite = false;
  bool seed_given = false;  ///< --seed stands on the command line: it is the configuration's `seed`
};

std::atomic<bool> stop_requested{false};

/// The first Ctrl-C ends the run after the current batch, with a checkpoint; the second ends it at once.
extern "C" void request_stop(int signal) {
  if (stop_requested.exchange(true)) {
    vit::remove_unfinished_files();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

/// Keys that may differ between a run and its continuation: they change when it ends and what it keeps, not what it
/// computes up to there.
bool may_change(const std::string& key) {
  for (const char* free : {"output", "max_minutes", "keep_checkpoints", "checkpoint_interval", "max_memory_gb",
                           "cache_mb", "prefetch", "plots", "monitor"})
    if (key == free || key.starts_with(std::string(free) + ".")) return true;
  return false;
}

/// The run's own configuration goes on; what the command line says otherwise is refused.
void require_same_config(const vit::RunFolder& folder, const vit::ConfigNode& resolved) {
  if (!folder.has_config()) return;
  std::string differing;
  // Keys that the run did not have yet count with their defaults.
  const vit::ConfigNode before = vit::write_config(vit::read_config<TrainConfig>(folder.read_config()));
  for (const std::string& key : vit::differing_keys(before, resolved))
    if (!may_change(key)) differing += (differing.empty() ? "" : ", ") + key;
  if (!differing.empty())
    vit::fail_usage("--resume: ", folder.config_file().string(), " says otherwise about: ", differing,
                    "; give the values of the run, or start a new one with another `output`");
}

/// Two pictures as training sees them: enough to know what a whole batch needs, and never too large to be made.
vit::Batch first_pictures(const TrainSetup& setup, const TrainConfig& config) {
  datasets::LoaderConfig two = config.loader;
  two.batch_size = 2;
  two.drop_last = false;
  two.prefetch = 1;
  two.cache_mb = 0;
  two.max_bad_fraction = 1.0;  // the run itself counts and lists them
  const auto loader = datasets::make_train_loader(*setup.data.train, setup.preprocessor, config.augment, config.sampler,
                                                  two, static_cast<uint64_t>(config.trainer.seed));
  vit::Batch batch;
  loader->start(0, 0);
  if (!loader->next(batch)) {
    const datasets::BadPicture& bad = loader->quarantine().at(0);
    vit::fail("data: no picture of the training data can be read; the first is ", bad.source, ": ", bad.reason);
  }
  return batch;
}

/// Refuses what would not fit, with the figure.
void require_memory(const TrainSetup& setup, vit::Task& task, const TrainConfig& config, const CommonOptions& common) {
  const vit::Batch batch = first_pictures(setup, config);
  const int64_t batch_size = config.loader.batch_size;
  const int64_t batch_bytes = batch.images.nbytes() / batch.size() * batch_size;
  const int64_t resident = vit::resident_memory();
  const int64_t bytes = vit::estimate_memory(task, batch, config.trainer, batch_size) +
                        (config.loader.prefetch + 1) * batch_bytes + resident;
  const double needed = 1e-9 * static_cast<double>(bytes);
  detail_note(common, "memory: about {:.2f} GB, without the cache of decoded pictures", needed);
  const int64_t available = vit::available_memory();
  if (available == 0 && config.max_memory_gb == 0.0) return;  // not known here
  const double limit =
      config.max_memory_gb > 0.0 ? config.max_memory_gb : 1e-9 * static_cast<double>(available + resident);
  if (needed > limit)
    vit::fail_usage("batch_size ", batch_size, " needs about ", fmt::format("{:.2f}", needed), " GB, ",
                    fmt::format("{:.2f}", limit),
                    config.max_memory_gb > 0.0 ? " GB are allowed (max_memory_gb)" : " GB are available",
                    "; use a smaller batch_size with grad_accum_steps, or grad_checkpointing: true");
}

/// "top1 82.50 %", "val loss 0.6931": fractions are percent for people.
std::string metric_text(const std::string& name, double value) {
  const bool fraction = name.starts_with("top");
  return fmt::format("{} {:.{}f}{}", name == "loss" ? "val loss" : name, fraction ? 100.0 * value : value,
                     fraction ? 2 : 4, fraction ? " %" : "");
}

void write_epoch(Output& output, const vit::EpochReport& report, int64_t epochs) {
  Record record = {{"epoch", report.epoch}, {"step", report.step}, {"loss", report.loss}, {"lr", report.lr}};
  std::string figures;
  for (const auto& [name, value] : report.metrics) {
    record[vit::record_name(name)] = value;
    figures += "  " + metric_text(name, value);
  }
  record["best"] = report.is_best;
  record["images_per_s"] = report.images_per_s;
  record["waited_share"] = report.waited_share;
  record["seconds"] = report.seconds;
  output.write(record,
               fmt::format("epoch {}/{}  loss {:.4f}{}{}  lr {:.2e}  {:.1f} images/s  waiting for data {:.1f} %\n",
                           report.epoch + 1, epochs, report.loss, figures, report.is_best ? " (best)" : "", report.lr,
                           report.images_per_s, 100.0 * report.waited_share));
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

int train(const TrainOptions& options, const CommonOptions& common) {
  if (options.resume && options.overwrite) vit::fail_usage("--resume and --overwrite contradict each other; give one");
  std::vector<std::string> overrides = options.overrides;
  if (options.seed_given) overrides.push_back(vit::str("seed=", common.seed));
  const vit::ConfigNode file = vit::ConfigNode::load(options.config, overrides);
  TrainConfig config = vit::read_config<TrainConfig>(file);
  const vit::ConfigNode resolved = vit::write_config(config);
  Output output(common);
  TrainSetup setup = prepare_training(config);
  vit::ClassificationTask task(*setup.model, config.loss, setup.val.get(), setup.files);
  require_memory(setup, task, config, common);
  vit::require_trainable(task, *setup.train, config.trainer);  // before --overwrite removes anything
  if (options.overwrite) require_elsewhere(config);
  const vit::RunMode mode = options.resume      ? vit::RunMode::resume
                            : options.overwrite ? vit::RunMode::overwrite
                                                : vit::RunMode::fresh;
  vit::RunFolder folder(config.output, mode);
  if (options.resume) require_same_config(folder, resolved);
  if (options.resume && !folder.has_config()) note(common, "--resume: {} holds no run; one begins", config.output);
  Quarantine quarantine(folder.quarantine_file());
  for (datasets::Loader* loader : {setup.train.get(), setup.val.get()})
    if (loader) record_quarantine(*loader, quarantine, common);
  note(common, "{}: {}, {:.2f} M parameters, {} pictures of {} classes, validation on {}; run folder {}",
       setup.model->info().name, setup.start, 1e-6 * static_cast<double>(setup.model->parameter_count()),
       setup.data.train->size(), setup.data.class_names.size(), setup.data.val ? setup.data.val_name : "nothing",
       config.output);
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, request_stop);
  const int64_t epochs = config.trainer.schedule.epochs;
  Progress progress(common, "batches", /*prints_results=*/true);
  bool has_begun = false;
  const vit::TrainerHooks hooks{
      .on_batch =
          [&](const vit::TrainProgress& now) {
            // A resumed run has less before it.
            if (!std::exchange(has_begun, true))
              progress.set_total((now.epochs - now.epoch) * now.batches - now.batch + 1);
            progress.advance();
          },
      .on_epoch = [&](const vit::EpochReport& report) { write_epoch(output, report, epochs); },
      .on_note = [&](const std::string& text) { note(common, "{}", text); },
      .stop_requested = [] { return stop_requested.load(); }};
  const vit::TrainResult result = vit::train(task, *setup.train, config.trainer, folder, resolved, setup.facts, hooks);
  output.finish();
  if (!result.finished)
    note(common, "stopped in epoch {}, update {}; the same command with --resume goes on", result.epoch + 1,
         result.step);
  const std::string& model = result.best_checkpoint.empty() ? result.last_checkpoint : result.best_checkpoint;
  note(common, "{} in {}; use it with --model {}",
       result.best ? "best " + metric_text(config.trainer.eval_metric, *result.best) : "the last checkpoint", model,
       model);
  return 0;
}

}  // namespace

Action add_train(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<TrainOptions>();
  command.add_option("CONFIG", options->config, with_example("Training configuration", "configs/train/cifar10.yaml"))
      ->type_name("CONFIG.yaml")
      ->required();
  command
      .add_option("KEY=VALUE", options->overrides,
                  with_example("Values in place of the file's", "lr=1e-4 model=path/to/checkpoint"))
      ->type_name("KEY=VALUE");
  command.add_flag("--resume", options->resume,
                   with_example("Go on with the run in the output folder (default: off)", "--resume"));
  command.add_flag("--overwrite", options->overwrite,
                   with_example("Replace a run in the output folder (default: off)", "--overwrite"));
  command.footer(
      "vitkit info --list train_keys explains the keys (docs/configs.md, too). A run's\n"
      "folder has the resolved configuration, metrics (CSV, JSON lines, TensorBoard),\n"
      "plots, the list of unreadable pictures, and checkpoints that --model takes.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit train configs/train/finetune.yaml model=DIR data_dir=DIR\n"
      "  vitkit train configs/train/cifar10.yaml data_dir=path/to/cifar10 output=runs/a\n"
      "  vitkit train configs/train/cifar10.yaml output=runs/a --resume");
  return [options, &command, &common] {
    options->seed_given = command.get_option("--seed")->count() > 0;
    return train(*options, common);
  };
}

}  // namespace apps
