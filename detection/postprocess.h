// From a detector's outputs to detections, exactly as the original libraries do it.
#pragma once

#include <cstdint>
#include <vector>

#include "detection/model.h"
#include "vit/image/boxes.h"
#include "vit/image/pixel_batch.h"

namespace detection {

/// One object that was found.
struct Detection {
  int64_t index = 0;   ///< class number
  double score = 0.0;  ///< 0 to 1
  vit::Corners box{};  ///< pixels of the picture
  int64_t query = 0;   ///< which of the model's queries found it
};

struct PostprocessOptions {
  double threshold = 0.5;  ///< only scores above it
  int64_t max_det = 0;     ///< at most so many per picture, the best; 0: as many as the original gives
};

/// logits and boxes of one picture (row `b` of a level), scaled to `size`. softmax (transformers
/// DetrImageProcessor.post_process_object_detection): the best class of each query but "no object", in the order of
/// queries. sigmoid (DeformableDetr, RTDetr): the best `top_k` pairs of query and class, by descending score. The order
/// is the original's; see sort_by_score(). Errors: an output is not finite.
std::vector<Detection> postprocess(const vit::Tensor& logits, const vit::Tensor& boxes, int64_t b, Scoring scoring,
                                   int64_t top_k, vit::Extent size, const PostprocessOptions& options);

/// Best first; equal scores stay in their order.
void sort_by_score(std::vector<Detection>& detections);

}  // namespace detection
