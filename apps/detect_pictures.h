// A detector over all pictures of a data set: decoding in parallel, in small batches, answers in order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "detection/detector.h"

namespace datasets {
class BoxDataset;
}
namespace detection {
struct ClassPairs;
}

namespace apps {

struct CommonOptions;

struct PictureDetections {
  int64_t index = 0;  ///< of the picture
  std::vector<detection::Detection> found{};
  std::string error{};  ///< why there are none; empty when all is well
};

/// Hands the answer of every picture to `answer`, on the calling thread. Where the model's pre-processing gives every
/// picture one size, up to `batch_size` (and kMaxDetectorBatch) go at once; else each by itself, so that no answer
/// depends on a neighbour's padding. Errors: what `answer` throws; a picture that cannot be read, or that the model
/// refuses, is an answer.
void detect_pictures(const detection::Detector& detector, const datasets::Dataset& data, int64_t batch_size,
                     const detection::PostprocessOptions& post, const std::function<void(PictureDetections)>& answer);
inline constexpr int64_t kMaxDetectorBatch = 4;

/// Warns of classes of the data that the model does not know.
void note_unknown_classes(const CommonOptions& common, const detection::ClassPairs& pairs,
                          const datasets::BoxDataset& data);

}  // namespace apps
