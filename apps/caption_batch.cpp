#include "apps/caption_batch.h"

#include <utility>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/image/decode.h"
#include "vit/media/source.h"

namespace apps {

namespace {

void read_pictures(std::vector<CaptionedItem>& items, int64_t max_pixels) {
  vit::parallel_try(static_cast<int64_t>(items.size()), [&](int64_t i) {
    CaptionedItem& one = items[static_cast<size_t>(i)];
    if (!one.item.picture()) return;
    try {
      one.item.event.image = vit::load_image(one.item.source, {.max_pixels = max_pixels});
    } catch (const vit::Error& error) {
      one.error = vit::without_source(error.what(), one.item.source);
    }
  });
}

/// Captions of some pictures, or why there are none.
void caption_together(const captioning::Captioner& captioner, const CaptionBatchOptions& options,
                      const std::vector<CaptionedItem*>& together) {
  std::vector<vit::Image> images;
  for (const CaptionedItem* one : together) images.push_back(one->item.event.image);
  try {
    vit::Context context;
    auto captions = captioner.run(context, captioner.prepare(images), options.generation, options.prompt);
    for (size_t i = 0; i < together.size(); ++i) together[i]->captions = std::move(captions[i]);
  } catch (const std::exception& error) {
    if (together.size() == 1) {
      together.front()->error = error.what();
      return;
    }
    // One of them has a shape that pre-processing cannot take, or each has a size of its own, or the model fails on it.
    for (CaptionedItem* one : together) caption_together(captioner, options, {one});
  }
}

}  // namespace

void caption_batch(const captioning::Captioner& captioner, const CaptionBatchOptions& options,
                   std::vector<CaptionedItem>& items) {
  read_pictures(items, options.max_pixels);
  caption_pictures(captioner, options, items);
}

void caption_pictures(const captioning::Captioner& captioner, const CaptionBatchOptions& options,
                      std::vector<CaptionedItem>& items) {
  std::vector<CaptionedItem*> readable;
  for (CaptionedItem& one : items)
    if (one.error.empty()) readable.push_back(&one);
  if (options.generation.do_sample) {  // a picture's random numbers follow from what the model makes of it, to the bit
    for (CaptionedItem* one : readable) caption_together(captioner, options, {one});
  } else if (!readable.empty()) {
    caption_together(captioner, options, readable);
  }
}

}  // namespace apps
