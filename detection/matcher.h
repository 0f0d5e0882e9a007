// Which query is to find which object: the assignment of least total cost (Carion et al. 2020, "DETR", section 3.1).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "detection/model.h"

namespace detection {

/// (row, column) pairs of an assignment, by ascending row; of queries and targets in a detector's.
using Matches = std::vector<std::pair<int64_t, int64_t>>;

/// The assignment of least total cost: cost [rows, columns] row-major -> min(rows, columns) pairs, every row and column
/// at most once. Shortest augmenting paths (Jonker & Volgenant 1987, in the rectangular form of Crouse 2016, "On
/// implementing 2D rectangular assignment algorithms"): exact, O(min^2 max). Among equal assignments the choice is
/// that of scipy.optimize.linear_sum_assignment. Errors: a cost is not finite; another number of costs.
Matches assign(std::span<const double> cost, int64_t rows, int64_t columns);

/// What a match costs.
struct MatchCosts {
  double cost_class = 1.0;
  double cost_bbox = 5.0;
  double cost_giou = 2.0;
  double alpha = 0.25;  ///< sigmoid: of the focal cost
  double gamma = 2.0;   ///< sigmoid: of the focal cost
};

/// Queries and targets of one picture: logits [Q, K or K + 1] and boxes [Q, 4] at the pointers. The cost of a pair is
/// cost_class times the class's, plus cost_bbox times the L1 distance of the boxes (centre, size), minus cost_giou
/// times their generalised IoU. The class's cost is -probability (softmax: HungarianMatcher of DETR), or the
/// difference of the focal loss as that class and as background (sigmoid: DeformableDetrHungarianMatcher and
/// RTDetrHungarianMatcher of transformers). Errors: a cost is not finite; `labels` outside [0, classes).
Matches match_queries(const float* logits, const float* boxes, int64_t queries, int64_t classes, Scoring scoring,
                      const vit::BoxTargets& targets, const MatchCosts& costs);

}  // namespace detection
