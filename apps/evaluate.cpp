// vitkit evaluate: accuracy of a model on a labelled dataset.
#include <memory>

#include "apps/evaluation_data.h"
#include "apps/evaluation_report.h"
#include "apps/model_facts.h"
#include "apps/progress.h"
#include "apps/verbs.h"
#include "vit/core/timer.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

/// Classes that -v shows where there are more.
constexpr int64_t kShownClasses = 20;

struct EvaluateOptions {
  std::string model, save;
  EvaluationDataOptions data;
  bool per_class = false;
  int64_t batch_size = 16;
  std::optional<int64_t> img_size;
  std::string precision = "f32";
};

void run(const vit::Classifier& classifier, const datasets::Dataset& data, const EvaluateOptions& options,
         const CommonOptions& common, Evaluation& evaluation) {
  Progress progress(common, "images", /*prints_results=*/false, data.size());
  int64_t asked = 0, answered = 0;
  const auto feed = [&](vit::SourceItem& item) {
    if (asked == data.size()) return false;
    item = {.path = data.source(asked++), .error = {}};
    return true;
  };
  const vit::Timer timer;
  const PictureOptions pictures{
      .batch_size = options.batch_size, .decode = {}, .load = [&](int64_t index) { return data.load(index); }};
  evaluation.counts = answer_pictures(classifier, feed, pictures, [&](const PictureAnswer& answer) {
    const int64_t label = data.label(answered++);
    if (answer.error.empty()) {
      evaluation.report.add(answer.logits, label);
    } else {
      print_error(fmt::format("{}: {}", answer.path, answer.error));
      evaluation.unreadable.push_back({answer.path, answer.error});
    }
    progress.advance();
  });
  evaluation.seconds = timer.seconds();
}

void write(Output& output, const Evaluation& evaluation, const EvaluateOptions& options, const CommonOptions& common) {
  const bool table = options.per_class || common.verbose > 0;
  if (output.format() == Format::text) {
    output.write({}, summary_text(evaluation) + "\n");
    if (table) output.write({}, "\n" + class_table(evaluation, options.per_class ? 0 : kShownClasses));
    return;
  }
  // A CSV file has one header: with --per-class it is the table's, and the summary goes to stderr.
  if (output.format() == Format::csv && options.per_class)
    note(common, "{}", summary_text(evaluation));
  else
    output.write(summary_record(evaluation), "");
  if (!options.per_class) return;
  for (const Record& record : class_records(evaluation)) output.write(record, "");
}

void note_mapping(const CommonOptions& common, const EvaluationData& data, const datasets::ClassMapping& mapping,
                  int64_t classes) {
  note(common, "{}: {} pictures in {} classes, mapped to the model's {} classes by {}", data.name, data.data->size(),
       data.data->class_names().size(), classes, name_of(mapping.rule));
  if (mapping.rule == datasets::MappingRule::rank && static_cast<int64_t>(mapping.classes.size()) < classes)
    note(common,
         "warning: no class of the data is named as one of the model's, and there are fewer: the figures only mean "
         "something if the data's classes, in their order, are the model's first");
}

int evaluate(EvaluateOptions options, const CommonOptions& common) {
  const std::string bundled = options.data.data.starts_with("scenes:") ? "scenes" : "cifar10";
  options.model = model_or_bundled("evaluate", options.model, bundled, common);
  require_precision(options.precision);
  const EvaluationData data = open_evaluation_data(options.data, options.model, common);
  Output output(common);
  const vit::Timer loading;
  const auto classifier = vit::Classifier::load(options.model, {.img_size = options.img_size, .seed = common.seed});
  note_model(common, options.model, classifier, loading.milliseconds());
  const int64_t classes = classifier.labels().size();
  const std::vector<std::string>& names = data.data->class_names();
  const datasets::ClassMapping mapping = datasets::map_classes(names, classifier.labels());
  note_mapping(common, data, mapping, classes);
  if (!options.save.empty()) prepare_save_folder(options.save);
  Evaluation evaluation{.model = options.model,
                        .data = data.name,
                        .names = names,
                        .labels = classifier.labels(),
                        .mapping = mapping,
                        .report = {mapping.classes, classes}};
  run(classifier, *data.data, options, common, evaluation);
  write(output, evaluation, options, common);
  output.finish();  // what was found out is there, whatever becomes of the files
  if (!options.save.empty()) {
    save_evaluation(evaluation, options.save);
    note(common, "report, tables and figures are in {}", options.save);
  }
  return evaluation.counts.failed > 0 ? 1 : 0;
}

}  // namespace

Action add_evaluate(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<EvaluateOptions>();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  add_evaluation_data_options(command, options->data);
  command.add_flag("--per-class", options->per_class,
                   with_example("Figures of every class as well; of CSV, instead (default: off)", "--per-class"));
  command
      .add_option("--save", options->save,
                  with_example("Folder for report.json, per_class.csv, the confusion matrix (CSV and PNG) and the "
                               "reliability diagram",
                               "--save report"))
      ->type_name("DIR")
      ->default_str("none");
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  add_max_pixels_option(command, options->data.max_pixels);
  command.footer(
      "The figures are explained in docs/evaluation.md.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit evaluate --model path/to/checkpoint --data path/to/imagenet/val\n"
      "  vitkit evaluate --model path/to/checkpoint --data cifar10 --split test\n"
      "  vitkit evaluate --model path/to/checkpoint --data scenes:7:1000 --save report\n"
      "  vitkit evaluate --model runs/a/checkpoints/best --data runs/a/config.yaml");
  return [options, &common] { return evaluate(*options, common); };
}

}  // namespace apps
