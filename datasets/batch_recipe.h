// BatchRecipe: what a loader's batches are made of, picture by picture: pictures with class numbers (loader.h) or with
// boxes (box_loader.h). The loader decides what is made when and on which thread, the recipe what it is.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "datasets/loader_store.h"
#include "vit/train/batch.h"

namespace datasets {

/// A batch that is wanted.
struct BatchOrder {
  int64_t epoch = 0, batch = 0;
  int64_t first_position = 0;      ///< of its first picture in the epoch
  std::vector<int64_t> indices{};  ///< of its pictures in the data set, [B]
};

/// A batch on its way.
class BatchInProgress {
 public:
  virtual ~BatchInProgress() = default;
  /// Makes the picture at position `b`. From any thread, each position once. Errors: vit::Error when the picture cannot
  /// be used.
  virtual void make(int64_t b) = 0;
  /// Once all are made: the batch of those at positions `made`, rising and at least one; the others could not be used.
  virtual void finish(const std::vector<int64_t>& made, vit::Batch& batch) = 0;
};

/// Immutable: any number of threads may use one.
class BatchRecipe {
 public:
  virtual ~BatchRecipe() = default;
  /// Pixels of one output, roughly: by them the loader divides the work.
  virtual int64_t pixels_per_picture() const = 0;
  /// What it makes depends on its seed and on `order` alone. The recipe, the order and the store outlive it.
  virtual std::unique_ptr<BatchInProgress> begin(const BatchOrder& order, PictureStore& store) const = 0;
};

}  // namespace datasets
