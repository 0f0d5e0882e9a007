// libFuzzer target: any bytes as COCO's JSON, as VOC's XML and as YOLO's rows must be read or refused, never crash; the
// boxes that are taken must be numbers within their picture. Built as safetensors_fuzz is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "datasets/coco_file.h"
#include "datasets/voc_xml.h"
#include "datasets/yolo_rows.h"
#include "vit/core/check.h"

namespace {

template <class Read>
void read_or_refuse(const Read& read) {
  try {
    read();
  } catch (const vit::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_or_refuse([&] { datasets::parse_coco(text, "fuzzed"); });
  read_or_refuse([&] { datasets::parse_voc(text, "fuzzed"); });
  datasets::ListedPicture picture;
  std::vector<datasets::BadBox> bad;
  datasets::read_yolo_rows(text, "fuzzed", 3, picture, bad);
  for (const datasets::BoxAnnotation& box : picture.boxes) {
    const bool inside = box.box[0] >= 0.0 && box.box[1] >= 0.0 && box.box[2] <= 1.0 && box.box[3] <= 1.0;
    if (!inside || !(vit::box_area(box.box) > 0.0) || box.label < 0 || box.label > 2) std::abort();
  }
  return 0;
}
