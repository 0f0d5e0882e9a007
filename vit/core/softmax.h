// The softmax of one row of logits, in double precision: what is reported of an answer. Layers of models use kernels.
#pragma once

#include <cstdint>

namespace vit {

/// Reads a row once; then each class costs one exponential. The row must outlive the object.
class SoftmaxRow {
 public:
  /// `logits`: [classes], at least one. A NaN among them makes every probability NaN or wrong: look for it before.
  SoftmaxRow(const float* logits, int64_t classes);

  /// exp(z_k) / sum_i exp(z_i), computed from z - max z, so that it is finite for any finite logits.
  double probability(int64_t k) const;
  /// Its logarithm, which stays finite where the probability is too small for a double.
  double log_probability(int64_t k) const;

 private:
  const float* logits_;
  double largest_ = 0.0, total_ = 0.0;
};

/// The probability of one class of a row of logits [classes].
double softmax_probability(const float* logits, int64_t classes, int64_t index);

}  // namespace vit
