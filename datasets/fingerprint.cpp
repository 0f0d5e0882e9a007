#include "datasets/fingerprint.h"

#include <span>
#include <string_view>

#include "datasets/box_dataset.h"
#include "datasets/caption_dataset.h"
#include "datasets/hash.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"

namespace datasets {

std::string Fingerprint::text() const {
  return vit::str(pictures, " pictures in ", classes, " classes, names ", names, ", sources ", sources);
}

namespace {

/// Length of the folder that all sources have in common, with its slash.
size_t common_folder(const Dataset& data) {
  std::string folder = data.size() > 0 ? data.source(0) : std::string();
  folder.resize(folder.rfind('/') + 1);
  for (int64_t i = 1; i < data.size() && !folder.empty(); ++i) {
    const std::string source = data.source(i);
    while (!source.starts_with(folder)) {
      folder.pop_back();
      folder.resize(folder.rfind('/') + 1);
    }
  }
  return folder.size();
}

void add_boxes(const std::vector<BoxAnnotation>& boxes, Hasher& hasher) {
  hasher.add_number(static_cast<int64_t>(boxes.size()));
  for (const BoxAnnotation& box : boxes) {
    hasher.add_number(box.label);
    hasher.add(std::as_bytes(std::span(box.box)));
    hasher.add_number((box.crowd ? 1 : 0) + (box.difficult ? 2 : 0));
  }
}

}  // namespace

Fingerprint fingerprint(const Dataset& data) {
  Hasher names, sources;
  for (const std::string& name : data.class_names()) names.add_text(name);
  const size_t common = common_folder(data);
  const auto* boxes = has_boxes_only(data) ? dynamic_cast<const BoxDataset*>(&data) : nullptr;
  const auto* captions = dynamic_cast<const CaptionDataset*>(&data);
  for (int64_t i = 0; i < data.size(); ++i) {
    const std::string source = data.source(i);
    sources.add_text(std::string_view(source).substr(common));
    if (boxes)
      add_boxes(boxes->boxes(i), sources);
    else
      sources.add_number(data.label(i));
    if (captions)
      for (const std::string& caption : captions->captions(i)) sources.add_text(caption);
  }
  return {.pictures = data.size(),
          .classes = static_cast<int64_t>(data.class_names().size()),
          .names = names.finish().text(),
          .sources = sources.finish().text()};
}

std::string difference(const Fingerprint& before, const Fingerprint& now) {
  if (before == now) return {};
  if (before.classes != now.classes) return vit::str("it had ", before.classes, " classes and has ", now.classes);
  if (before.names != now.names) return "its classes have other names or another order";
  if (before.pictures != now.pictures) return vit::str("it had ", before.pictures, " pictures and has ", now.pictures);
  return "some of its pictures have other names, labels, captions or another order";
}

void require_unchanged(const Fingerprint& before, const Fingerprint& now, const std::string& where) {
  if (before != now)
    vit::fail_usage("data ", where, ": it has changed since the run began: ", difference(before, now),
                    "; restore it, or begin a new run");
}

}  // namespace datasets
