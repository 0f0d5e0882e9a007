// Parts of a data set: views of chosen pictures, and the division into training and validation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

/// The pictures at `indices` of another data set, in that order; the same classes.
class SubsetDataset : public Dataset {
 public:
  /// Errors: an index out of range.
  SubsetDataset(std::shared_ptr<const Dataset> data, std::vector<int64_t> indices);

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  const std::vector<std::string>& class_names() const override { return data_->class_names(); }
  int64_t label(int64_t index) const override { return data_->label(original(index)); }
  std::string source(int64_t index) const override { return data_->source(original(index)); }
  vit::Image load(int64_t index) const override { return data_->load(original(index)); }
  std::string encoded(int64_t index) const override { return data_->encoded(original(index)); }
  std::vector<std::string> skipped() const override { return data_->skipped(); }

  /// The picture's number in the data set behind.
  int64_t original(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

 private:
  std::shared_ptr<const Dataset> data_;
  std::vector<int64_t> indices_;
};

/// The same for any kind of data set: a view of one with boxes has boxes, of one with captions captions.
std::shared_ptr<const Dataset> subset_of(std::shared_ptr<const Dataset> data, std::vector<int64_t> indices);

/// Numbers of the pictures of each side, rising.
struct SplitIndices {
  std::vector<int64_t> train, val;
};

/// Puts the share `val_ratio` of every class into val, chosen by `seed` and the class alone: the same pictures in the
/// same order give the same split on every machine, and another class does not disturb it. A class of n pictures gives
/// round(n val_ratio), but at least one (where it has two or more) and never all.
/// Errors (usage): a ratio outside (0, 1); a label that is no class; nothing left for val. `where` names the data set.
SplitIndices stratified_split(const Dataset& data, double val_ratio, uint64_t seed, const std::string& where);

/// The same for pictures that hold objects of several classes, or of none, or have captions: the share is taken from
/// those with boxes and from those without. Errors (usage): a ratio outside (0, 1); nothing left for val.
SplitIndices random_split(const Dataset& data, double val_ratio, uint64_t seed, const std::string& where);

}  // namespace datasets
