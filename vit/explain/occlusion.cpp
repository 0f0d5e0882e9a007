// Occlusion (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2): by how much
// the score falls where a grey square hides a part of the picture. Needs nothing of the model but its answers.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "vit/core/check.h"
#include "vit/explain/method.h"
#include "vit/explain/variants.h"

namespace vit {

namespace {

/// The square's side as a part of the picture's shorter one (32 of 224 pixels); it moves by half of its side.
constexpr int64_t kParts = 7;

/// Where squares of `side` begin along `extent` pixels, `stride` apart; the last one ends with the picture.
std::vector<int64_t> starts(int64_t extent, int64_t side, int64_t stride) {
  std::vector<int64_t> result;
  for (int64_t at = 0; at < extent - side; at += stride) result.push_back(at);
  result.push_back(extent - side);
  return result;
}

/// All squares, row by row.
struct Squares {
  explicit Squares(int64_t picture_height, int64_t picture_width)
      : height(picture_height), width(picture_width), side(std::max<int64_t>(1, std::min(height, width) / kParts)) {
    const int64_t stride = std::max<int64_t>(1, side / 2);
    rows = starts(height, side, stride);
    columns = starts(width, side, stride);
  }
  int64_t count() const { return static_cast<int64_t>(rows.size() * columns.size()); }

  /// Calls body(pixel) for each pixel of a square.
  template <class Body>
  void for_each_pixel(int64_t square, const Body& body) const {
    const auto per_row = static_cast<int64_t>(columns.size());
    const int64_t top = rows[static_cast<size_t>(square / per_row)];
    const int64_t left = columns[static_cast<size_t>(square % per_row)];
    for (int64_t y = top; y < top + side; ++y)
      for (int64_t x = left; x < left + side; ++x) body(y * width + x);
  }

  int64_t height, width, side;
  std::vector<int64_t> rows{}, columns{};
};

/// Each pixel: the mean fall of the score over the squares that hide it.
Tensor mean_falls(const Squares& squares, double whole, const std::vector<double>& scores) {
  const auto area = static_cast<size_t>(squares.height * squares.width);
  std::vector<double> sums(area, 0.0), counts(area, 0.0);
  for (int64_t square = 0; square < squares.count(); ++square)
    squares.for_each_pixel(square, [&](int64_t pixel) {
      sums[static_cast<size_t>(pixel)] += whole - scores[static_cast<size_t>(square)];
      counts[static_cast<size_t>(pixel)] += 1.0;
    });
  const Tensor map = Tensor::empty({squares.height, squares.width});
  for (size_t i = 0; i < area; ++i) map.f32()[i] = static_cast<float>(sums[i] / counts[i]);
  return map;
}

Explanation occlusion(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const Squares squares(pixels.size(2), pixels.size(3));
  const int64_t area = squares.height * squares.width;
  // The last copy is the picture as it is.
  std::vector<double> scores = score_variants(
      subject, pixels.shape(), squares.count() + 1, options.batch_size, [&](int64_t index, float* hidden) {
        std::copy_n(pixels.f32(), pixels.numel(), hidden);
        if (index == squares.count()) return;
        for (int64_t channel = 0; channel < pixels.size(1); ++channel)
          squares.for_each_pixel(index, [&](int64_t pixel) { hidden[channel * area + pixel] = 0.0f; });
      });
  const double whole = scores.back();
  scores.pop_back();
  Explanation result{.map = mean_falls(squares, whole, scores), .is_signed = true};
  result.notes.push_back(
      str(squares.count(), " grey squares of ", squares.side, " x ", squares.side, " pixels, one at a time"));
  return result;
}

VITKIT_REGISTER_METHOD("occlusion", .title = "Occlusion",
                       .summary = "how far the score falls where a grey square hides the picture",
                       .source = "Zeiler and Fergus 2014, arXiv 1311.2901", .explain = occlusion);

}  // namespace

}  // namespace vit
