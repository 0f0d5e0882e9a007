// From a stream of picture files to logits: decoding and pre-processing run ahead of the model, answers come in the
// order of the sources, and a picture that cannot be read does not stop the others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "vit/image/decode.h"
#include "vit/media/image_loader.h"
#include "vit/predictor.h"

namespace apps {

struct PictureOptions {
  int64_t batch_size = 8;  ///< pictures that the model computes at once; pictures of unequal size go one size at a time
  vit::DecodeOptions decode;                  ///< for every picture
  std::function<vit::Image(int64_t)> load{};  ///< see vit::ImageLoaderOptions
  int64_t window = 0;                         ///< pictures in flight at most; 0: two batches
};

/// The answer to one picture.
struct PictureAnswer {
  std::string path;
  std::string error;              ///< why there is no answer; empty when all is well
  const float* logits = nullptr;  ///< [K], valid during the call
};

struct PictureCounts {
  int64_t answered = 0, failed = 0;
};

/// Pulls pictures from `feed` until it ends and hands every answer to `answer`, in order, on the calling thread.
/// Errors: what `feed` and `answer` throw, what the model throws.
PictureCounts answer_pictures(const vit::Classifier& classifier, vit::ImageLoader::Feed feed,
                              const PictureOptions& options, const std::function<void(const PictureAnswer&)>& answer);

}  // namespace apps
