// vitkit train: trains or fine-tunes a model from a YAML configuration.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <memory>

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
  for (const char* free :
       {"output", "max_minutes", "keep_checkpoints", "max_memory_gb", "cache_mb", "prefetch", "plots", "monitor"})
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

/// Refuses what would not fit, with the figure.
void require_memory(TrainSetup& setup, vit::Task& task, const TrainConfig& config) {
  setup.train->start(0, 0);
  vit::Batch batch;
  if (!setup.train->next(batch)) vit::fail_usage("data: not even one batch can be made of the training data");
  const int64_t batch_size = config.loader.batch_size;
  const double needed = 1e-9 * static_cast<double>(vit::estimate_memory(task, batch, config.trainer, batch_size));
  const double free =
      config.max_memory_gb > 0.0 ? config.max_memory_gb : 1e-9 * static_cast<double>(vit::available_memory());
  if (needed > free)
    vit::fail_usage("batch_size ", batch_size, " needs about ", fmt::format("{:.1f}", needed), " GB, ",
                    fmt::format("{:.1f}", free),
                    " GB are available; use a smaller batch_size with grad_accum_steps, or grad_checkpointing: true");
}

void write_epoch(Output& output, const vit::EpochReport& report, int64_t epochs) {
  Record record = {{"epoch", report.epoch}, {"step", report.step}, {"loss", report.loss}, {"lr", report.lr}};
  std::string figures;
  for (const auto& [name, value] : report.metrics) {
    record[name == "loss" ? "val_loss" : name] = value;
    const bool fraction = name.starts_with("top");
    figures += fmt::format("  {} {:.{}f}{}", name == "loss" ? "val loss" : name, fraction ? 100.0 * value : value,
                           fraction ? 2 : 4, fraction ? " %" : "");
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

/// Lists pictures that could not be read in the run's quarantine.jsonl.
void record_quarantine(datasets::Loader& loader, vit::AppendFile& file, const CommonOptions& common) {
  loader.on_bad_picture([&](const datasets::BadPicture& bad) {
    file.append(json_line({{"source", bad.source}, {"reason", bad.reason}}) + "\n");
    note(common, "left out: {}: {}", bad.source, bad.reason);
  });
}

int train(const TrainOptions& options, const CommonOptions& common) {
  const vit::ConfigNode file = vit::ConfigNode::load(options.config, options.overrides);
  TrainConfig config = vit::read_config<TrainConfig>(file);
  const vit::ConfigNode resolved = vit::write_config(config);
  Output output(common);
  TrainSetup setup = prepare_training(config);
  vit::ClassificationTask task(*setup.model, config.loss, setup.val.get(), setup.files);
  const vit::RunMode mode = options.resume      ? vit::RunMode::resume
                            : options.overwrite ? vit::RunMode::overwrite
                                                : vit::RunMode::fresh;
  vit::RunFolder folder(config.output, mode);
  if (options.resume) require_same_config(folder, resolved);
  vit::AppendFile quarantine(folder.quarantine_file());
  for (datasets::Loader* loader : {setup.train.get(), setup.val.get()})
    if (loader) record_quarantine(*loader, quarantine, common);
  require_memory(setup, task, config);
  folder.write_config(resolved);
  note(common, "{}: {}, {:.2f} M parameters, {} pictures of {} classes, validation on {}; run folder {}",
       setup.model->info().name, setup.start, 1e-6 * static_cast<double>(setup.model->parameter_count()),
       setup.data.train->size(), setup.data.class_names.size(), setup.data.val ? setup.data.val_name : "nothing",
       config.output);
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, request_stop);
  const int64_t epochs = config.trainer.schedule.epochs;
  Progress progress(common, "batches", /*prints_results=*/true, epochs * setup.train->batches_per_epoch());
  const vit::TrainerHooks hooks{
      .on_batch = [&](const vit::TrainProgress&) { progress.advance(); },
      .on_epoch = [&](const vit::EpochReport& report) { write_epoch(output, report, epochs); },
      .on_note = [&](const std::string& text) { note(common, "{}", text); },
      .stop_requested = [] { return stop_requested.load(); }};
  const vit::TrainResult result = vit::train(task, *setup.train, config.trainer, folder, resolved, setup.facts, hooks);
  output.finish();
  if (!result.finished)
    note(common, "stopped in epoch {}; vitkit train {} --resume goes on", result.epoch + 1, options.config);
  const std::string& model = result.best_checkpoint.empty() ? result.last_checkpoint : result.best_checkpoint;
  note(common, "{} in {}; use it with --model {}",
       result.best ? fmt::format("best {} {:.4f}", config.trainer.eval_metric, *result.best) : "the last checkpoint",
       model, model);
  return 0;
}

}  // namespace

Action add_train(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<TrainOptions>();
  command.add_option("config", options->config, with_example("Training configuration", "configs/train/cifar10.yaml"))
      ->type_name("CONFIG.yaml")
      ->required();
  command
      .add_option("overrides", options->overrides,
                  with_example("Values in place of the file's", "lr=1e-4 model=path/to/checkpoint"))
      ->type_name("KEY=VALUE");
  command.add_flag("--resume", options->resume,
                   with_example("Go on with the run in the output folder (default: off)", "--resume"));
  command.add_flag("--overwrite", options->overwrite,
                   with_example("Replace a run in the output folder (default: off)", "--overwrite"));
  command.footer(
      "The keys are explained in docs/configs.md. A run's folder has the resolved\n"
      "configuration, metrics (CSV, JSON lines, TensorBoard), plots, the list of\n"
      "unreadable pictures, and checkpoints that --model takes.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit train configs/train/finetune.yaml model=DIR data_dir=DIR\n"
      "  vitkit train configs/train/cifar10.yaml data_dir=path/to/cifar10 output=runs/a\n"
      "  vitkit train configs/train/cifar10.yaml output=runs/a --resume");
  return [options, &common] { return train(*options, common); };
}

}  // namespace apps
