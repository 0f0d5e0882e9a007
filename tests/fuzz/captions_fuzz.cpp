// libFuzzer target: any bytes as COCO's captions, as Karpathy's splits and as tables must be read or refused, never
// crash; the captions that are taken must be UTF-8 and not empty. Built as safetensors_fuzz is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "datasets/caption_json.h"
#include "datasets/caption_list.h"
#include "datasets/caption_table.h"
#include "vit/core/check.h"
#include "vit/core/utf8.h"

namespace {

template <class Read>
void read_or_refuse(const Read& read) {
  try {
    read();
  } catch (const vit::Error&) {
  }
}

void take(const std::string& text) {
  datasets::CaptionList list;
  datasets::CaptionedPicture picture{.path = "a.jpg"};
  datasets::add_caption(list, picture, text, "fuzzed");
  if (picture.captions.size() + list.bad.size() != 1) std::abort();
  for (const std::string& caption : picture.captions)
    if (caption.empty() || !vit::is_utf8(caption)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  take(text);
  read_or_refuse([&] {
    std::istringstream stream(text);
    for (const datasets::CocoCaption& caption : datasets::read_coco_captions(stream, "fuzzed").captions)
      take(caption.text.value_or(""));
  });
  read_or_refuse([&] {
    std::istringstream stream(text);
    for (const datasets::KarpathyPicture& picture : datasets::read_karpathy(stream, "fuzzed"))
      for (const auto& sentence : picture.sentences) take(sentence.value_or(""));
  });
  read_or_refuse([&] {
    for (const datasets::CaptionRow& row : datasets::parse_caption_table(text, "fuzzed")) take(row.caption);
  });
  return 0;
}
