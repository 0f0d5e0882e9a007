// Views of data sets with boxes: chosen pictures, other classes, several sets as one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"

namespace datasets {

using BoxDatasetPtr = std::shared_ptr<const BoxDataset>;

/// The pictures at `indices`, in that order; the same classes. All bad boxes of the set are its own. Errors: an index
/// out of range.
BoxDatasetPtr subset_of_boxes(BoxDatasetPtr data, std::vector<int64_t> indices);

/// All pictures, with other classes: class i becomes classes[i] of `names`, -1: its boxes are left out (on purpose:
/// they are not reported). Errors: another number of classes; a class out of range.
BoxDatasetPtr map_boxes(BoxDatasetPtr data, std::vector<std::string> names, std::vector<int64_t> classes);

/// Several sets one after another. Classes are matched by name, in the order in which names come first. Picture ids are
/// kept where no two are equal; else they are positions.
BoxDatasetPtr concatenate_boxes(const std::vector<BoxDatasetPtr>& parts);

}  // namespace datasets
