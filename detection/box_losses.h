// Losses of detectors: of boxes that are matched to targets, and of classes where the background outnumbers the
// objects. Each op has its gradient; they are sums divided by `divisor`, which is the number of targets (see
// set_criterion.h).
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace detection {

/// Rows of a tensor of boxes, and the boxes that they are to be.
struct BoxPairs {
  std::vector<int64_t> rows;  ///< n rows
  vit::Tensor targets;        ///< f32 [n, 4]: centre x, centre y, width, height; may be undefined where n = 0
  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

/// Sum of |boxes[rows] - targets| over the pairs and the four numbers, / divisor: boxes [R, 4] -> [1]. The gradient of
/// |0| is 0. Errors: shapes do not match, a row outside [0, R).
vit::Var box_l1_loss(vit::Context& ctx, const vit::Var& boxes, const BoxPairs& pairs, double divisor);

/// Sum of 1 - generalised IoU (Rezatofighi et al. 2019, algorithm 1) over the pairs, / divisor: boxes [R, 4] (centre,
/// size) -> [1]. Where edges coincide, each of the two gets half of a maximum's gradient, as torch.max has it; beyond a
/// clamp at zero there is none. A pair of boxes without area counts 1 and has no gradient. Errors: as box_l1_loss.
vit::Var box_giou_loss(vit::Context& ctx, const vit::Var& boxes, const BoxPairs& pairs, double divisor);

/// IoU of each pair, 0 to 1.
std::vector<double> pair_ious(const vit::Tensor& boxes, const BoxPairs& pairs);

struct FocalOptions {
  double alpha = 0.25;  ///< weight of objects, 1 - alpha that of the background; below 0: both weigh 1
  double gamma = 2.0;   ///< exponent that plays down what is known already
};

/// Sigmoid focal loss (Lin et al. 2017, eq. 5) over all classes for themselves, summed, / divisor: logits [R, K],
/// labels i64 [R] (-1: background) -> [1]. Errors: shapes do not match, a label outside [-1, K).
vit::Var sigmoid_focal_loss(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels,
                            const FocalOptions& options, double divisor);

/// Varifocal loss (Zhang et al. 2021, "VarifocalNet", eq. 2, in RT-DETR's form): the target of a row's class is its
/// `quality` (f32 [R], 0 to 1: the IoU of its box), of every other class 0; cross-entropy weighted by the quality, or
/// by alpha p^gamma for the background, where neither weight has a gradient. Summed, / divisor: logits [R, K], labels
/// i64 [R] (-1: background) -> [1]. Errors: as sigmoid_focal_loss.
vit::Var varifocal_loss(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels,
                        const vit::Tensor& quality, const FocalOptions& options, double divisor);

}  // namespace detection
