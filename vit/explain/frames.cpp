#include "vit/explain/frames.h"

#include <algorithm>

#include "vit/core/check.h"
#include "vit/models/clip_model.h"

namespace vit {

std::vector<double> frame_shares(const Tensor& map, int64_t frames) {
  check(map.defined() && map.rank() == 2 && map.dtype() == DType::f32 && frames >= 1,
        "frame_shares: expected a map f32 [rows, columns] and at least one frame, got ", frames, " frames");
  const int64_t rows = map.size(0), columns = map.size(1);
  const double each = static_cast<double>(rows) / static_cast<double>(frames);
  std::vector<double> shares(static_cast<size_t>(frames), 0.0);
  double total = 0.0;
  for (int64_t row = 0; row < rows; ++row) {
    double sum = 0.0;
    for (int64_t column = 0; column < columns; ++column)
      sum += std::max(0.0, static_cast<double>(map.f32()[row * columns + column]));
    total += sum;
    for (int64_t t = 0; t < frames; ++t) {
      const double from = std::max(static_cast<double>(row), static_cast<double>(t) * each);
      const double to = std::min(static_cast<double>(row + 1), static_cast<double>(t + 1) * each);
      shares[static_cast<size_t>(t)] += sum * std::max(0.0, to - from);
    }
  }
  for (double& share : shares) share = total > 0.0 ? share / total : 1.0 / static_cast<double>(frames);
  return shares;
}

int64_t frames_of(const Subject& subject) {
  const auto* clips = dynamic_cast<const ClipModel*>(&subject.model());
  return clips ? clips->frames() : 0;
}

FrameImportance frame_importance(const Subject& subject, const Tensor& clip, const std::string& method,
                                 const MethodOptions& options) {
  const int64_t frames = frames_of(subject);
  if (frames == 0) fail_usage(subject.model().info().name, " sees pictures, which have no frames to compare");
  FrameImportance importance;
  importance.explanation = explain(method, subject, clip, options);
  importance.shares = frame_shares(importance.explanation.map, frames);
  return importance;
}

}  // namespace vit
