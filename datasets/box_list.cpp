#include "datasets/box_list.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <utility>

#include "datasets/data_file.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// Headers are near the beginning, but for metadata in front of them.
constexpr int64_t kHeaderBytes = 256 << 10;

/// A box as messages show it.
std::string shown(const vit::Corners& box) {
  return vit::str("(", box[0], ", ", box[1], ", ", box[2], ", ", box[3], ")");
}

class ListedDataset : public BoxDataset {
 public:
  ListedDataset(BoxList list, const vit::DecodeOptions& decode)
      : list_(std::move(list)), decode_(decode), sizes_(list_.pictures.size()) {
    for (size_t i = 0; i < sizes_.size(); ++i) sizes_[i] = packed(list_.pictures[i].size);
  }

  int64_t size() const override { return static_cast<int64_t>(list_.pictures.size()); }
  const std::vector<std::string>& class_names() const override { return list_.class_names; }
  std::string source(int64_t index) const override { return picture(index).path; }
  vit::Image load(int64_t index) const override { return vit::load_image(picture(index).path, decode_); }
  std::string encoded(int64_t index) const override { return read_picture_file(picture(index).path); }
  std::vector<std::string> skipped() const override { return list_.skipped; }

  int64_t label(int64_t index) const override { return label_of_first(picture(index).boxes); }
  int64_t image_id(int64_t index) const override { return picture(index).id; }
  std::vector<int64_t> category_ids() const override {
    return list_.category_ids.empty() ? counted_ids(list_.class_names.size()) : list_.category_ids;
  }
  const std::vector<BadBox>& bad_boxes() const override { return list_.bad_boxes; }

  std::vector<BoxAnnotation> boxes(int64_t index) const override {
    std::vector<BoxAnnotation> boxes = picture(index).boxes;
    if (!list_.shares || boxes.empty()) return boxes;
    vit::Extent size;
    try {
      size = picture_size(index);
    } catch (const vit::Error&) {
      return {};  // who reads the picture is told
    }
    const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
    for (BoxAnnotation& box : boxes) {
      box.box = {box.box[0] * width, box.box[1] * height, box.box[2] * width, box.box[3] * height};
      box.area = vit::box_area(box.box);
    }
    return boxes;
  }

  vit::Extent picture_size(int64_t index) const override {
    std::atomic<uint64_t>& known = sizes_.at(static_cast<size_t>(index));
    if (known.load() == 0) known = packed(size_of_picture_file(source(index)));
    const uint64_t size = known.load();
    return {static_cast<int64_t>(size >> 32), static_cast<int64_t>(size & 0xFFFFFFFF)};
  }

 private:
  static uint64_t packed(const vit::Extent& size) {
    return static_cast<uint64_t>(size.height) << 32 | static_cast<uint64_t>(size.width);
  }
  const ListedPicture& picture(int64_t index) const { return list_.pictures.at(static_cast<size_t>(index)); }

  BoxList list_;
  vit::DecodeOptions decode_;
  mutable std::vector<std::atomic<uint64_t>> sizes_;  // 0: not known yet
};

}  // namespace

vit::Extent size_of_picture_file(const std::string& path) {
  try {
    const DataFile file = DataFile::open(path);
    if (file.size() > kHeaderBytes) return size_in_header(file.read(0, kHeaderBytes), path);
  } catch (const vit::Error&) {
    // Read whole below, which says what is wrong if it is.
  }
  return size_in_header(read_picture_file(path), path);
}

void BoxChecker::refuse(const std::string& place, const std::string& reason) {
  bad_.push_back({.source = place, .reason = reason, .repaired = false});
}

bool BoxChecker::check(vit::Corners& box, double width, double height, const std::string& place) {
  if (!std::all_of(box.begin(), box.end(), [](double value) { return std::isfinite(value); })) {
    refuse(place, "not a number: " + shown(box));
    return false;
  }
  if (box[2] <= box[0] || box[3] <= box[1]) {
    const bool inverted = box[2] < box[0] || box[3] < box[1];
    refuse(place, (inverted ? "no area, right and left or top and bottom are swapped: " : "no area: ") + shown(box));
    return false;
  }
  if (width <= 0.0 || height <= 0.0) return true;
  const vit::Corners clipped = vit::clip_box(box, width, height);
  if (vit::box_area(clipped) <= 0.0) {
    refuse(place, vit::str("outside the picture of ", width, " x ", height, ": ", shown(box)));
    return false;
  }
  double beyond = 0.0;
  for (size_t i = 0; i < box.size(); ++i) beyond = std::max(beyond, std::abs(box[i] - clipped[i]));
  if (beyond > tolerance_)
    bad_.push_back({.source = place,
                    .reason = vit::str("reaches outside the picture of ", width, " x ", height, ": ", shown(box)),
                    .repaired = true});
  box = clipped;
  return true;
}

std::shared_ptr<const BoxDataset> make_listed_dataset(BoxList list, const vit::DecodeOptions& decode) {
  return std::make_shared<ListedDataset>(std::move(list), decode);
}

}  // namespace datasets
