// The XML of one picture's annotations, as PASCAL VOC and LabelImg write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vit/image/boxes.h"
#include "vit/image/preprocess.h"

namespace datasets {

struct VocObject {
  std::string name{};
  vit::Corners box{};  ///< xmin, ymin, xmax, ymax as they stand in the file; NaN where there is no number
  bool difficult = false;
};

struct VocAnnotation {
  std::string filename{};
  vit::Extent size{};  ///< 0 x 0: not said
  std::vector<VocObject> objects{};
};

/// Longest file that is read.
inline constexpr int64_t kMaxVocBytes = int64_t{16} << 20;

/// Parts of objects (heads, hands) are not read. Errors (usage), naming `name` and the line: no XML, another root than
/// `annotation`, a document type (whose entities could expand without bound), nested deeper than 64 elements.
VocAnnotation parse_voc(std::string_view text, const std::string& name);

}  // namespace datasets
