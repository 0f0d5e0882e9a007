// Calibration: whether a classifier is right as often as it says. Source: Guo et al. 2017, "On calibration of modern
// neural networks", section 2.
#pragma once

#include <cstdint>
#include <vector>

namespace datasets {

/// Bins of equal width, as in the paper's experiments.
inline constexpr int64_t kCalibrationBins = 15;

/// Answers by their confidence, the largest softmax probability. Sums in f64, in the order of the calls.
class Calibration {
 public:
  /// Errors: bins below 1.
  explicit Calibration(int64_t bins = kCalibrationBins);
  /// One answer. Bin m (from 1 to M) holds confidences in ((m - 1) / M, m / M].
  /// Errors: a confidence outside [0, 1], or NaN.
  void add(double confidence, bool is_right);

  struct Bin {
    double from = 0.0, to = 0.0;  ///< its confidences
    int64_t count = 0;
    double confidence = 0.0, accuracy = 0.0;  ///< means; NaN of none
  };
  /// All bins, rising: the reliability diagram.
  std::vector<Bin> bins() const;

  int64_t count() const;
  /// Expected calibration error (equation 3): the bins' |accuracy - confidence|, weighted by their counts. NaN of none.
  double expected_error() const;
  /// Maximum calibration error (equation 5): the largest of them. NaN of none.
  double maximum_error() const;
  /// Mean confidence: above the accuracy of an overconfident model. NaN of none.
  double confidence() const;

 private:
  struct Sums {
    int64_t count = 0, right = 0;
    double confidence = 0.0;
  };
  std::vector<Sums> sums_;
};

}  // namespace datasets
