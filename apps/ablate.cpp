// vitkit ablate: trains one model with each of several parts in one place, and compares.
#include <algorithm>
#include <memory>

#include "apps/ablation_run.h"
#include "apps/output.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace apps {

namespace {

struct AblateOptions {
  std::string config;
  std::vector<std::string> overrides;
  bool measure = false;
  bool overwrite = false;
  bool seed_given = false;
};

std::vector<std::string> overrides_of(const AblateOptions& options, const CommonOptions& common) {
  std::vector<std::string> overrides = options.overrides;
  if (options.seed_given) overrides.push_back(vit::str("seed=", common.seed));
  return overrides;
}

int report(const std::vector<VariantResult>& results, Output& output) {
  if (output.format() == Format::text) output.write({}, table_text(results));
  for (const VariantResult& result : results)
    if (output.format() != Format::text) output.write(to_record(result), "");
  output.finish();
  return std::all_of(results.begin(), results.end(), [](const VariantResult& r) { return r.trained(); }) ? 0 : 1;
}

int ablate(const AblateOptions& options, const CommonOptions& common) {
  if (options.measure && options.overwrite)
    vit::fail_usage("--measure and --overwrite contradict each other; give one");
  const AblationMode mode = options.measure     ? AblationMode::measure
                            : options.overwrite ? AblationMode::overwrite
                                                : AblationMode::go_on;
  Output output(common);
  const Ablation ablation = load_ablation(options.config, overrides_of(options, common));
  AblationRun run(ablation, mode, common);
  if (!options.measure && !run.train()) return 0;
  run.measure();
  const int status = report(run.results(), output);
  note(common, "{} are in {}", vit::joined(result_files()), ablation.output.string());
  return status;
}

}  // namespace

Action add_ablate(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<AblateOptions>();
  command
      .add_option("CONFIG", options->config,
                  with_example("Training configuration with a section `ablation`", "configs/train/ablation.yaml"))
      ->type_name("CONFIG.yaml")
      ->required();
  command
      .add_option("KEY=VALUE", options->overrides,
                  with_example("Values in place of the file's", "epochs=2 'ablation.variants=[self, class_attention]'"))
      ->type_name("KEY=VALUE");
  command.add_flag("--measure", options->measure,
                   with_example("Measure the speeds again, and train nothing (default: off)", "--measure"));
  command.add_flag("--overwrite", options->overwrite,
                   with_example("Train all variants anew (default: go on where it stopped)", "--overwrite"));
  command.footer(
      "Trains the model once per variant, each under the same seed, data and budget,\n"
      "then measures all of them in turns. Interrupted, the same command goes on.\n"
      "The section of the file:\n"
      "\n"
      "  ablation:\n"
      "    key: model.attention            (what the variants set; the default)\n"
      "    variants: [self, {name: window4, attention: {type: window, window: 4}}]\n"
      "    rounds: 9                       (measurements of the speed)\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit ablate configs/train/ablation.yaml\n"
      "  vitkit ablate configs/train/ablation.yaml epochs=2 output=runs/quick\n"
      "  vitkit ablate configs/train/ablation.yaml --measure --threads 1");
  return [options, &command, &common] {
    options->seed_given = command.get_option("--seed")->count() > 0;
    return ablate(*options, common);
  };
}

}  // namespace apps
