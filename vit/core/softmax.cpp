#include "vit/core/softmax.h"

#include <algorithm>
#include <cmath>

namespace vit {

SoftmaxRow::SoftmaxRow(const float* logits, int64_t classes)
    : logits_(logits), largest_(*std::max_element(logits, logits + classes)) {
  for (int64_t k = 0; k < classes; ++k) total_ += std::exp(logits[k] - largest_);
}

double SoftmaxRow::probability(int64_t k) const { return std::exp(logits_[k] - largest_) / total_; }

double SoftmaxRow::log_probability(int64_t k) const { return logits_[k] - largest_ - std::log(total_); }

double softmax_probability(const float* logits, int64_t classes, int64_t index) {
  return SoftmaxRow(logits, classes).probability(index);
}

}  // namespace vit
