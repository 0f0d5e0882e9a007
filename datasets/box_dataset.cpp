#include "datasets/box_dataset.h"

#include <numeric>

namespace datasets {

std::vector<int64_t> BoxDataset::category_ids() const {
  std::vector<int64_t> ids(class_names().size());
  std::iota(ids.begin(), ids.end(), int64_t{0});
  return ids;
}

const std::vector<BadBox>& BoxDataset::bad_boxes() const {
  static const std::vector<BadBox> none;
  return none;
}

int64_t BoxDataset::label(int64_t index) const {
  const std::vector<BoxAnnotation> all = boxes(index);
  return all.empty() ? -1 : all.front().label;
}

}  // namespace datasets
