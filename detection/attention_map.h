// Where the query of a detection looked: the decoder's attention from the query to the picture (DETR: Carion et al.
// 2020, figure 6), the detection token's row in a plain transformer (YOLOS), or the points that deformable attention
// chose (Deformable DETR, RT-DETR). The model runs once more, and only the layer that is asked for pays.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "detection/postprocess.h"
#include "vit/image/image.h"

namespace vit {
class ClassLabels;
}

namespace detection {

class Detector;

struct AttentionMapOptions {
  std::optional<int64_t> layer{};  ///< of the decoder (YOLOS: block), counted from 0; none: the last
  std::optional<int64_t> head{};   ///< none: the mean over heads
};

/// How much a query took from where.
struct AttentionMap {
  /// f32 [grid_h, grid_w]: the share of its attention that each cell has. The sum is 1, or less where a query looked at
  /// something else as well: other tokens (YOLOS), or beyond the picture's edge.
  vit::Tensor cells;
  double rows = 0.0, columns = 0.0;  ///< cells that the picture covers, from the first on; the rest is padding
  bool sampled = false;              ///< points, which lie apart, and no dense attention
};

/// The layer that is looked at. Errors (usage): the model has no such layer.
int64_t require_attention(const DetectionModel& model, const AttentionMapOptions& options);

/// One map for each detection, in their order. `detections` are this picture's, from `detector`. Errors (usage): the
/// model has no such layer or head; its mechanism offers no attention.
std::vector<AttentionMap> attention_maps(const Detector& detector, const vit::Image& picture,
                                         const std::vector<Detection>& detections,
                                         const AttentionMapOptions& options = {});

/// A map on the pixels of a picture, bilinear between the cells' centres, over its largest value: f32 [height, width],
/// 0 to 1. Sampled points are widened by a Gaussian of a cell first.
vit::Tensor map_on_picture(const AttentionMap& map, vit::Extent size);

/// The picture with the map over it and the detection's box, label and score. Errors: an undefined picture.
vit::Image draw_attention(const vit::Image& picture, const AttentionMap& map, const Detection& detection,
                          const vit::ClassLabels& labels);

}  // namespace detection
