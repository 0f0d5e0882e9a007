// Decodes and pre-processes pictures ahead of their consumer, on the toolkit's threads, within a bounded window and in
// order: the model works on one batch while the next one is being read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "vit/core/tensor.h"
#include "vit/image/decode.h"
#include "vit/image/preprocess.h"
#include "vit/media/source.h"

namespace vit {

struct LoadedImage {
  std::string path;
  std::string error;  ///< why there are no pixels; empty when all is well
  Tensor pixels;      ///< f32 [3, h, w] after pre-processing
  Extent size;        ///< of the decoded picture
};

struct ImageLoaderOptions {
  DecodeOptions decode;
  /// Pictures in flight at most: bounds the memory. Two batches is a good value. 1: nothing is asked of the feed before
  /// the picture is given, as live feeds want it.
  int64_t window = 16;
  /// How the item of that number (0 is the feed's first) becomes a picture, for feeds whose items are no files; called
  /// from many threads. Unset: load_image of the item's path.
  std::function<Image(int64_t)> load{};
};

/// One consumer calls next(); the destructor waits for work in flight. The preprocessor is copied.
class ImageLoader {
 public:
  /// Yields the next item to load, or false at the end; called on the consumer's thread only.
  using Feed = std::function<bool(SourceItem&)>;

  /// Errors: a window below 1.
  ImageLoader(Feed feed, const Preprocessor& preprocessor, const ImageLoaderOptions& options = {});
  /// `source` must outlive the loader.
  ImageLoader(ImageSource& source, const Preprocessor& preprocessor, const ImageLoaderOptions& options = {});
  ~ImageLoader();
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  /// The next picture in the order of the source; false at the end. A picture that no thread has begun is loaded by the
  /// caller, so one thread is enough. Errors: none for pictures (they are in the item); what the feed throws.
  bool next(LoadedImage& image);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
