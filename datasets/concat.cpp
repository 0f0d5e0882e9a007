#include "datasets/concat.h"

#include "datasets/box_view.h"
#include "datasets/caption_view.h"
#include "datasets/class_map.h"
#include "vit/core/check.h"

namespace datasets {

std::vector<std::string> all_class_names(const std::vector<std::shared_ptr<const Dataset>>& parts) {
  std::vector<std::string> names;
  for (const auto& part : parts)
    for (const std::string& name : part->class_names())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

std::vector<int64_t> positions_of(const std::vector<std::string>& names, const std::vector<std::string>& all) {
  std::vector<int64_t> positions;
  for (const std::string& name : names) {
    const auto found = std::find(all.begin(), all.end(), name);
    positions.push_back(found == all.end() ? -1 : found - all.begin());
  }
  return positions;
}

std::shared_ptr<const Dataset> concatenate(const std::vector<std::shared_ptr<const Dataset>>& parts) {
  vit::check(!parts.empty(), "data: no sets to put together");
  if (parts.size() == 1) return parts.front();
  std::vector<BoxDatasetPtr> boxes;
  for (const auto& part : parts)
    if (auto with_boxes = std::dynamic_pointer_cast<const BoxDataset>(part)) boxes.push_back(std::move(with_boxes));
  if (boxes.size() == parts.size()) return concatenate_boxes(boxes);
  std::vector<CaptionDatasetPtr> captions;
  for (const auto& part : parts)
    if (auto with_captions = std::dynamic_pointer_cast<const CaptionDataset>(part))
      captions.push_back(std::move(with_captions));
  if (captions.size() == parts.size()) return concatenate_captions(captions);
  const std::vector<std::string> names = all_class_names(parts);
  std::vector<std::shared_ptr<const Dataset>> mapped;
  for (const auto& part : parts)
    mapped.push_back(part->class_names() == names ? part : map_dataset_classes(part, names, "the classes of all sets"));
  return std::make_shared<Concatenated<Dataset>>(std::move(mapped));
}

}  // namespace datasets
