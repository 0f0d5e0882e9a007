#include "detection/coco_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "datasets/coco_file.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/json.h"
#include "vit/io/json_stream.h"

namespace detection {

using nlohmann::json;
using vit::fail_usage;

namespace {

CocoBox read_box(const vit::JsonObject& entry) {
  const std::vector<double> numbers = entry.get_doubles("bbox", {});
  if (numbers.size() != 4) entry.refuse("bbox", "four numbers [x, y, width, height]");
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

/// Objects as pycocotools takes them out of a file, and what it never looks at.
class TruthReader {
 public:
  CocoTruthFile read(const datasets::CocoFile& file, const std::string& name) {
    for (size_t i = 0; i < file.images.size(); ++i)
      truth().images.push_back(required(file.images[i].id, name, "images", i));
    for (size_t i = 0; i < file.categories.size(); ++i) {
      truth().categories.push_back(required(file.categories[i].id, name, "categories", i));
      truth().names.push_back(file.categories[i].name);
    }
    images_.insert(truth().images.begin(), truth().images.end());
    categories_.insert(truth().categories.begin(), truth().categories.end());
    for (size_t i = 0; i < file.annotations.size(); ++i) read_annotation(file.annotations[i], i);
    return std::move(file_);
  }

 private:
  CocoTruth& truth() { return file_.truth; }

  static int64_t required(const std::optional<int64_t>& id, const std::string& name, const char* list, size_t at) {
    if (!id) fail_usage(name, ": ", list, "[", at, "].id: expected a whole number, got none");
    return *id;
  }

  void read_annotation(const datasets::CocoAnnotation& annotation, size_t at) {
    const auto tell = [&](const std::string& reason) {
      const std::string where = annotation.id ? fmt::format("annotation {}", *annotation.id)
                                              : fmt::format("annotations[{}], which has no id", at);
      file_.oddities.push_back({where, reason});
    };
    if (!annotation.image || images_.count(*annotation.image) == 0) {
      tell(annotation.image ? fmt::format("image {} is not in the file", *annotation.image) : "no image_id");
    } else if (!annotation.category || categories_.count(*annotation.category) == 0) {
      tell(annotation.category ? fmt::format("category {} is not in the file", *annotation.category)
                               : "no category_id");
    } else if (const CocoBox& box = annotation.bbox; annotation.numbers != 4 || !is_finite(box)) {
      tell("bbox is not four finite numbers [x, y, width, height]");
    } else {
      if (annotation.id && !ids_.insert(*annotation.id).second) tell("the id stands twice");
      if (annotation.id == 0)
        tell(
            "id 0: pycocotools counts a detection of this object as wrong, and so do these figures; number annotations "
            "from 1");
      truth().objects.push_back({.image = *annotation.image,
                                 .category = *annotation.category,
                                 .box = box,
                                 .area = annotation.area.value_or(box[2] * box[3]),
                                 .crowd = annotation.crowd,
                                 .id = annotation.id.value_or(static_cast<int64_t>(at) + 1)});
    }
  }

  static bool is_finite(const CocoBox& box) {
    return std::all_of(box.begin(), box.end(), [](double x) { return std::isfinite(x); });
  }

  CocoTruthFile file_;
  std::unordered_set<int64_t> images_, categories_, ids_;
};

}  // namespace

CocoTruthFile read_coco_truth(const std::filesystem::path& path) {
  return TruthReader().read(datasets::read_coco(path.string()), path.string());
}

CocoTruth coco_truth(const datasets::BoxDataset& data) {
  CocoTruth truth{.categories = data.category_ids(), .names = data.class_names()};
  for (int64_t i = 0; i < data.size(); ++i) {
    truth.images.push_back(data.image_id(i));
    for (const datasets::BoxAnnotation& object : data.boxes(i))
      truth.objects.push_back({.image = data.image_id(i),
                               .category = truth.categories.at(static_cast<size_t>(object.label)),
                               .box = coco_box(object.box),
                               .area = object.area,
                               .crowd = object.crowd,
                               .difficult = object.difficult});
  }
  return truth;
}

std::vector<CocoDetection> read_coco_detections(const std::filesystem::path& path) {
  std::vector<CocoDetection> detections;
  const auto visit = [&](const std::string& list, int64_t position, const json& object) {
    if (!list.empty()) return;
    const vit::JsonObject entry(object, fmt::format("{}: [{}]", path.string(), position));
    detections.push_back({.image = entry.require_int("image_id"),
                          .category = entry.require_int("category_id"),
                          .box = read_box(entry),
                          .score = entry.require_double("score")});
  };
  const json rest = vit::stream_json(path, {.skipped = {"segmentation"}}, visit);
  if (!rest.is_array() || !rest.empty())
    fail_usage(path.string(),
               ": expected a list of detections [{\"image_id\", \"category_id\", \"bbox\", \"score\"}, ...]");
  return detections;
}

void write_coco_detections(const std::filesystem::path& path, const std::vector<CocoDetection>& detections) {
  vit::write_file_atomically(path, [&](vit::AtomicFile& file) {
    file.write("[");
    for (size_t i = 0; i < detections.size(); ++i) {
      const CocoDetection& d = detections[i];
      // fmt writes the shortest form that reads back as the same number.
      file.write(fmt::format("{}\n{{\"image_id\": {}, \"category_id\": {}, \"bbox\": [{}, {}, {}, {}], \"score\": {}}}",
                             i == 0 ? "" : ",", d.image, d.category, d.box[0], d.box[1], d.box[2], d.box[3], d.score));
    }
    file.write("\n]\n");
  });
}

}  // namespace detection
