// The rows of a picture in YOLO's text files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/box_list.h"

namespace datasets {

/// Adds the boxes of `text` to the picture, as shares; classes are 0 to classes - 1. A row is "CLASS CX CY WIDTH
/// HEIGHT", or a class and the points of a polygon. Rows that cannot be used, or reach outside, go to `bad`, with
/// `file` and their line.
void read_yolo_rows(const std::string& text, const std::string& file, int64_t classes, ListedPicture& picture,
                    std::vector<BadBox>& bad);

}  // namespace datasets
