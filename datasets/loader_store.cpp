#include "datasets/loader_store.h"

#include <algorithm>
#include <new>
#include <utility>

#include "vit/core/check.h"
#include "vit/image/preprocess_steps.h"
#include "vit/image/resize.h"

namespace datasets {

namespace {

/// What a kept picture costs beside its pixels: the image, its tensor's owner, the allocator's alignment.
constexpr int64_t kOverheadBytes = 320;

vit::Image scaled_down(const vit::Image& image, int64_t shorter_side) {
  if (shorter_side <= 0 || std::min(image.height(), image.width()) <= shorter_side) return image;
  const vit::Extent to =
      vit::detail::extent_after(vit::ResizeShortest{.size = shorter_side}, {image.height(), image.width()});
  return vit::resize(image, {.height = to.height, .width = to.width, .filter = vit::Filter::kBicubic});
}

}  // namespace

PictureStore::PictureStore(const Dataset& dataset, const PictureStoreOptions& options)
    : dataset_(dataset), options_(options), states_(static_cast<size_t>(dataset.size())) {
  if (options_.max_bytes > 0) pictures_.resize(states_.size());
}

StoredPicture PictureStore::get(int64_t index) {
  const uint8_t state = states_[static_cast<size_t>(index)].load(std::memory_order_acquire);
  if (state == kKept) return *pictures_[static_cast<size_t>(index)];
  if (state == kBad) {
    const std::lock_guard lock(mutex_);
    vit::fail(reasons_.at(index));
  }
  StoredPicture picture = load(index);
  keep(index, picture);
  return picture;
}

StoredPicture PictureStore::load(int64_t index) {
  std::string reason;
  try {
    const vit::Image image = dataset_.load(index);
    return {scaled_down(image, options_.shorter_side), {image.height(), image.width()}};
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    reason = error.what();
  }
  // The reports say which picture it is; the reason need not say so again.
  const std::string place = dataset_.source(index) + ": ";
  if (reason.starts_with(place)) reason.erase(0, place.size());
  {
    const std::lock_guard lock(mutex_);
    reasons_.emplace(index, reason);
  }
  states_[static_cast<size_t>(index)].store(kBad, std::memory_order_release);
  vit::fail(reason);
}

void PictureStore::keep(int64_t index, const StoredPicture& picture) {
  if (options_.max_bytes <= 0) return;
  const int64_t bytes = picture.image.pixels.nbytes() + kOverheadBytes;
  if (bytes_kept_.fetch_add(bytes) + bytes > options_.max_bytes) {
    bytes_kept_.fetch_sub(bytes);
    return;
  }
  uint8_t expected = kUnknown;
  if (!states_[static_cast<size_t>(index)].compare_exchange_strong(expected, kStoring)) {
    bytes_kept_.fetch_sub(bytes);  // another thread was first
    return;
  }
  pictures_[static_cast<size_t>(index)] = std::make_unique<const StoredPicture>(picture);
  states_[static_cast<size_t>(index)].store(kKept, std::memory_order_release);
}

}  // namespace datasets
