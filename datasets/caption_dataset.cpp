#include "datasets/caption_dataset.h"

#include <filesystem>

#include "datasets/box_dataset.h"
#include "datasets/caption_view.h"
#include "datasets/format.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

const std::vector<BadCaption>& CaptionDataset::bad_captions() const {
  static const std::vector<BadCaption> none;
  return none;
}

const std::vector<std::string>& CaptionDataset::class_names() const {
  static const std::vector<std::string> none;
  return none;
}

bool has_captions_only(const Dataset& data) { return dynamic_cast<const CaptionDataset*>(&data) != nullptr; }

std::string caption_spec(const std::string& spec) {
  std::error_code error;
  if (!std::filesystem::exists(spec, error)) return spec;
  for (const std::string& name : dataset_registry().names()) {
    const DatasetFormat& format = dataset_registry().find(name);
    if (format.has_captions && format.recognises && format.recognises(spec)) return name + ":" + spec;
  }
  return spec;
}

std::shared_ptr<const CaptionDataset> require_captions(const std::shared_ptr<const Dataset>& data,
                                                       const std::string& where) {
  if (auto captions = std::dynamic_pointer_cast<const CaptionDataset>(data)) return captions;
  auto boxes = std::dynamic_pointer_cast<const BoxDataset>(data);
  if (boxes && boxes->has_sentences()) return captions_of_boxes(std::move(boxes));
  std::vector<std::string> formats;
  for (const std::string& name : dataset_registry().names())
    if (dataset_registry().find(name).has_captions) formats.push_back(name);
  vit::fail_usage("data ", where, ": it has no captions, which a captioner needs; formats with captions are ",
                  vit::joined(formats));
}

}  // namespace datasets
