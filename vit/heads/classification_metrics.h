// Accuracy and loss of a classifier over a dataset.
#pragma once

#include <cstdint>

namespace vit {

/// Collects one picture after another. The sums are in f64 and in the order of the calls: the same order, the same
/// bits.
class ClassificationMetrics {
 public:
  /// logits [classes] and the true class. Errors: `target` out of range.
  void add(const float* logits, int64_t classes, int64_t target);

  int64_t count() const { return count_; }
  /// Share of pictures whose true class has the largest logit; of equal logits the lower index is first. NaN of none.
  double top1() const { return share(top1_); }
  /// Share of pictures whose true class is among the five largest logits (all of them where there are fewer classes).
  double top5() const { return share(top5_); }
  /// Mean cross-entropy, in nats: torch.nn.functional.cross_entropy.
  double loss() const { return share(loss_); }

 private:
  double share(double sum) const;
  int64_t count_ = 0;
  double top1_ = 0.0, top5_ = 0.0, loss_ = 0.0;
};

}  // namespace vit
