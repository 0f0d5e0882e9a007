// What a file format of data sets provides. A format is one file that ends with VITKIT_REGISTER_DATASET; nothing else
// knows of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/core/registry.h"
#include "vit/image/decode.h"

namespace datasets {

struct DatasetRequest {
  std::string path{};           ///< what stands behind "format:", or the whole argument where the format was recognised
  std::string split{};          ///< the wanted split; empty: see choose_split
  vit::DecodeOptions decode{};  ///< for every picture
};

struct OpenedDataset {
  std::shared_ptr<const Dataset> data{};
  std::string format{};  ///< the registered name
  std::string root{};    ///< what was opened, for messages: the folder of a split, a file
  std::string split{};   ///< the split that was chosen; empty where the data set has none
};

struct DatasetFormat {
  std::string summary;  ///< one line for lists: "CIFAR-10, binary version"
  std::vector<std::string> aliases{};
  /// Formats are asked in rising order whether they recognise something; the fallback is last.
  int order = 50;
  /// Its pictures have captions: it is asked first where those are wanted.
  bool has_captions = false;
  /// Whether a path is of this format, by what is there. Never throws. Empty: the format must be named.
  std::function<bool(const std::string& path)> recognises{};
  /// The splits that are there, "train" first; empty where the data set has none. Empty function: it never has.
  std::function<std::vector<std::string>(const std::string& path)> splits{};
  /// Fills data, root and split. Errors (usage): naming the path.
  std::function<OpenedDataset(const DatasetRequest& request)> open;
};

vit::Registry<DatasetFormat>& dataset_registry();

/// One of several splits, by name: "val" also finds "validation" and "valid" (and the other way round), "train" also
/// "training". Where nothing is wanted, val and test are tried in this order: what a model is evaluated on.
/// Empty where `available` is. Errors (usage): none fits; those there are are listed.
std::string choose_split(const std::vector<std::string>& available, const std::string& wanted, const std::string& path);

/// Names by which folders and files say what split they are, in the order of reports: train, val, test and synonyms.
const std::vector<std::string>& known_splits();

}  // namespace datasets

#define VITKIT_DATASET_CONCAT_INNER(a, b) a##b
#define VITKIT_DATASET_CONCAT(a, b) VITKIT_DATASET_CONCAT_INNER(a, b)
/// At the end of a format's file: all the wiring it needs.
#define VITKIT_REGISTER_DATASET(name, ...)                                                         \
  [[maybe_unused]] static const bool VITKIT_DATASET_CONCAT(vitkit_dataset_registered_, __LINE__) = \
      ::datasets::dataset_registry().add(name, __VA_ARGS__)
