// BoxDataset: pictures with boxes around their objects, whatever the format they are stored in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/image/boxes.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// One object of a picture, as it is annotated.
struct BoxAnnotation {
  vit::Corners box{};      ///< pixels of the upright picture, within it
  int64_t label = 0;       ///< class number, 0 to class_names().size() - 1
  bool crowd = false;      ///< COCO's iscrowd: many objects in one box; evaluation ignores it, training leaves it out
  bool difficult = false;  ///< VOC's difficult; hardly visible in generated sets; training leaves it out
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
  /// Extents of the upright picture that the boxes are in, without decoding it where that is possible. Thread-safe.
  /// Errors: vit::Error naming the source, when it cannot be read.
  virtual vit::Extent picture_size(int64_t index) const;
  /// Which clip a picture is a frame of; its frames follow one another. -1: pictures are of their own.
  virtual int64_t clip(int64_t /*index*/) const { return -1; }
  /// Whether label() is a class of the whole picture, as generated sets have it, which can also be classified; else it
  /// says no more than what boxes() does.
  virtual bool has_picture_labels() const { return false; }
  /// Whether sentences about its pictures are known too, as of generated scenes (caption_dataset.h).
  virtual bool has_sentences() const { return false; }
  /// They, in an order that does not change; empty where there are none. Thread-safe.
  virtual std::vector<std::string> sentences(int64_t /*index*/) const { return {}; }

  /// The class of the first box; -1 for a picture without boxes.
  int64_t label(int64_t index) const override;
};

/// What label() is where pictures have no class of their own: the class of the first box, -1 without boxes.
int64_t label_of_first(const std::vector<BoxAnnotation>& boxes);
/// 0, 1, 2, ...: category ids where a file has none.
std::vector<int64_t> counted_ids(size_t classes);

/// The data set with its boxes. Errors (usage): its format holds none; there is not one box to train on in all of it
/// (generated sets are not asked). `where` names it.
std::shared_ptr<const BoxDataset> require_boxes(const std::shared_ptr<const Dataset>& data, const std::string& where);

/// The upright extents of a picture file out of its header. Errors: vit::Error naming the source.
vit::Extent size_in_header(const std::string& encoded, const std::string& source);

}  // namespace datasets
