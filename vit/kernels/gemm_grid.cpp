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
  // Time in units of the products' own: how uneven the parts are, and what is read from beyond the caches. Every cut of
  // columns reads all rows of a once more; every cut of rows, and every block of rows that meets all panels (kRowBlock
  // in gemm.inl.h), reads all weights. So wide weights beside few rows are cut by columns, large maps by rows.
  constexpr double kReadCost = 8.0;  // multiply-adds in the time of one float
  constexpr double kRowBlock = 264.0;
  const double rows = static_cast<double>(m), cols = static_cast<double>(n);
  GemmGrid best;
  double best_cost = 1e30;
  for (int64_t row_parts = 1; row_parts <= std::min<int64_t>(tiles, threads); ++row_parts) {
    const int64_t panel_parts = std::min(panels, (threads + row_parts - 1) / row_parts);
    const int64_t units_per_part = ((tiles + row_parts - 1) / row_parts) * ((panels + panel_parts - 1) / panel_parts);
    const int64_t parts_per_thread = (row_parts * panel_parts + threads - 1) / threads;
    const double even = static_cast<double>(tiles * panels) / threads;
    const double reads =
        static_cast<double>(panel_parts) / cols + std::max(static_cast<double>(row_parts), rows / kRowBlock) / rows;
    const double cost = static_cast<double>(units_per_part * parts_per_thread) / even + kReadCost * reads;
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
