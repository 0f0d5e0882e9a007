// vitkit evaluate: how good a model is on a labelled data set. Classifiers here, the rest in files of their own.
#include <memory>

#include "apps/evaluate_options.h"
#include "apps/evaluation_report.h"
#include "apps/model_facts.h"
#include "apps/model_verb.h"
#include "apps/progress.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"
#include "vit/image/strip.h"
#include "vit/models/clip_model.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

vit::Extent frame_extent(const vit::ClipModel& model) { return {model.frame_size()[0], model.frame_size()[1]}; }

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
  const auto* const clips = dynamic_cast<const vit::ClipModel*>(&classifier.model());
  const PictureOptions pictures{.batch_size = options.batch_size, .decode = {}, .load = [&](int64_t index) {
                                  return clips ? vit::fit_strip(data.load(index), clips->frames(), frame_extent(*clips))
                                               : data.load(index);
                                }};
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

void note_mapping(const CommonOptions& common, const EvaluationData& data, const datasets::ClassMapping& mapping,
                  int64_t classes) {
  note(common, "{}: {} pictures in {} classes, mapped to the model's {} classes by {}", data.name, data.data->size(),
       data.data->class_names().size(), classes, name_of(mapping.rule));
  if (mapping.rule == datasets::MappingRule::rank && static_cast<int64_t>(mapping.classes.size()) < classes)
    note(common,
         "warning: no class of the data is named as one of the model's, and there are fewer: the figures only mean "
         "something if the data's classes, in their order, are the model's first");
}

int evaluate_classifier(const EvaluateOptions& options, const CommonOptions& common) {
  const EvaluationData data = open_evaluation_data(options.data, options.model, EvaluatedLabels::classes, common);
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
  print_figures(output, common, options.per_class,
                {.summary = summary_record(evaluation),
                 .text = summary_text(evaluation),
                 .classes = class_records(evaluation),
                 .table = [&](int64_t limit) { return class_table(evaluation, limit); }});
  output.finish();  // what was found out is there, whatever becomes of the files
  if (!options.save.empty()) {
    save_evaluation(evaluation, options.save);
    note(common, "report, tables and figures are in {}", options.save);
  }
  return evaluation.counts.failed > 0 ? 1 : 0;
}

/// Errors (usage): options that exclude one another.
void require_one_kind(const EvaluateOptions& options) {
  std::vector<std::string> files;
  if (!options.detections.empty()) files.emplace_back("--detections");
  if (!options.tracks.empty()) files.emplace_back("--tracks");
  if (!options.captions.empty()) files.emplace_back("--captions");
  if (files.size() > 1) vit::fail_usage(files[0], " and ", files[1], ": one of them at a time");
  if (!files.empty() && (!options.model.empty() || options.track))
    vit::fail_usage(files[0], " evaluates what a file has: --model and --track do not go with it");
}

int evaluate(EvaluateOptions options, const CommonOptions& common) {
  require_one_kind(options);
  require_precision(options.precision);
  if (!options.detections.empty()) return evaluate_detections(options, common);
  if (!options.tracks.empty()) return evaluate_tracks(options, common);
  if (!options.captions.empty()) return evaluate_captions(options, common);
  const std::string& data = options.data.data;
  const bool clips = options.track || data.starts_with("clips:");
  const std::string bundled = clips ? "scenes_detector" : data.starts_with("scenes:") ? "scenes" : "cifar10";
  options.model = model_or_bundled("evaluate", options.model, bundled, common);
  if (options.track) return evaluate_tracking(options, common);
  const std::string verb = model_verb(options.model);
  if (verb == "caption") return evaluate_captioner(options, common);
  return verb == "detect" ? evaluate_detector(options, common) : evaluate_classifier(options, common);
}

void add_detection_options(CLI::App& command, EvaluateOptions& options) {
  const std::string group = "Detectors and trackers";
  command
      .add_option("--detections", options.detections,
                  with_example("Detections in place of a model: COCO's results, a list of image_id, category_id, bbox, "
                               "score",
                               "--detections detections.json"))
      ->type_name("F")
      ->group(group)
      ->default_str("none");
  command
      .add_option("--max-det", options.max_det,
                  with_example("Detections of a picture that count at most, the best ones; 0: all", "--max-det 300"))
      ->type_name("N")
      ->group(group)
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
      ->capture_default_str();
  command
      .add_flag("--track", options.track,
                with_example("Follow objects through the clips of --data: MOTA, IDF1, HOTA (default: off)",
                             "--track --data clips:1:4:60"))
      ->group(group);
  command
      .add_option("--tracker", options.tracker,
                  with_example("How objects are followed: bytetrack, sort, or a YAML file", "--tracker sort"))
      ->type_name("NAME")
      ->group(group)
      ->capture_default_str();
  command
      .add_option("--tracks", options.tracks,
                  with_example("Tracks in place of a model, as MOT Challenge text: a file, or a folder with one per "
                               "sequence; --data is of the same form",
                               "--tracks results.txt --data gt.txt"))
      ->type_name("F")
      ->group(group)
      ->default_str("none");
}

void add_caption_options(CLI::App& command, EvaluateOptions& options) {
  command
      .add_option("--captions", options.captions,
                  with_example("Captions in place of a model: COCO's results, a list of image_id, caption",
                               "--captions captions.json"))
      ->type_name("F")
      ->group("Captioners")
      ->default_str("none");
  add_generation_options(command, options.generation);
}

}  // namespace

Action add_evaluate(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<EvaluateOptions>();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  add_evaluation_data_options(command, options->data);
  command.add_flag("--per-class", options->per_class,
                   with_example("Figures of every class as well; of CSV, instead (default: off)", "--per-class"));
  command
      .add_option(
          "--save", options->save,
          with_example("Folder for report.json, tables and figures: per_class.csv, the confusion matrix and the "
                       "reliability diagram; of detectors the precision curve and detections.json; of "
                       "trackers the tracks; of captioners captions.json",
                       "--save report"))
      ->type_name("DIR")
      ->default_str("none");
  add_detection_options(command, *options);
  add_caption_options(command, *options);
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  add_max_pixels_option(command, options->data.max_pixels);
  command.footer(
      "The figures are explained in docs/evaluation.md, docs/detection_evaluation.md and\n"
      "docs/caption_metrics.md.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit evaluate --model path/to/checkpoint --data path/to/imagenet/val\n"
      "  vitkit evaluate --model path/to/checkpoint --data cifar10 --split test\n"
      "  vitkit evaluate --model path/to/checkpoint --data scenes:7:1000 --save report\n"
      "  vitkit evaluate --model runs/a/checkpoints/best --data runs/a/config.yaml\n"
      "  vitkit evaluate --model path/to/detector --data path/to/coco --save report\n"
      "  vitkit evaluate --detections detections.json --data annotations/instances_val2017.json\n"
      "  vitkit evaluate --model path/to/detector --data clips:7:4:60 --track\n"
      "  vitkit evaluate --model path/to/captioner --data path/to/flickr8k --num-beams 4 --save report");
  return [options, &common] { return evaluate(*options, common); };
}

}  // namespace apps
