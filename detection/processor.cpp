#include "detection/processor.h"

#include <nlohmann/json.hpp>

#include "vit/core/check.h"
#include "vit/image/resize.h"
#include "vit/io/checkpoint.h"

namespace detection {

namespace {

using Json = nlohmann::ordered_json;

/// The checkpoint's file, or the class that goes with the family.
Json starting_point(const vit::Checkpoint* checkpoint, const DetectionModel& model) {
  const bool has_weights = checkpoint && checkpoint->has_weights();
  if (const nlohmann::json* file = has_weights ? checkpoint->preprocessor() : nullptr) {
    Json json = *file;
    if (!json.contains("image_processor_type") && !json.contains("feature_extractor_type"))
      json["image_processor_type"] = model.image_processor();
    return json;
  }
  return {{"image_processor_type", model.image_processor()}};
}

void set_size(Json& json, const vit::Extent& size, bool keep_ratio) {
  for (const char* old : {"max_size", "pad_size", "pad_and_return_pixel_mask"}) json.erase(old);
  json["do_resize"] = true;
  json["do_pad"] = keep_ratio;
  if (keep_ratio) {
    json["size"] = {{"max_height", size.height}, {"max_width", size.width}};
    json["pad_size"] = {{"height", size.height}, {"width", size.width}};
  } else {
    json["size"] = {{"height", size.height}, {"width", size.width}};
  }
}

}  // namespace

nlohmann::ordered_json processor_config(const vit::Checkpoint* checkpoint, const DetectionModel& model,
                                        const ProcessorChanges& changes) {
  const bool has_weights = checkpoint && checkpoint->has_weights();
  Json json = starting_point(checkpoint, model);
  if (changes.size)
    set_size(json, *changes.size, changes.keep_ratio);
  else if (!has_weights)
    set_size(json, {model.info().input_size[0], model.info().input_size[1]}, changes.keep_ratio);
  if (changes.interpolation) json["resample"] = static_cast<int>(vit::filter_from_name(*changes.interpolation));
  if (changes.mean || changes.std) json["do_normalize"] = true;
  if (changes.mean) json["image_mean"] = *changes.mean;
  if (changes.std) {
    for (const double value : *changes.std)
      if (value <= 0.0) vit::fail_usage("std: expected numbers above 0, got ", value);
    json["image_std"] = *changes.std;
  }
  return json;
}

vit::Preprocessor load_processor(const vit::Checkpoint& checkpoint, const DetectionModel& model,
                                 std::optional<int64_t> img_size) {
  const bool has_file = checkpoint.has_weights() && checkpoint.preprocessor();
  const std::string where = has_file ? (checkpoint.dir() / "preprocessor_config.json").string() : checkpoint.name();
  return vit::Preprocessor::from_hugging_face(nlohmann::json(processor_config(&checkpoint, model)), where, "",
                                              {.image_size = img_size});
}

}  // namespace detection
