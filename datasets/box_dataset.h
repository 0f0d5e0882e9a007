// BoxDataset: pictures with boxes around their objects, whatever the format they are stored in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/image/boxes.h"

namespace datasets {

/// One object of a picture, as it is annotated.
struct BoxAnnotation {
  vit::Corners box{};      ///< pixels of the upright picture, within it
  int64_t label = 0;       ///< class number, 0 to class_names().size() - 1
  bool crowd = false;      ///< COCO's iscrowd: many objects in one box; evaluation ignores it, training leaves it out
  bool difficult = false;  ///< VOC's difficult
  double area = 0.0;       ///< of the object (COCO: of its mask, where annotated), else of the box
  int64_t id = 0;          ///< as the file numbers it; else its position
  int64_t track = -1;      ///< of the object through a clip's frames; -1: unknown
};

/// A box that cannot be used as it stands, and what became of it: never silently dropped.
struct BadBox {
  std::string source;     ///< picture, and where in which file
  std::string reason;     ///< "no area", "outside the picture", "not a number", "unknown category 91", ...
  bool repaired = false;  ///< clipped to the picture and used; else left out
};

class BoxDataset : public Dataset {
 public:
  /// The boxes of a picture, in the order of the file; may be empty. Thread-safe.
  virtual std::vector<BoxAnnotation> boxes(int64_t index) const = 0;
  /// The picture's number in the file (COCO's image id), else its position. Unique.
  virtual int64_t image_id(int64_t index) const { return index; }
  /// The file's number of each class (COCO's category id, with gaps), else 0, 1, 2, ...
  virtual std::vector<int64_t> category_ids() const;
  /// All that is wrong with boxes of this set.
  virtual const std::vector<BadBox>& bad_boxes() const;

  /// The class of the first box; -1 for a picture without boxes.
  int64_t label(int64_t index) const override;
};

}  // namespace datasets
