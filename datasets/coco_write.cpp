#include "datasets/coco_write.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace datasets {

namespace {

using Json = nlohmann::ordered_json;

void append(std::string& list, const Json& entry) {
  if (!list.empty()) list += ",\n";
  list += entry.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

CocoWriter::CocoWriter(std::vector<std::string> class_names) : class_names_(std::move(class_names)) {}

void CocoWriter::add(const std::string& file_name, vit::Extent size, const std::vector<BoxAnnotation>& boxes) {
  append(images_, {{"id", ++pictures_}, {"file_name", file_name}, {"width", size.width}, {"height", size.height}});
  for (const BoxAnnotation& annotation : boxes) {
    vit::check(annotation.label >= 0 && annotation.label < static_cast<int64_t>(class_names_.size()),
               "coco: ", file_name, ": class ", annotation.label, " of ", class_names_.size());
    const vit::Corners& box = annotation.box;
    Json entry = {{"id", ++boxes_},
                  {"image_id", pictures_},
                  {"category_id", annotation.label + 1},
                  {"bbox", {box[0], box[1], box[2] - box[0], box[3] - box[1]}},
                  {"area", annotation.area},
                  {"iscrowd", annotation.crowd || annotation.difficult ? 1 : 0}};
    if (annotation.track >= 0) entry["track_id"] = annotation.track;
    append(annotations_, entry);
  }
}

void CocoWriter::write(const std::filesystem::path& path) const {
  std::string categories;
  for (size_t c = 0; c < class_names_.size(); ++c) append(categories, {{"id", c + 1}, {"name", class_names_[c]}});
  vit::write_file_atomically(path, [&](vit::AtomicFile& file) {
    const auto list = [&](const char* key, const std::string& entries, const char* end) {
      file.write("\"" + std::string(key) + "\": [\n");
      file.write(entries);
      file.write("\n]" + std::string(end));
    };
    file.write("{");
    list("images", images_, ",\n");
    list("annotations", annotations_, ",\n");
    list("categories", categories, "}\n");
  });
}

}  // namespace datasets
