// PictureStore: a data set's decoded pictures, kept in memory as far as they fit, and which of them cannot be read.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "vit/image/image.h"
#include "vit/image/preprocess.h"

namespace datasets {

struct PictureStoreOptions {
  int64_t max_bytes = 0;     ///< of decoded pictures that are kept; 0: none
  int64_t shorter_side = 0;  ///< pictures whose shorter side is longer are scaled down to it first; 0: never
};

struct StoredPicture {
  vit::Image image;
  vit::Extent original;  ///< extents before it was scaled down
};

/// Thread-safe. Loads a picture when it is asked for, never before; what is returned does not depend on what is kept.
class PictureStore {
 public:
  /// `dataset` must outlive the store.
  PictureStore(const Dataset& dataset, const PictureStoreOptions& options);

  /// The picture, whose buffer is shared and must not be changed. One that could not be read is not tried again.
  /// Errors: it cannot be read; std::bad_alloc is passed on and not remembered.
  StoredPicture get(int64_t index);

  int64_t bytes_kept() const { return bytes_kept_.load(); }

 private:
  enum State : uint8_t { kUnknown, kStoring, kKept, kBad };
  StoredPicture load(int64_t index);
  void keep(int64_t index, const StoredPicture& picture);

  const Dataset& dataset_;
  PictureStoreOptions options_;
  std::vector<std::atomic<uint8_t>> states_;
  std::vector<std::unique_ptr<const StoredPicture>> pictures_;  // [i] is written by who set kStoring, read after kKept
  std::atomic<int64_t> bytes_kept_{0};
  std::mutex mutex_;
  std::map<int64_t, std::string> reasons_;  // of kBad
};

}  // namespace datasets
