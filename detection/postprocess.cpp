#include "detection/postprocess.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace detection {

namespace {

using vit::check;

/// The box of a query in pixels, by the float32 operations of transformers' center_to_corners_format.
vit::Corners corners_in_pixels(const float* box, vit::Extent size) {
  const float half_w = 0.5f * box[2], half_h = 0.5f * box[3];
  const auto width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  return {(box[0] - half_w) * width, (box[1] - half_h) * height, (box[0] + half_w) * width, (box[1] + half_h) * height};
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// The best class of a query but the last, "no object", and its share of the softmax over all.
Detection best_class(const float* logits, int64_t classes) {
  const float* best = std::max_element(logits, logits + classes - 1);
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0.0;
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(logits[k] - largest);
  return {.index = best - logits, .score = std::exp(*best - largest) / sum};
}

std::vector<Detection> by_softmax(const float* logits, int64_t queries, int64_t classes) {
  std::vector<Detection> found;
  for (int64_t q = 0; q < queries; ++q) {
    found.push_back(best_class(logits + q * classes, classes));
    found.back().query = q;
  }
  return found;
}

/// The best pairs of query and class, in falling order; equal ones in the order of their places.
std::vector<Detection> by_sigmoid(const float* logits, int64_t queries, int64_t classes, int64_t top_k) {
  std::vector<int64_t> order(static_cast<size_t>(queries * classes));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto wanted = order.begin() + std::clamp<int64_t>(top_k, 0, queries * classes);
  std::partial_sort(order.begin(), wanted, order.end(),
                    [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  std::vector<Detection> found;
  for (auto pair = order.begin(); pair != wanted; ++pair)
    found.push_back({.index = *pair % classes, .score = sigmoid(logits[*pair]), .query = *pair / classes});
  return found;
}

/// Leaves the `count` best, in the order in which they are.
void keep_best(std::vector<Detection>& found, int64_t count) {
  if (count <= 0 || static_cast<int64_t>(found.size()) <= count) return;
  std::vector<size_t> order(found.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return found[a].score > found[b].score; });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  std::vector<Detection> kept;
  for (const size_t i : order) kept.push_back(found[i]);
  found = std::move(kept);
}

}  // namespace

std::vector<Detection> postprocess(const vit::Tensor& logits, const vit::Tensor& boxes, int64_t b, Scoring scoring,
                                   int64_t top_k, vit::Extent size, const PostprocessOptions& options) {
  check(logits.rank() == 3 && boxes.shape() == vit::Shape({logits.size(0), logits.size(1), 4}),
        "postprocess: logits must be [B, Q, K] and boxes [B, Q, 4], got ", logits.shape(), " and ", boxes.shape());
  check(b >= 0 && b < logits.size(0), "postprocess: there is no picture ", b, " in a batch of ", logits.size(0));
  const int64_t queries = logits.size(1), classes = logits.size(2);
  check(scoring == Scoring::sigmoid || classes >= 2, "postprocess: softmax needs a class beside \"no object\"");
  const float *logits_b = logits.f32() + b * queries * classes, *boxes_b = boxes.f32() + b * queries * 4;
  const auto finite = [](float value) { return std::isfinite(value); };
  check(std::all_of(logits_b, logits_b + queries * classes, finite) &&
            std::all_of(boxes_b, boxes_b + queries * 4, finite),
        "the detector's output is not finite");
  std::vector<Detection> found = scoring == Scoring::softmax ? by_softmax(logits_b, queries, classes)
                                                             : by_sigmoid(logits_b, queries, classes, top_k);
  std::erase_if(found, [&](const Detection& d) { return !(d.score > options.threshold); });
  keep_best(found, options.max_det);
  for (Detection& d : found) d.box = corners_in_pixels(boxes_b + d.query * 4, size);
  return found;
}

void sort_by_score(std::vector<Detection>& detections) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
}

}  // namespace detection
