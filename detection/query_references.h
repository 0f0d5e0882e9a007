// Reference points and boxes: where the queries of deformable detectors look from, and what they refine.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/nn/attention.h"

namespace detection {

/// log(x / (1 - x)) with x and 1 - x at least `eps`, elementwise (transformers' inverse_sigmoid).
vit::Tensor inverse_sigmoid(const vit::Tensor& x, float eps = 1e-5f);

/// sigmoid(delta + start): boxes from what a head adds to references before their sigmoid (Zhu et al. 2021, "Deformable
/// DETR", section A.3). delta [B, Q, 4]; start [B, Q, 4], or [B, Q, 2], which only centres are added to -> [B, Q, 4].
vit::Var refine_boxes(vit::Context& ctx, const vit::Var& delta, const vit::Var& start);

/// Shares of each map that belong to the picture, from the mask of its pixels sampled at each map's cells, as torch's
/// nearest interpolation takes them. mask i64 [B, height, width] -> f32 [B, L, 2]: width, height.
vit::Tensor valid_ratios(const vit::Tensor& pixel_mask, const std::vector<vit::Grid>& grids);

/// The mask of a map's cells: mask i64 [B, height, width] -> boolean [B, grid.height * grid.width], true: picture.
vit::Tensor cell_mask(const vit::Tensor& pixel_mask, const vit::Grid& grid);

/// Each reference in every map: [B, Q, 2 or 4] times ratios [B, L, 2] (undefined: ones) -> [B, Q, L, 2 or 4].
vit::Var spread_references(vit::Context& ctx, const vit::Var& reference, const vit::Tensor& ratios, int64_t levels);

/// Proposals, one per cell of every map, before a sigmoid: the cell's centre as a share of the picture, and a side of
/// 0.05, doubled from map to map (Zhu et al. 2021, section A.4). `ratios` as of valid_ratios, undefined: ones.
struct Proposals {
  vit::Tensor boxes;  ///< f32 [B or 1, M, 4]; the largest float, a share of 1, where the proposal is not valid
  vit::Tensor valid;  ///< f32 [B or 1, M, 1]: 1 where all four numbers lie within (0.01, 0.99), else 0
};
Proposals cell_proposals(const std::vector<vit::Grid>& grids, const vit::Tensor& pixel_mask);

/// The `count` best of each row by score, best first; equals by position, NaN last: scores f32 [B, M] -> i64 [B,
/// count]. Errors: fewer scores than count.
vit::Tensor best_rows(const vit::Tensor& scores, int64_t count);

/// One tensor of what every level has, for observers: [B, Q, *] each -> [B, L, Q, *].
vit::Tensor stack_levels(vit::Context& ctx, const std::vector<vit::Tensor>& levels);

/// Maps one after the other as tokens: [B, h, w, C] each -> [B, M, C].
vit::Var flatten_maps(vit::Context& ctx, const std::vector<vit::Var>& maps);
std::vector<vit::Grid> grids_of(const std::vector<vit::Var>& maps);

}  // namespace detection
