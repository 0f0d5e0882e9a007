// In which order a map has a picture's pixels removed, and the curves of what a model says meanwhile: deletion and
// insertion (Petsiuk, Das and Saenko 2018, "RISE", section 4.1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/explain/subject.h"

namespace vit {

/// The place of each pixel in an order, most important first. Pixels go one by one, or by squares, all of a square's at
/// once: then fine and coarse maps are asked the same question. Equal values: in the order of reading.
class RemovalOrder {
 public:
  /// map f32 [rows, columns]; `square`: pixels along the side of what goes at once, by its mean value. Errors: as
  /// map_on_pixels; square below 1.
  RemovalOrder(const Tensor& map, int64_t height, int64_t width, int64_t square = 1);

  /// Of pixels, or of squares.
  int64_t units() const { return units_; }
  /// How many of them are `share` of all, rounded.
  int64_t units_of(double share) const;
  /// Whether a pixel (row * width + column) is among the first `count` units, and among the last.
  bool among_first(int64_t pixel, int64_t count) const { return ranks_[static_cast<size_t>(pixel)] < count; }
  bool among_last(int64_t pixel, int64_t count) const { return ranks_[static_cast<size_t>(pixel)] >= units_ - count; }

 private:
  int64_t units_ = 0;
  std::vector<int64_t> ranks_;  // [height * width]
};

/// What a model says while more and more of a picture changes.
struct RemovalCurve {
  std::vector<double> shares{};  ///< of the pixels that have changed, 0 to 1
  std::vector<double> scores{};
  double auc = 0.0;  ///< area under it, by trapezoids
};

/// Area under scores at these shares. Errors: fewer than two, or of different number.
double area_under(const std::vector<double>& shares, const std::vector<double>& scores);

struct RemovalCurves {
  RemovalCurve deletion{}, insertion{};
};

struct RemovalCurveOptions {
  int64_t steps = 28;  ///< of each curve; 2 * steps + 1 forward passes of one picture make both
  double blur = 0.1;   ///< sigma of the picture that insertion begins with, as a share of its longer side
  int64_t batch_size = 8;
};

/// Deletion: pixels become 0 (the mean colour of the normalisation), the most important first: low is good. Insertion:
/// a blurred picture becomes the picture: high is good. Blurred and not grey, because pixels on grey make edges that
/// are no picture's. Errors: steps below 1; as score_variants.
RemovalCurves removal_curves(const Subject& subject, const Tensor& pixels, const RemovalOrder& order,
                             const RemovalCurveOptions& options = {});

}  // namespace vit
