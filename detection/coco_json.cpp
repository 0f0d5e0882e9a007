#include "detection/coco_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

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

/// 0, 1, false and true are all in use.
bool read_flag(const vit::JsonObject& entry, const std::string& key) {
  const json* value = entry.find(key);
  return value && (value->is_boolean() ? value->get<bool>() : entry.get_int(key, 0) != 0);
}

CocoObject read_object(const vit::JsonObject& entry) {
  const CocoBox box = read_box(entry);
  return {.image = entry.require_int("image_id"),
          .category = entry.require_int("category_id"),
          .box = box,
          .area = entry.get_double("area", box[2] * box[3]),
          .crowd = read_flag(entry, "iscrowd"),
          .id = entry.require_int("id")};
}

/// A list must be there, and hold nothing but the objects that were read from it.
void require_list(const json& rest, const std::string& key, const std::string& file) {
  const auto list = rest.is_object() ? rest.find(key) : rest.end();
  if (!rest.is_object() || list == rest.end() || !list->is_array())
    fail_usage(file, ": ", key, ": expected a list of objects: is this a COCO annotation file?");
  if (!list->empty()) fail_usage(file, ": ", key, ": expected objects only, got something else as well");
}

/// Takes out what pycocotools never looks at, and says so.
void leave_out_strangers(CocoTruthFile& file) {
  const std::unordered_set<int64_t> images(file.truth.images.begin(), file.truth.images.end()),
      categories(file.truth.categories.begin(), file.truth.categories.end());
  std::unordered_set<int64_t> ids;
  std::vector<CocoObject> kept;
  for (const CocoObject& object : file.truth.objects) {
    const std::string where = fmt::format("annotation {}", object.id);
    const bool has_image = images.count(object.image) > 0, has_category = categories.count(object.category) > 0;
    if (!has_image) file.oddities.push_back({where, fmt::format("image {} is not in the file", object.image)});
    if (has_image && !has_category)
      file.oddities.push_back({where, fmt::format("category {} is not in the file", object.category)});
    if (!ids.insert(object.id).second) file.oddities.push_back({where, "the id stands twice"});
    if (object.id == 0)
      file.oddities.push_back({where,
                               "id 0: pycocotools counts a detection of this object as wrong, and so do these "
                               "figures; number annotations from 1"});
    if (has_image && has_category) kept.push_back(object);
  }
  file.truth.objects = std::move(kept);
}

}  // namespace

CocoTruthFile read_coco_truth(const std::filesystem::path& path) {
  CocoTruthFile file;
  const auto visit = [&](const std::string& list, int64_t position, const json& object) {
    const auto entry = [&] {
      return vit::JsonObject(object, fmt::format("{}: {}[{}]", path.string(), list, position));
    };
    if (list == "images") {
      file.truth.images.push_back(entry().require_int("id"));
    } else if (list == "categories") {
      file.truth.categories.push_back(entry().require_int("id"));
      file.truth.names.push_back(entry().get_string("name", {}));
    } else if (list == "annotations") {
      file.truth.objects.push_back(read_object(entry()));
    }
  };
  const json rest = vit::stream_json(path, {.skipped = {"segmentation"}}, visit);
  for (const char* key : {"images", "categories", "annotations"}) require_list(rest, key, path.string());
  leave_out_strangers(file);
  return file;
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
