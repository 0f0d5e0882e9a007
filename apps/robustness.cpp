// vitkit robustness: how easily a classifier is fooled, by attacks and by spoilt pictures.
#include <functional>
#include <memory>
#include <optional>

#include "apps/output.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "apps/robustness_attacks.h"
#include "apps/robustness_corruption_report.h"
#include "apps/robustness_corruptions.h"
#include "apps/robustness_model.h"
#include "apps/robustness_report.h"
#include "apps/robustness_run.h"
#include "apps/verbs.h"
#include "datasets/class_mapping.h"
#include "vit/core/check.h"

namespace apps {

namespace {

constexpr int64_t kPicturesKept = 24;  // of which the report draws a few
constexpr int64_t kSpoiltDrawn = 6;    // under each corruption

/// Told of every batch's outcome under a condition.
using BatchOf = std::function<void(const Condition&, const vit::AttackBatch&, const vit::AttackResult&)>;

/// Errors: a condition that was measured on nothing.
void require_pictures(const ConditionResult& result) {
  if (result.figures.count() > 0) return;
  if (result.left_out > 0)
    vit::fail("--targeted: all ", result.left_out, " pictures are of the target class, so that ",
              result.condition.title, " has nothing to aim at");
  vit::fail("there is no readable picture in the data");
}

/// Measures all conditions, each one's line at once. Returns the results.
std::vector<ConditionResult> run_conditions(const std::vector<Condition>& conditions, RobustnessPictures& pictures,
                                            const vit::AttackTarget& target, const BatchOf& seen, Output& output,
                                            const CommonOptions& common) {
  Progress progress(common, "images", /*prints_results=*/true,
                    pictures.size() * static_cast<int64_t>(conditions.size()));
  std::vector<ConditionResult> results;
  for (const Condition& condition : conditions) {
    results.push_back(measure(
        pictures, target, condition, [&](int64_t count) { progress.advance(count); },
        [&](const vit::AttackBatch& batch, const vit::AttackResult& found) { seen(condition, batch, found); }));
    require_pictures(results.back());
    clear_progress();
    const auto errors = static_cast<int64_t>(pictures.unreadable().size());
    output.write(condition_record(results.back(), errors), condition_text(results.back()));
  }
  return results;
}

/// Attacks are the default where nothing is asked for.
std::vector<Condition> all_conditions(RobustnessOptions& options, const CommonOptions& common,
                                      const vit::AttackTarget& target, const AttackedModel& loaded) {
  std::vector<Condition> conditions = {{.kind = "clean", .title = "clean"}};
  for (Condition& condition : corruption_conditions(options.corruptions, common.seed))
    conditions.push_back(std::move(condition));
  if (options.attacks.empty() && conditions.size() == 1) options.attacks = {"fgsm", "pgd"};
  if (options.attacks.empty()) return conditions;
  for (Condition& condition : attack_conditions(options, common, target, loaded.labels, sample_of(loaded)))
    conditions.push_back(std::move(condition));
  return conditions;
}

int robustness(RobustnessOptions options, const CommonOptions& common) {
  options.model = model_or_bundled("robustness", options.model,
                                   options.data.data.starts_with("scenes:") ? "scenes" : "cifar10", common);
  const AttackedModel loaded = load_attacked(options, common);
  const EvaluationData data = open_evaluation_data(options.data, options.model, EvaluatedLabels::classes, common);
  const datasets::ClassMapping mapping = datasets::map_classes(data.data->class_names(), loaded.labels);
  const vit::ModelTarget target(*loaded.model, vit::PixelScale::of(loaded.preprocessor.to_float()));

  const std::vector<Condition> conditions = all_conditions(options, common, target, loaded);
  std::optional<CorruptionBaseline> baseline;
  if (!options.corruptions.baseline.empty()) baseline = load_corruption_baseline(options.corruptions.baseline);

  Output output(common);
  RobustnessPictures pictures(*data.data, loaded.preprocessor, mapping.classes, options.limit, options.batch_size);
  note(common, "{}: {} of {} pictures, the model's classes by {}", data.name, pictures.size(), data.data->size(),
       name_of(mapping.rule));
  if (mapping.rule == datasets::MappingRule::rank)
    note(common,
         "warning: no class of the data is named as one of the model's: the figures only mean something if the data's "
         "classes, in their order, are the model's first");
  if (!options.save.empty()) prepare_save_folder(options.save);
  ChangedPictures drawn(options.save.empty() ? std::vector<int64_t>() : pictures.spread(kPicturesKept), loaded.labels);
  SpoiltPictures spoilt(options.save.empty() ? std::vector<int64_t>() : pictures.spread(kSpoiltDrawn),
                        drawn_severity(options.corruptions.severities), loaded.labels);
  const auto see = [&](const Condition& condition, const vit::AttackBatch& batch, const vit::AttackResult& found) {
    if (condition.kind != "corruption") drawn.see(condition, batch, found);
    spoilt.see(condition, batch, found);
  };
  const std::vector<ConditionResult> results = run_conditions(conditions, pictures, target, see, output, common);
  const Record corruptions = print_corruption_summary(results, baseline, output, common);
  output.finish();  // what was found out is there, whatever becomes of the files
  if (!options.save.empty()) {
    save_robustness({.model = options.model,
                     .data = data.name,
                     .images = pictures.size(),
                     .unreadable = pictures.unreadable(),
                     .results = results,
                     .pictures = drawn,
                     .spoilt = spoilt,
                     .corruptions = corruptions},
                    options.save);
    note(common, "report, curves and pictures are in {}", options.save);
  }
  return pictures.unreadable().empty() ? 0 : 1;
}

}  // namespace

Action add_robustness(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<RobustnessOptions>();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  add_evaluation_data_options(command, options->data);
  command
      .add_option("--limit,-n", options->limit,
                  with_example("Pictures, spread evenly over the data; 0: all", "--limit 200"))
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 32))
      ->capture_default_str();
  command
      .add_option("--save", options->save,
                  with_example("Folder for report.json, report.md, conditions.csv, curves of accuracy and pictures of "
                               "what each attack and corruption does",
                               "--save report"))
      ->type_name("DIR")
      ->default_str("none");
  add_attack_options(command, *options);
  add_corruption_options(command, options->corruptions);
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_max_pixels_option(command, options->data.max_pixels);
  command.footer(
      "The attacks and their figures are explained in docs/robustness.md, the corruptions in\n"
      "docs/corruptions.md.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit robustness --data path/to/cifar10 --split test   (the bundled model)\n"
      "  vitkit robustness --model path/to/checkpoint --data path/to/data --attack fgsm,pgd --eps 1/255,2/255,4/255\n"
      "  vitkit robustness --data path/to/data --attack pgd_l2 --eps 0.25,0.5 --restarts 3\n"
      "  vitkit robustness --data path/to/data --attack apgd_ce,apgd_dlr --eps 8/255 --steps 100 --save report\n"
      "  vitkit robustness --data path/to/data --attack patch,patch_fool --patch-share 0.02,0.05 --steps 100\n"
      "  vitkit robustness --data path/to/data --attack pgd --targeted least --format json\n"
      "  vitkit robustness --data path/to/data --corruptions all --baseline other.json --save report");
  return [options, &common] { return robustness(*options, common); };
}

}  // namespace apps
