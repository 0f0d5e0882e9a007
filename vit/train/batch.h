// Batch and BatchSource: what training is fed with. The trainer pulls batches through this interface, and a data set's
// loader (datasets/) implements it: vit/train knows nothing of files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

/// The objects of one picture, as a detector is to find them.
struct BoxTargets {
  Tensor boxes;   ///< f32 [n, 4]: centre x, centre y, width, height, as shares of the picture (without its padding)
  Tensor labels;  ///< i64 [n]: class numbers
  int64_t size() const { return labels.defined() ? labels.size(0) : 0; }
};

/// One step's pictures and what they are.
struct Batch {
  Tensor images;        ///< f32 [B, channels, height, width], normalised
  Tensor targets;       ///< i64 [B], class numbers; or f32 [B, K], a distribution per picture (mixup, CutMix)
  Tensor pixel_mask{};  ///< i64 [B, height, width], 1: picture, 0: padding; undefined where nothing is padded
  int64_t index = -1;   ///< position in the epoch, from 0, where sources leave some out; -1: one after the last
  std::vector<BoxTargets> boxes{};  ///< of every picture, where a detector is trained; else empty
  /// One sentence about every picture, where a captioner is trained; else empty.
  std::vector<std::string> captions{};
  /// Number of every picture in its data set, where the source knows it; else empty. Pictures that cannot be read are
  /// missing from their batch, so that positions do not tell.
  std::vector<int64_t> pictures{};
  int64_t size() const { return images.defined() ? images.size(0) : 0; }
  /// The first `count` pictures, in shared memory.
  Batch first(int64_t count) const {
    Batch part{.images = images.slice(0, count), .targets = {}, .index = index};
    if (targets.defined()) part.targets = targets.slice(0, count);
    if (pixel_mask.defined()) part.pixel_mask = pixel_mask.slice(0, count);
    if (!boxes.empty()) part.boxes.assign(boxes.begin(), boxes.begin() + count);
    if (!captions.empty()) part.captions.assign(captions.begin(), captions.begin() + count);
    if (!pictures.empty()) part.pictures.assign(pictures.begin(), pictures.begin() + count);
    return part;
  }
};

/// Batches in an order that depends on the seed, the epoch and the position alone, never on threads or on time: a run
/// that stopped is continued by start(epoch, batch).
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Batches of one epoch; the last may be smaller unless the source drops it.
  virtual int64_t batches_per_epoch() const = 0;
  /// Goes to batch `first_batch` of `epoch`; what was read ahead is dropped.
  virtual void start(int64_t epoch, int64_t first_batch) = 0;
  /// The next batch; false at the end of the epoch. Errors: vit::Error when the data cannot be used any more.
  virtual bool next(Batch& batch) = 0;
  /// Seconds that next() has spent waiting for data since the object was made.
  virtual double seconds_waited() const = 0;
};

}  // namespace vit
