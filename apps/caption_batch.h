// From pictures and frames to captions, some at a time; one that fails does not stop the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "captioning/captioner.h"
#include "vit/image/image.h"
#include "vit/media/frame_feed.h"

namespace apps {

/// A picture, or a video's frame, and what was written about it.
struct CaptionedItem {
  vit::FeedItem item{};                         ///< frames and pictures that could be read: with their pixels
  std::string error{};                          ///< why there is no caption
  std::vector<captioning::Caption> captions{};  ///< best first; none where there is an error
};

struct CaptionBatchOptions {
  captioning::GenerationConfig generation{};
  std::vector<int64_t> prompt{};
  int64_t max_pixels = 100'000'000;
};

/// Reads what are pictures, in parallel, and captions all. Errors: out of memory and the like; what fails for one
/// picture is in its item.
void caption_batch(const captioning::Captioner& captioner, const CaptionBatchOptions& options,
                   std::vector<CaptionedItem>& items);
/// The same where the pixels are there, or an error. Where words are drawn each picture is on its own, so that a
/// caption is a function of the seed and its picture. Errors: out of memory and the like; what fails for one picture is
/// in its item.
void caption_pictures(const captioning::Captioner& captioner, const CaptionBatchOptions& options,
                      std::vector<CaptionedItem>& items);

}  // namespace apps
