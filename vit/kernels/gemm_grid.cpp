// How a matrix product is cut into parts for threads. The bits of the result do not depend on it (see gemm.inl.h); only
// the time does.
#include <algorithm>

#include "vit/kernels/kernels.h"

namespace vit::kernels {
GemmGrid gemm_grid(const KernelTable& table, int64_t m, int64_t n, int64_t k, int threads) {
  const int64_t panels = std::max<int64_t>(panel_count(table, n), 1);
  const int64_t tiles = std::max<int64_t>((m + table.tile_rows - 1) / table.tile_rows, 1);
  // Below some 2^17 multiply-adds waking another thread costs more than it brings.
  if (threads <= 1 || m * n * k < (int64_t{1} << 17)) return {};
  // Whole panels per thread read every weight once, so columns are cut first. Too few panels to share evenly (three for
  // ViT-Ti's projection): rows are cut instead or as well, and several threads read the same, then small, weights.
  GemmGrid best;
  double best_cost = threads;
  for (int64_t row_parts = 1; row_parts <= std::min<int64_t>(tiles, threads); ++row_parts) {
    const int64_t panel_parts = std::min(panels, (threads + row_parts - 1) / row_parts);
    const int64_t units_per_part = ((tiles + row_parts - 1) / row_parts) * ((panels + panel_parts - 1) / panel_parts);
    const int64_t parts_per_thread = (row_parts * panel_parts + threads - 1) / threads;
    const double even = static_cast<double>(tiles * panels) / threads;
    // A cut of rows costs a little even when balanced: weights are read again.
    const double cost =
        static_cast<double>(units_per_part * parts_per_thread) / even + 0.01 * static_cast<double>(row_parts);
    if (cost < best_cost) {
      best_cost = cost;
      best = {row_parts, panel_parts};
    }
  }
  return best;
}

GemmPart gemm_part(const KernelTable& table, const GemmGrid& grid, int64_t m, int64_t n, int64_t index) {
  const int64_t panels = panel_count(table, n);
  const int64_t tiles = (m + table.tile_rows - 1) / table.tile_rows;
  const int64_t row = index % grid.row_parts, panel = index / grid.row_parts;
  return {std::min(m, tiles * row / grid.row_parts * table.tile_rows),
          std::min(m, tiles * (row + 1) / grid.row_parts * table.tile_rows), panels * panel / grid.panel_parts,
          panels * (panel + 1) / grid.panel_parts};
}

}  // namespace vit::kernels
