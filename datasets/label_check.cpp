#include "datasets/label_check.h"

#include "datasets/box_dataset.h"
#include "datasets/caption_dataset.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {
constexpr size_t kNamedClasses = 20;
}

std::vector<int64_t> labels_of(const Dataset& data) {
  std::vector<int64_t> labels(static_cast<size_t>(data.size()));
  for (int64_t i = 0; i < data.size(); ++i) labels[static_cast<size_t>(i)] = data.label(i);
  return labels;
}

std::vector<int64_t> class_counts(const Dataset& data) {
  std::vector<int64_t> counts(data.class_names().size());
  for (int64_t i = 0; i < data.size(); ++i)
    if (const int64_t label = data.label(i); label >= 0 && label < static_cast<int64_t>(counts.size()))
      ++counts[static_cast<size_t>(label)];
  return counts;
}

bool has_boxes_only(const Dataset& data) {
  const auto* boxes = dynamic_cast<const BoxDataset*>(&data);
  return boxes && !boxes->has_picture_labels();
}

bool has_picture_classes(const Dataset& data) { return !has_boxes_only(data) && !has_captions_only(data); }

void require_labels(const Dataset& data, const std::string& where) {
  if (has_captions_only(data))
    vit::fail_usage("data ", where,
                    ": its pictures have captions and no classes, which is what a classifier needs; a captioner can "
                    "use it");
  if (has_boxes_only(data))
    vit::fail_usage("data ", where,
                    ": its pictures have boxes with classes, and no class as a whole, which is what a classifier "
                    "needs; a detector can use it");
  const auto classes = static_cast<int64_t>(data.class_names().size());
  int64_t first = -1, wrong = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    if (const int64_t label = data.label(i); label >= 0 && label < classes) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong > 0)
    vit::fail_usage("data ", where, ": ", data.source(first), " has the label ", data.label(first), ", but there are ",
                    classes, " classes (0 to ", classes - 1, "); ", wrong, " of ", data.size(),
                    " pictures have a label out of range; correct the labels, or the class map");
}

void require_no_empty_class(const Dataset& data, const std::string& where) {
  const std::vector<int64_t> counts = class_counts(data);
  std::vector<std::string> empty;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] == 0) empty.push_back("'" + data.class_names()[i] + "'");
  if (!empty.empty())
    vit::fail_usage("data ", where, ": ", empty.size(), " of ", counts.size(),
                    " classes have no picture: ", vit::joined(empty, kNamedClasses),
                    "; add pictures, or remove the class (allow_empty_classes: true "
                    "accepts them)");
}

}  // namespace datasets
