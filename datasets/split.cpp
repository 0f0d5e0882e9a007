#include "datasets/split.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "datasets/box_view.h"
#include "datasets/caption_view.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"
#include "vit/core/rng.h"

namespace datasets {

namespace {

/// Fisher and Yates.
void shuffle(std::vector<int64_t>& values, vit::Rng rng) {
  for (size_t left = values.size(); left > 1; --left)
    std::swap(values[left - 1], values[(static_cast<uint64_t>(rng.next_u32()) * left) >> 32]);
}

void check_ratio(double val_ratio, const std::string& where) {
  if (!(val_ratio > 0.0 && val_ratio < 1.0))
    vit::fail_usage("data ", where, ": a share of ", val_ratio, " for validation, expected between 0 and 1");
}

size_t val_share(size_t pictures, double ratio) {
  if (pictures < 2) return 0;
  const auto wanted = static_cast<size_t>(std::llround(ratio * static_cast<double>(pictures)));
  return std::clamp(wanted, size_t{1}, pictures - 1);
}

/// Takes the share out of every group; group g is shuffled by (seed, stream + g).
SplitIndices split_groups(std::vector<std::vector<int64_t>> groups, double val_ratio, uint64_t seed, uint64_t stream) {
  SplitIndices split;
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<int64_t>& pictures = groups[g];
    const size_t val = val_share(pictures.size(), val_ratio);
    shuffle(pictures, vit::Rng(seed, stream + g));
    split.val.insert(split.val.end(), pictures.begin(), pictures.begin() + static_cast<std::ptrdiff_t>(val));
    split.train.insert(split.train.end(), pictures.begin() + static_cast<std::ptrdiff_t>(val), pictures.end());
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.val.begin(), split.val.end());
  return split;
}

}  // namespace

SubsetDataset::SubsetDataset(std::shared_ptr<const Dataset> data, std::vector<int64_t> indices)
    : data_(std::move(data)), indices_(std::move(indices)) {
  for (const int64_t index : indices_)
    vit::check(index >= 0 && index < data_->size(), "subset: picture ", index, " of ", data_->size());
}

std::shared_ptr<const Dataset> subset_of(std::shared_ptr<const Dataset> data, std::vector<int64_t> indices) {
  if (auto boxes = std::dynamic_pointer_cast<const BoxDataset>(data))
    return subset_of_boxes(std::move(boxes), std::move(indices));
  if (auto captions = std::dynamic_pointer_cast<const CaptionDataset>(data))
    return subset_of_captions(std::move(captions), std::move(indices));
  return std::make_shared<SubsetDataset>(std::move(data), std::move(indices));
}

SplitIndices random_split(const Dataset& data, double val_ratio, uint64_t seed, const std::string& where) {
  check_ratio(val_ratio, where);
  std::vector<std::vector<int64_t>> groups(2);  // with boxes, without
  for (int64_t i = 0; i < data.size(); ++i) groups[data.label(i) >= 0 ? 0 : 1].push_back(i);
  SplitIndices split = split_groups(std::move(groups), val_ratio, seed, vit::Rng::stream_of("datasets.random_split"));
  if (split.val.empty())
    vit::fail_usage("data ", where, ": there are no two pictures, so none can be kept for validation");
  return split;
}

SplitIndices stratified_split(const Dataset& data, double val_ratio, uint64_t seed, const std::string& where) {
  check_ratio(val_ratio, where);
  require_labels(data, where);
  std::vector<std::vector<int64_t>> of_class(data.class_names().size());
  for (int64_t i = 0; i < data.size(); ++i) of_class[static_cast<size_t>(data.label(i))].push_back(i);
  SplitIndices split = split_groups(std::move(of_class), val_ratio, seed, vit::Rng::stream_of("datasets.split"));
  if (split.val.empty())
    vit::fail_usage("data ", where, ": no class has two pictures, so none can be kept for validation");
  return split;
}

}  // namespace datasets
