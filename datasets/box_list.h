// Pictures with boxes that were listed from files: what COCO, VOC and YOLO have in common once they are read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"
#include "vit/image/decode.h"

namespace datasets {

struct ListedPicture {
  std::string path{};
  int64_t id = 0;
  vit::Extent size{};  ///< as annotated; 0 x 0: not said, the picture's header tells
  std::vector<BoxAnnotation> boxes{};
};

struct BoxList {
  std::vector<ListedPicture> pictures{};
  bool shares = false;  ///< boxes are shares of their picture's extents, not pixels
  std::vector<std::string> class_names{};
  std::vector<int64_t> category_ids{};  ///< of the classes; empty: 0, 1, 2, ...
  std::vector<BadBox> bad_boxes{};
  std::vector<std::string> skipped{};  ///< as Dataset::skipped
};

/// Boxes on their way into a list: what cannot be used is reported, what can be repaired is.
class BoxChecker {
 public:
  /// Boxes may reach outside of their picture by `tolerance` (in their units), which is rounding and not reported.
  BoxChecker(std::vector<BadBox>& bad, double tolerance) : bad_(bad), tolerance_(tolerance) {}

  /// Whether `box` can be used in a picture of `width` x `height` (1 x 1 where boxes are shares; 0 x 0 where the
  /// extents are not known): numbers, with area, at least partly inside. It is clipped to the picture. `place` names
  /// picture, file and position.
  bool check(vit::Corners& box, double width, double height, const std::string& place);
  /// Reports one that is left out.
  void refuse(const std::string& place, const std::string& reason);

 private:
  std::vector<BadBox>& bad_;
  double tolerance_;
};

/// The upright extents of a picture file, from its header. Errors: vit::Error naming the path.
vit::Extent size_of_picture_file(const std::string& path);

/// Pictures are read when they are asked for; those that are not there are errors then.
std::shared_ptr<const BoxDataset> make_listed_dataset(BoxList list, const vit::DecodeOptions& decode);

}  // namespace datasets
