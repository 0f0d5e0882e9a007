// Checks of boxes: what cannot be used, what is there twice, and how many there are. Generated sets are right by
// construction: they are not examined.
#include <algorithm>
#include <cmath>
#include <utility>

#include "datasets/box_dataset.h"
#include "datasets/doctor.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

/// Two boxes of one class that overlap by more are the same object, annotated twice.
constexpr double kSameObject = 0.95;
/// Boxes with a shorter side are tiny: after resizing little is left of them.
constexpr double kTinySide = 4.0;
/// Boxes may reach this far outside of their picture, in pixels (as box_loader.cpp has it).
constexpr double kTolerance = 1.0;
constexpr size_t kNamedClasses = 100;

class BoxCheck {
 public:
  BoxCheck(const ExaminedSplit& split, const BoxDataset& data, bool is_training, const DoctorOptions& options,
           std::vector<Finding>& findings)
      : split_(split), data_(data), is_training_(is_training), options_(options), findings_(findings) {}

  void run() {
    for (const BadBox& bad : data_.bad_boxes())
      add(bad.repaired ? Severity::warning : Severity::error, "bad_box", bad.source,
          bad.reason + (bad.repaired                       ? "; clipped and used"
                        : bad.reason.ends_with("left out") ? ""
                                                           : "; left out"));
    counts_.resize(data_.class_names().size());
    for (int64_t i = 0; i < data_.size(); ++i) check_picture(i);
    if (tiny_ > 0)
      add(Severity::warning, "tiny_box", first_tiny_,
          vit::str(tiny_, tiny_ == 1 ? " box has" : " boxes have", " a side below ", kTinySide,
                   " pixels, this picture's first"));
    if (without_boxes_ > 0 && without_boxes_ < data_.size())
      add(Severity::note, "no_boxes", first_without_,
          vit::str(without_boxes_, " of ", data_.size(), " pictures ",
                   without_boxes_ == 1 ? "has no box: this one" : "have no box, this one first"));
    check_counts();
  }

 private:
  void add(Severity severity, const char* kind, std::string source, std::string detail) {
    findings_.push_back({severity, kind, std::move(source), std::move(detail)});
  }

  void check_picture(int64_t index) {
    const PictureFacts& facts = split_.pictures[static_cast<size_t>(index)];
    const std::string source = data_.source(index);
    std::vector<BoxAnnotation> boxes;
    if (facts.is_readable()) boxes = data_.boxes(index);
    if (boxes.empty() && facts.is_readable() && without_boxes_++ == 0) first_without_ = source;
    if (facts.is_readable()) check_size(index, facts, boxes, source);
    for (const BoxAnnotation& box : boxes) {
      if (!box.crowd) ++counts_[static_cast<size_t>(box.label)];
      if (std::min(box.box[2] - box.box[0], box.box[3] - box.box[1]) < kTinySide && tiny_++ == 0) first_tiny_ = source;
    }
    check_duplicates(boxes, source);
  }

  void check_size(int64_t index, const PictureFacts& facts, const std::vector<BoxAnnotation>& boxes,
                  const std::string& source) {
    const vit::Extent annotated = data_.picture_size(index);
    if (annotated == vit::Extent{facts.height, facts.width}) return;
    const bool reaches_outside = std::any_of(boxes.begin(), boxes.end(), [&](const BoxAnnotation& box) {
      return box.box[2] > static_cast<double>(facts.width) + kTolerance ||
             box.box[3] > static_cast<double>(facts.height) + kTolerance;
    });
    add(reaches_outside ? Severity::error : Severity::warning, "size_mismatch", source,
        vit::str("annotated as ", annotated.width, " x ", annotated.height, " pixels, but it has ", facts.width, " x ",
                 facts.height,
                 reaches_outside ? ": boxes reach outside of it; it is not used" : "; its boxes fit all the same"));
  }

  void check_duplicates(const std::vector<BoxAnnotation>& boxes, const std::string& source) {
    int64_t twice = 0;
    for (size_t a = 0; a < boxes.size(); ++a)
      for (size_t b = 0; b < a; ++b)
        if (boxes[a].label == boxes[b].label && !boxes[a].crowd && !boxes[b].crowd &&
            vit::box_iou(boxes[a].box, boxes[b].box) > kSameObject) {
          ++twice;
          break;
        }
    if (twice > 0)
      add(Severity::warning, "duplicate_box", source,
          vit::str(twice, twice == 1 ? " box is" : " boxes are", " there twice, with the same class"));
  }

  void check_counts() {
    const std::vector<std::string>& names = data_.class_names();
    std::vector<std::string> all, empty;
    int64_t total = 0;
    size_t smallest = 0, largest = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      total += counts_[i];
      all.push_back(vit::str(names[i], " ", counts_[i]));
      if (counts_[i] == 0) empty.push_back("'" + names[i] + "'");
      if (counts_[i] > counts_[largest]) largest = i;
      if (counts_[i] > 0 && (counts_[smallest] == 0 || counts_[i] < counts_[smallest])) smallest = i;
    }
    if (total == 0) {
      add(Severity::error, "no_boxes", split_.root, "there is no box in the whole set");
      return;
    }
    if (!empty.empty())
      add(is_training_ ? Severity::warning : Severity::note, "empty_class", split_.root,
          vit::str(empty.size(), " of ", names.size(), " classes have no box: ", vit::joined(empty, kNamedClasses)));
    add(Severity::note, "box_counts", split_.root,
        vit::str(total, total == 1 ? " box in " : " boxes in ", data_.size(),
                 data_.size() == 1 ? " picture: " : " pictures: ", vit::joined(all, kNamedClasses)));
    const double ratio = static_cast<double>(counts_[largest]) / static_cast<double>(counts_[smallest]);
    if (ratio > options_.max_imbalance)
      add(Severity::warning, "imbalance", split_.root,
          vit::str("class '", names[largest], "' has ", counts_[largest], " boxes, '", names[smallest], "' ",
                   counts_[smallest]));
  }

  const ExaminedSplit& split_;
  const BoxDataset& data_;
  bool is_training_;
  const DoctorOptions& options_;
  std::vector<Finding>& findings_;
  std::vector<int64_t> counts_;  // boxes of each class, without crowds
  int64_t tiny_ = 0, without_boxes_ = 0;
  std::string first_tiny_, first_without_;
};

void check_boxes(const Examination& examination, std::vector<Finding>& findings) {
  for (const ExaminedSplit& split : examination.splits)
    if (has_boxes_only(*split.data))
      BoxCheck(split, dynamic_cast<const BoxDataset&>(*split.data), &split == &examination.splits.front(),
               examination.options, findings)
          .run();
}

}  // namespace

VITKIT_REGISTER_DOCTOR_CHECK("boxes", check_boxes);

}  // namespace datasets
