#include "datasets/data_config.h"

#include <utility>

#include "datasets/box_dataset.h"
#include "datasets/class_choice.h"
#include "datasets/class_map.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "datasets/split.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

std::string spec_of(const DataConfig& config, const std::string& path) {
  return config.dataset.empty() ? path : config.dataset + ":" + path;
}

enum class Side { train, val };

OpenedDataset open_side(const DataConfig& config, const std::string& spec, const std::string& split, Side side) {
  OpenedDataset opened = open_dataset(spec, {.split = split, .decode = {.max_pixels = config.max_pixels}});
  const ClassChoice choice{.rename = config.rename_classes, .keep = config.classes};
  if (side == Side::train) require_known_classes(choice, opened.data->class_names(), spec);
  opened.data = choose_classes(opened.data, choice);
  if (!config.class_map.empty()) opened.data = map_dataset_classes(opened.data, read_class_map(config.class_map));
  return opened;
}

std::string name_of(const OpenedDataset& opened, const std::string& spec) {
  return opened.split.empty() ? spec : spec + " (" + opened.split + ")";
}

/// Gives val the class numbers of train. Errors (usage): a class of pictures in val that train does not have.
std::shared_ptr<const Dataset> with_classes_of(const Dataset& train, const std::string& train_name,
                                               std::shared_ptr<const Dataset> val) {
  if (val->class_names() == train.class_names()) return val;
  return map_dataset_classes(std::move(val), train.class_names(), "the training data " + train_name);
}

void divide(const DataConfig& config, const OpenedDataset& opened, uint64_t seed, TrainingData& data) {
  SplitIndices split = has_picture_classes(*opened.data)
                           ? stratified_split(*opened.data, config.val_ratio, seed, data.train_name)
                           : random_split(*opened.data, config.val_ratio, seed, data.train_name);
  data.train = subset_of(opened.data, std::move(split.train));
  data.val = subset_of(opened.data, std::move(split.val));
  data.val_name = vit::str(config.val_ratio, " of ", data.train_name);
}

/// The data set and split to validate on, where it is not divided off.
void open_val(const DataConfig& config, const OpenedDataset& train, const std::string& train_spec, TrainingData& data) {
  const bool separate = !config.val_data_dir.empty();
  const std::string spec = separate ? spec_of(config, config.val_data_dir) : train_spec;
  const bool has_splits = !train.split.empty() && dataset_splits(spec).size() > 1;
  if (!separate && !has_splits)
    vit::fail_usage("data ", spec,
                    ": there is no other split to validate on; set val_ratio (0.1 keeps a tenth of every "
                    "class for it), or val_data_dir to another data set");
  const OpenedDataset val = open_side(config, spec, config.val_split, Side::val);
  if (!separate && val.split == train.split)
    vit::fail_usage("data ", spec, ": '", val.split,
                    "' is both train_split and val_split; name another, or set val_ratio");
  data.val = with_classes_of(*train.data, data.train_name, val.data);
  data.val_name = name_of(val, spec);
}

/// Single boxes and captions have been checked when they were read. Errors (usage): a label out of range; no box at
/// all.
void require_usable(const std::shared_ptr<const Dataset>& data, const std::string& name) {
  if (has_boxes_only(*data)) require_boxes(data, name);
  if (has_picture_classes(*data)) require_labels(*data, name);
}

std::vector<std::string> padded_names(std::vector<std::string> names, int64_t num_classes, const std::string& where) {
  const auto classes = static_cast<int64_t>(names.size());
  if (num_classes > 0 && num_classes < classes)
    vit::fail_usage("num_classes is ", num_classes, ", but the data ", where, " have ", classes,
                    " classes: ", vit::joined(names, 10), "; leave it out, or name the wanted classes in class_map");
  for (int64_t i = classes; i < num_classes; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

void DataConfig::validate() const {
  if (data_dir.empty() && dataset.empty())
    vit::fail_usage("data_dir is not set: name the data set (a folder, a file, or FORMAT:PATH)");
  if (!val_data_dir.empty() && val_ratio > 0.0)
    vit::fail_usage("val_data_dir and val_ratio both say what to validate on; set one of them");
}

TrainingData open_training_data(const DataConfig& config, uint64_t seed) {
  config.validate();
  // `dataset: scenes:1:1000` and the like need no data_dir.
  const std::string spec = config.data_dir.empty() ? config.dataset : spec_of(config, config.data_dir);
  const OpenedDataset opened = open_side(config, spec, config.train_split, Side::train);
  TrainingData data;
  data.train = opened.data;
  data.train_name = name_of(opened, spec);
  require_usable(opened.data, data.train_name);
  if (config.val_ratio > 0.0)
    divide(config, opened, seed, data);
  else
    open_val(config, opened, spec, data);
  require_usable(data.val, data.val_name);
  if (!config.allow_empty_classes && has_picture_classes(*data.train))
    require_no_empty_class(*data.train, data.train_name);
  data.class_names = padded_names(data.train->class_names(), config.num_classes, data.train_name);
  data.train_fingerprint = fingerprint(*data.train);
  data.val_fingerprint = fingerprint(*data.val);
  return data;
}

}  // namespace datasets
