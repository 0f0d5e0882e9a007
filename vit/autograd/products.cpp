#include "vit/autograd/products.h"

#include <cstring>

#include "vit/autograd/op_support.h"
#include "vit/kernels/kernels.h"

namespace vit {

void weight_gradient(Tape& tape, const float* d_y, int64_t d_y_stride, const float* x, float* d_weight, int64_t m,
                     int64_t n, int64_t k, bool accumulate) {
  const auto& table = kernels::kernels();
  const kernels::GemmTransposedArgs args{.c = d_weight,
                                         .c_stride = k,
                                         .a = d_y,
                                         .a_stride = d_y_stride,
                                         .b = x,
                                         .b_stride = k,
                                         .n = k,
                                         .k = m,
                                         .accumulate = accumulate};
  const auto grid = kernels::gemm_grid(table, n, k, m, num_threads());
  parallel_for(grid.parts(),
               [&](int64_t part) { table.gemm_transposed(args, kernels::gemm_part(table, grid, n, k, part)); });
  tape.report_product("weight gradient", static_cast<double>(n), static_cast<double>(k), static_cast<double>(m));
}

Tensor pack_for_input_gradient(Tape& tape, const Tensor& weight, const float* gamma, int64_t n, int64_t k) {
  const auto& table = kernels::kernels();
  Tensor scaled = weight;
  if (gamma) {
    scaled = tape.empty({n, k});
    for (int64_t i = 0; i < n; ++i) table.scale(scaled.f32() + i * k, weight.f32() + i * k, gamma[i], k);
  }
  Tensor packed = tape.empty({kernels::packed_size(table, k, n)});
  parallel_for(kernels::panel_count(table, k),
               [&](int64_t panel) { table.pack_b(packed.f32(), scaled.f32(), 1, k, k, n, panel, panel + 1); });
  return packed;
}

void input_gradient(Tape& tape, const float* d_y, const Tensor& weight, const float* gamma, float* d_x, int64_t m,
                    int64_t n, int64_t k) {
  const auto& table = kernels::kernels();
  const Tensor packed = pack_for_input_gradient(tape, weight, gamma, n, k);
  const kernels::GemmArgs args{
      .c = d_x, .c_stride = k, .a = d_y, .a_stride = n, .b = packed.f32(), .n = k, .k = n, .epilogue = {}};
  const auto grid = kernels::gemm_grid(table, m, k, n, num_threads());
  parallel_for(grid.parts(), [&](int64_t part) { table.gemm(args, kernels::gemm_part(table, grid, m, k, part)); });
  tape.report_product("input gradient", static_cast<double>(m), static_cast<double>(k), static_cast<double>(n));
}

Tensor column_sums(Tape& tape, const Tensor& x, int64_t rows, int64_t cols) {
  const auto& table = kernels::kernels();
  const int64_t parts = gradient_parts(rows);
  const Tensor partial = tape.empty({parts, cols});
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(rows, parts, part);
    table.sum_rows(partial.f32() + part * cols, x.f32() + range.begin * cols, cols, range.end - range.begin, cols,
                   false);
  });
  Tensor sums = tape.empty({cols});
  table.sum_rows(sums.f32(), partial.f32(), cols, parts, cols, false);
  return sums;
}

}  // namespace vit
