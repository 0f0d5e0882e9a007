// Checks of labels before they are used as indices, and the counts that sampling needs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

/// Class numbers of all pictures, in order.
std::vector<int64_t> labels_of(const Dataset& data);

/// Pictures per class; labels out of range are not counted.
std::vector<int64_t> class_counts(const Dataset& data);

/// Whether pictures have boxes, and no class as a whole.
bool has_boxes_only(const Dataset& data);

/// Whether pictures have a class as a whole: else boxes only, or captions only.
bool has_picture_classes(const Dataset& data);

/// Errors (usage): pictures have boxes or captions, and no class as a whole; a label that is no class; the first is
/// named with its picture, and how many there are. `where` names the data set.
void require_labels(const Dataset& data, const std::string& where);

/// Errors (usage): classes without a picture, which a model cannot learn, by name. `where` names the data set.
void require_no_empty_class(const Dataset& data, const std::string& where);

}  // namespace datasets
