// vitkit evaluate: accuracy of a model on a labelled dataset.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/pictures.h"
#include "apps/progress.h"
#include "apps/verbs.h"
#include "datasets/class_mapping.h"
#include "datasets/classification_metrics.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

struct EvaluateOptions {
  std::string model, data, split, class_map;
  int64_t batch_size = 16;
  std::optional<int64_t> img_size;
  std::string precision = "f32";
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
};

struct Result {
  datasets::ClassificationMetrics metrics;
  PictureCounts counts;
  double seconds = 0.0;
};

Result run(const vit::Classifier& classifier, const datasets::Dataset& data, const datasets::ClassMapping& mapping,
           const EvaluateOptions& options, const CommonOptions& common) {
  Result result;
  const int64_t classes = classifier.labels().size();
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
  result.counts = answer_pictures(classifier, feed, pictures, [&](const PictureAnswer& answer) {
    const auto label = static_cast<size_t>(data.label(answered++));
    if (answer.error.empty())
      result.metrics.add(answer.logits, classes, mapping.classes[label]);
    else
      print_error(fmt::format("{}: {}", answer.path, answer.error));
    progress.advance();
  });
  result.seconds = timer.seconds();
  return result;
}

void write(Output& output, const EvaluateOptions& options, const datasets::OpenedDataset& dataset,
           const datasets::ClassMapping& mapping, const Result& result) {
  const datasets::ClassificationMetrics& metrics = result.metrics;
  const double rate = static_cast<double>(result.counts.answered) / result.seconds;
  const Record record = {{"model", options.model},
                         {"data", dataset.root},
                         {"images", result.counts.answered},
                         {"errors", result.counts.failed},
                         {"classes", dataset.data->class_names().size()},
                         {"mapping", name_of(mapping.rule)},
                         {"top1", metrics.top1()},
                         {"top5", metrics.top5()},
                         {"loss", metrics.loss()},
                         {"images_per_s", rate}};
  output.write(record,
               fmt::format("top-1 {:.2f} %   top-5 {:.2f} %   loss {:.4f}   ({} images in {} classes, {} unreadable, "
                           "{:.1f} images/s)\n",
                           100.0 * metrics.top1(), 100.0 * metrics.top5(), metrics.loss(), result.counts.answered,
                           dataset.data->class_names().size(), result.counts.failed, rate));
}

int evaluate(const EvaluateOptions& options, const CommonOptions& common) {
  require_model("evaluate", options.model);
  require_precision(options.precision);
  const datasets::OpenedDataset dataset = datasets::open_dataset(
      options.data,
      {.split = options.split, .class_map = options.class_map, .decode = {.max_pixels = options.max_pixels}});
  datasets::require_labels(*dataset.data, dataset.root);
  if (!options.split.empty() && dataset.split.empty())
    note(common, "{} has no splits: all of it is evaluated", dataset.root);
  Output output(common);
  const vit::Timer loading;
  const auto classifier = vit::Classifier::load(options.model, {.img_size = options.img_size, .seed = common.seed});
  note_model(common, options.model, classifier, loading.milliseconds());
  const datasets::ClassMapping mapping = datasets::map_classes(dataset.data->class_names(), classifier.labels());
  note(common, "{}: {} pictures in {} classes, mapped to the model's {} classes by {}", dataset.root,
       dataset.data->size(), dataset.data->class_names().size(), classifier.labels().size(), name_of(mapping.rule));
  if (mapping.rule == datasets::MappingRule::rank &&
      static_cast<int64_t>(dataset.data->class_names().size()) < classifier.labels().size())
    note(common,
         "warning: no class of the data is named as one of the model's, and there are fewer: the figures only mean "
         "something if the data's classes, in their order, are the model's first");
  const Result result = run(classifier, *dataset.data, mapping, options, common);
  write(output, options, dataset, mapping, result);
  output.finish();
  return result.counts.failed > 0 ? 1 : 0;
}

}  // namespace

Action add_evaluate(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<EvaluateOptions>();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  command
      .add_option("--data,-d", options->data,
                  with_example("Dataset: a folder per class (with or without splits above), CIFAR or MNIST files, "
                               "shards, a table of paths and labels, or FORMAT:PATH (vitkit info --list datasets)",
                               "--data path/to/cifar10/test"))
      ->type_name("PATH")
      ->required();
  command.add_option("--split", options->split, with_example("Split to use, where PATH has splits", "--split test"))
      ->type_name("NAME")
      ->default_str("val, else test, else PATH itself");
  command
      .add_option(
          "--class-map", options->class_map,
          with_example("File that says which name is which class: a name per line, or YAML", "--class-map classes.txt"))
      ->type_name("F")
      ->default_str("the data set's order");
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  add_max_pixels_option(command, options->max_pixels);
  command.footer(
      "EXAMPLES\n"
      "  vitkit evaluate --model path/to/checkpoint --data path/to/imagenet/val\n"
      "  vitkit evaluate --model path/to/checkpoint --data cifar10 --split test");
  return [options, &common] { return evaluate(*options, common); };
}

}  // namespace apps
