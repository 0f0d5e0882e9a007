#include "apps/evaluation_data.h"

#include <filesystem>

#include "apps/common.h"
#include "apps/train_config.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "vit/core/check.h"

namespace apps {

namespace {

bool is_config(const std::string& data) {
  const std::string ending = std::filesystem::path(data).extension().string();
  return (ending == ".yaml" || ending == ".yml") && !datasets::is_dataset(data);
}

TrainConfig read_train_config(const EvaluationDataOptions& options, const std::string& model) {
  vit::ConfigNode node = vit::ConfigNode::load(options.data, options.overrides);
  if (node.get("model").is_null()) node = node.with("model", vit::ConfigNode::make_scalar(model, /*is_text=*/true));
  return vit::read_config<TrainConfig>(node);
}

EvaluationData open_of_config(const EvaluationDataOptions& options, const std::string& model) {
  const TrainConfig config = read_train_config(options, model);
  datasets::DataConfig data = config.data;
  if (!options.class_map.empty()) data.class_map = options.class_map;
  if (options.max_pixels != vit::DecodeOptions{}.max_pixels) data.max_pixels = options.max_pixels;
  const bool wants_train = !options.split.empty() && options.split == data.train_split;
  const bool wants_divided = options.split.empty() || (data.val_ratio > 0.0 && options.split == "val");
  if (!wants_train && !wants_divided) {
    data.val_split = options.split;
    data.val_ratio = 0.0;
  }
  const datasets::TrainingData opened = datasets::open_training_data(data, static_cast<uint64_t>(config.trainer.seed));
  return wants_train ? EvaluationData{opened.train, opened.train_name, {}}
                     : EvaluationData{opened.val, opened.val_name, {}};
}

}  // namespace

void add_evaluation_data_options(CLI::App& command, EvaluationDataOptions& options) {
  command
      .add_option("--data,-d", options.data,
                  with_example("Dataset: a folder per class (with or without splits above), CIFAR or MNIST files, "
                               "shards, a table of paths and labels, scenes:SEED:COUNT, or FORMAT:PATH (vitkit info "
                               "--list datasets); or a training configuration, whose validation data is used",
                               "--data path/to/cifar10/test"))
      ->type_name("PATH")
      ->required();
  command
      .add_option("overrides", options.overrides,
                  with_example("Values in place of the configuration's, where --data is one", "data_dir=path/to/data"))
      ->type_name("KEY=VALUE");
  command.add_option("--split", options.split, with_example("Split to use, where PATH has splits", "--split test"))
      ->type_name("NAME")
      ->default_str("val, else test, else PATH itself");
  command
      .add_option(
          "--class-map", options.class_map,
          with_example("File that says which name is which class: a name per line, or YAML", "--class-map classes.txt"))
      ->type_name("F")
      ->default_str("the data set's order");
}

EvaluationData open_evaluation_data(const EvaluationDataOptions& options, const std::string& model,
                                    EvaluatedLabels labels, const CommonOptions& common) {
  if (is_config(options.data)) return open_of_config(options, model);
  if (!options.overrides.empty())
    vit::fail_usage("'", options.overrides.front(), "': key=value changes a training configuration, but --data ",
                    options.data, " is none (.yaml)");
  const datasets::OpenedDataset opened = datasets::open_dataset(
      options.data,
      {.split = options.split, .class_map = options.class_map, .decode = {.max_pixels = options.max_pixels}});
  if (labels == EvaluatedLabels::classes) datasets::require_labels(*opened.data, opened.root);
  if (!options.split.empty() && opened.split.empty())
    note(common, "{} has no splits: all of it is evaluated", opened.root);
  return {opened.data, opened.root, options.class_map.empty() ? opened.format : std::string()};
}

}  // namespace apps
