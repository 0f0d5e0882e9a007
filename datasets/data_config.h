// DataConfig: which pictures a run trains and validates on, under the names that timm's users know.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/fingerprint.h"
#include "vit/core/config.h"
#include "vit/image/decode.h"

namespace datasets {

struct DataConfig {
  std::string data_dir{};
  std::string dataset{};
  std::string val_data_dir{};
  std::string train_split = "train";
  std::string val_split{};
  double val_ratio = 0.0;
  std::string class_map{};
  std::vector<std::string> classes{};
  std::map<std::string, std::string> rename_classes{};
  int64_t num_classes = 0;
  bool allow_empty_classes = false;
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;

  template <class V>
  void visit_fields(V& v) {
    v("data_dir", data_dir,
      "The data set: a folder, a file, a pattern of shards, or FORMAT:PATH; several joined by + are one.");
    v("dataset", dataset, "Format of data_dir (image_folder, cifar10, idx, webdataset, ...); empty: recognised.");
    v("val_data_dir", val_data_dir, "Another data set to validate on; empty: a split of data_dir, or val_ratio of it.");
    v("train_split", train_split, "Split to train on, where data_dir has splits.");
    v("val_split", val_split, "Split to validate on; empty: val, else test.");
    v("val_ratio", val_ratio, "Share of every class that is taken from training and validated on; 0: a split is used.",
      vit::between(0.0, 0.9));
    v("class_map", class_map, "File that says which name is which class; empty: the data set's order.");
    v("classes", classes, "Only these classes, in this order; boxes (or pictures) of others are left out; empty: all.");
    v("rename_classes", rename_classes,
      "Own name of a class to the wanted one, before `classes` and `class_map`: several may become one.");
    v("num_classes", num_classes, "Classes of the model; 0: as many as the data have.", vit::at_least(0));
    v("allow_empty_classes", allow_empty_classes, "Accept classes without a picture to train on.");
    v("max_pixels", max_pixels, "Pictures with more pixels are refused.", vit::at_least(1));
  }
  /// Errors (usage): nothing to train on; validation asked for twice.
  void validate() const;
};

/// Both sides of a run, with the same classes in the same order.
struct TrainingData {
  std::shared_ptr<const Dataset> train, val;
  std::vector<std::string> class_names;  ///< K names, where num_classes asks for more than there are numbers fill up
  std::string train_name, val_name;      ///< for messages: what was opened, with its split
  Fingerprint train_fingerprint, val_fingerprint;
};

/// Opens what a configuration names. `seed` chooses the pictures of val_ratio. No picture is read.
/// Errors (usage), each with a way out: as open_dataset; training and validation are the same split, or there is
/// nothing to validate on; labels out of range; classes without pictures (by name); classes of val that train does not
/// have; fewer num_classes than classes. Of sets with boxes only: no box at all; classes without boxes are no error.
/// Sets of captions have no classes.
TrainingData open_training_data(const DataConfig& config, uint64_t seed);

}  // namespace datasets
