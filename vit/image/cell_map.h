// Values of a coarse grid (attention, gradients) on the pixels of the picture that they are about.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vit/core/tensor.h"
#include "vit/image/preprocess.h"

namespace vit {

/// The part of a grid that a picture covers, in cells from the grid's upper left corner. It may reach outside: what of
/// the picture lies there was cut off before the model.
struct CellWindow {
  double top = 0.0, left = 0.0;
  double rows = 0.0, columns = 0.0;
};

/// The window that a picture of `source` has on a grid over all that pre-processing makes of it.
CellWindow cell_window(const Preprocessor& preprocessor, const Extent& source, const Extent& grid);

/// cells f32 [rows, columns] -> f32 [size.height, size.width], bilinear between the cells' centres, beyond the outer
/// ones as they are, and 0 outside of the grid.
Tensor cells_on_picture(const Tensor& cells, const CellWindow& window, const Extent& size);

/// Each value of f32 [rows, columns] with its neighbours by a Gaussian with a deviation of one cell.
Tensor smoothed_cells(const Tensor& cells);

/// The points that a query's deformable attention chose: locations f32 [B, T, H, S, 2], shares of the input (x, y), and
/// weights [B, T, H * S] of the first sample -> f32 [grid.height, grid.width], each point's weight shared by the four
/// cells around it, mean over the heads [first, last).
Tensor cells_of_points(const Tensor& locations, const Tensor& weights, int64_t query,
                       const std::array<int64_t, 2>& heads, const Extent& grid);
/// The grid that points on an input of these pixels are gathered on: cells of 8 x 8 pixels.
Extent point_grid(const Extent& input);

/// Which of a model's layers of attention is looked at: the last where none is asked for. Errors (usage): no such one.
int64_t wanted_layer(const std::optional<int64_t>& layer, int64_t layers);
/// The heads that count, [first, last): all where none is asked for. Errors (usage): no such one.
std::array<int64_t, 2> wanted_heads(const std::optional<int64_t>& head, int64_t heads);

/// In place: over the largest value, 0 to 1; zeros where none is above 0.
void scale_to_largest(Tensor& values);

}  // namespace vit
