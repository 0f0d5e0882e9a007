// vitkit train: trains or fine-tunes a model from a YAML configuration.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "apps/output.h"
#include "apps/progress.h"
#include "apps/train_run.h"
#include "apps/verbs.h"

namespace apps {

namespace {

struct TrainOptions {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false;
  bool overwrite = false;
  bool seed_given = false;  ///< --seed stands on the command line: it is the configuration's `seed`
};

/// Figures that a person follows; the records have all.
bool is_headline(const std::string& metric) {
  return !metric.starts_with("mar") && metric.find('_') == std::string::npos;
}

void write_epoch(Output& output, const vit::EpochReport& report, int64_t epochs) {
  Record record = {{"epoch", report.epoch}, {"step", report.step}, {"loss", report.loss}, {"lr", report.lr}};
  std::string figures;
  for (const auto& [name, value] : report.metrics) {
    record[vit::record_name(name)] = value;
    if (is_headline(name)) figures += "  " + metric_text(name, value);
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

int train(const TrainOptions& options, const CommonOptions& common) {
  if (options.resume && options.overwrite) vit::fail_usage("--resume and --overwrite contradict each other; give one");
  std::vector<std::string> overrides = options.overrides;
  if (options.seed_given) overrides.push_back(vit::str("seed=", common.seed));
  const auto config = vit::load_config<TrainConfig>(options.config, overrides);
  Output output(common);
  TrainRun run(config, common);
  const vit::RunMode mode = options.resume      ? vit::RunMode::resume
                            : options.overwrite ? vit::RunMode::overwrite
                                                : vit::RunMode::fresh;
  const TrainSetup& setup = run.setup();
  const int64_t epochs = config.trainer.schedule.epochs;
  Progress progress(common, "batches", /*prints_results=*/true);
  bool has_begun = false;
  const vit::TrainResult result = run.train(
      mode, {.on_start =
                 [&](bool is_new) {
                   if (options.resume && is_new) note(common, "--resume: {} holds no run; one begins", config.output);
                   note(common, "{}: {}, {:.2f} M parameters, {} pictures{}, validation on {}; run folder {}",
                        setup.model->info().name, setup.start,
                        1e-6 * static_cast<double>(setup.model->parameter_count()), setup.data.train->size(),
                        setup.learns, setup.data.val ? setup.data.val_name : "nothing", config.output);
                 },
             .trainer = {.on_batch =
                             [&](const vit::TrainProgress& now) {
                               // A resumed run has less before it.
                               if (!std::exchange(has_begun, true))
                                 progress.set_total((now.epochs - now.epoch) * now.batches - now.batch + 1);
                               progress.advance();
                             },
                         .on_epoch = [&](const vit::EpochReport& report) { write_epoch(output, report, epochs); }}});
  output.finish();
  if (!result.finished)
    note(common, "stopped in epoch {}, update {}; the same command with --resume goes on", result.epoch + 1,
         result.step);
  const std::string& model = result.best_checkpoint.empty() ? result.last_checkpoint : result.best_checkpoint;
  note(common, "{} in {}; use it with --model {}",
       result.best ? "best " + metric_text(run.config().trainer.eval_metric, *result.best) : "the last checkpoint",
       model, model);
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
