// Opens a data set of any format: recognised by its content, or named.
#pragma once

#include <string>
#include <vector>

#include "datasets/format.h"

namespace datasets {

struct OpenOptions {
  std::string split{};          ///< which split; empty: val, else test, else all there is
  std::string class_map{};      ///< a file that says which name is which class (class_map.h); empty: the format's order
  vit::DecodeOptions decode{};  ///< for every picture
};

/// `spec` is a path, or "format:path" (`vitkit info --list datasets`): image_folder:photos, cifar10:DIR,
/// webdataset:'shards/train-{000..099}.tar', scenes:1:1000. Several joined by + are opened as one, with classes matched
/// by name: where some have splits, those without are training data, and left out of other splits. No picture is read.
/// Errors (usage): unknown format, nothing there, a damaged or unknown layout, no such split, a class that the class
/// map does not have.
OpenedDataset open_dataset(const std::string& spec, const OpenOptions& options = {});

/// Whether a spec names a format, or is recognised as one's: a .yaml file may be YOLO's data.yaml or a configuration.
bool is_dataset(const std::string& spec);

/// The splits of a data set, of joined ones those that any has; empty where it has none. Errors (usage): unknown
/// format, nothing there.
std::vector<std::string> dataset_splits(const std::string& spec);

}  // namespace datasets
