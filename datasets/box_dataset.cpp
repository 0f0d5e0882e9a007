#include "datasets/box_dataset.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "vit/core/check.h"
#include "vit/image/header.h"

namespace datasets {

namespace {

/// EXIF's orientations 5 to 8 lie on their side.
constexpr int kFirstLyingOrientation = 5;

bool has_any_box(const BoxDataset& data) {
  for (int64_t i = 0; i < data.size(); ++i) {
    const std::vector<BoxAnnotation> boxes = data.boxes(i);
    if (std::any_of(boxes.begin(), boxes.end(), [](const BoxAnnotation& box) { return !box.crowd && !box.difficult; }))
      return true;
  }
  return false;
}

}  // namespace

std::vector<int64_t> counted_ids(size_t classes) {
  std::vector<int64_t> ids(classes);
  std::iota(ids.begin(), ids.end(), int64_t{0});
  return ids;
}

int64_t label_of_first(const std::vector<BoxAnnotation>& boxes) { return boxes.empty() ? -1 : boxes.front().label; }

std::vector<int64_t> BoxDataset::category_ids() const { return counted_ids(class_names().size()); }

const std::vector<BadBox>& BoxDataset::bad_boxes() const {
  static const std::vector<BadBox> none;
  return none;
}

vit::Extent BoxDataset::picture_size(int64_t index) const {
  const std::string bytes = encoded(index);
  if (!bytes.empty()) return size_in_header(bytes, source(index));
  const vit::Image image = load(index);
  return {image.height(), image.width()};
}

int64_t BoxDataset::label(int64_t index) const { return label_of_first(boxes(index)); }

std::shared_ptr<const BoxDataset> require_boxes(const std::shared_ptr<const Dataset>& data, const std::string& where) {
  auto boxes = std::dynamic_pointer_cast<const BoxDataset>(data);
  if (!boxes)
    vit::fail_usage("data ", where,
                    ": it has classes of pictures but no boxes, which a detector needs; formats with boxes are coco, "
                    "voc, yolo, scenes and clips");
  if (!boxes->has_picture_labels() && !has_any_box(*boxes))
    vit::fail_usage("data ", where, ": there is no box in the whole set (", boxes->size(), " pictures, ",
                    boxes->bad_boxes().size(), " boxes that cannot be used): vitkit doctor lists what is wrong");
  return boxes;
}

vit::Extent size_in_header(const std::string& encoded, const std::string& source) {
  const vit::ImageHeader header = vit::read_image_header(std::as_bytes(std::span(encoded)), source);
  vit::Extent size{header.height, header.width};
  if (header.orientation >= kFirstLyingOrientation) std::swap(size.height, size.width);
  return size;
}

}  // namespace datasets
