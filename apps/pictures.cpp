#include "apps/pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

namespace apps {

namespace {

bool all_finite(const float* values, int64_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

/// Items waiting for the model, in order; those with an error wait with the others for their turn.
class Batch {
 public:
  Batch(const vit::Classifier& classifier, const PictureOptions& options,
        const std::function<void(const PictureAnswer&)>& answer)
      : classifier_(classifier), options_(options), answer_(answer) {}

  /// Answers what was waiting before where `image` does not fit to it, or everything where it completes a batch.
  void add(vit::LoadedImage image) {
    const bool readable = image.error.empty();
    if (readable && pictures_ > 0 && !(image.pixels.shape() == shape_)) flush();
    if (readable) shape_ = image.pixels.shape();
    pictures_ += readable ? 1 : 0;
    items_.push_back(std::move(image));
    // Unreadable items alone wait for nothing; behind pictures their number is bounded.
    const bool full =
        pictures_ == options_.batch_size || static_cast<int64_t>(items_.size()) >= 4 * options_.batch_size;
    if (full || pictures_ == 0) flush();
  }

  void flush() {
    vit::Tensor logits;
    std::string failure;
    if (pictures_ > 0) {
      try {
        logits = classifier_.logits(collate());
      } catch (const vit::Error& error) {
        failure = error.what();  // these pictures have no answer; the next batch may
      }
    }
    int64_t row = 0;
    for (const vit::LoadedImage& item : items_) {
      std::string error = item.error.empty() ? failure : item.error;
      const float* answer = error.empty() ? logits.f32() + logits.size(1) * row++ : nullptr;
      if (answer && !all_finite(answer, logits.size(1))) {
        answer = nullptr;
        error = "the model's output is not finite";
      }
      (answer ? counts_.answered : counts_.failed) += 1;
      answer_({item.path, error, answer});
    }
    items_.clear();
    pictures_ = 0;
  }

  const PictureCounts& counts() const { return counts_; }

 private:
  /// The waiting pictures as [B, 3, height, width].
  vit::Tensor collate() {
    const vit::Tensor pixels = vit::Tensor::empty({pictures_, shape_[0], shape_[1], shape_[2]});
    float* next = pixels.f32();
    for (vit::LoadedImage& item : items_) {
      if (!item.error.empty()) continue;
      std::memcpy(next, item.pixels.f32(), static_cast<size_t>(item.pixels.nbytes()));
      next += item.pixels.numel();
      item.pixels = {};  // the loader's window counts pictures in flight, not those that were delivered
    }
    return pixels;
  }

  const vit::Classifier& classifier_;
  const PictureOptions& options_;
  const std::function<void(const PictureAnswer&)>& answer_;
  std::vector<vit::LoadedImage> items_;
  vit::Shape shape_;
  int64_t pictures_ = 0;
  PictureCounts counts_;
};

}  // namespace

PictureCounts answer_pictures(const vit::Classifier& classifier, vit::ImageLoader::Feed feed,
                              const PictureOptions& options, const std::function<void(const PictureAnswer&)>& answer) {
  // Two batches ahead: one that is ready when the model is, and one in work.
  const int64_t window = options.window > 0 ? options.window : 2 * options.batch_size + 2;
  const vit::ImageLoaderOptions loading{.decode = options.decode, .window = window, .load = options.load};
  vit::ImageLoader loader(std::move(feed), classifier.preprocessor(), loading);
  Batch batch(classifier, options, answer);
  vit::LoadedImage image;
  while (loader.next(image)) batch.add(std::move(image));
  batch.flush();
  return batch.counts();
}

}  // namespace apps
