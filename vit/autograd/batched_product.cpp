#include "vit/autograd/batched_product.h"

#include <algorithm>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

/// Below so many multiply-adds in all one thread is faster than several.
constexpr int64_t kSmall = int64_t{1} << 17;

struct BatchedProduct {
  float* c;
  const MatrixBatch& a;
  const MatrixBatch& b;
  int64_t m, n, k;
  float scale;
  const kernels::KernelTable& table = kernels::kernels();

  int64_t count() const { return static_cast<int64_t>(a.offsets.size()); }
  float* c_of(int64_t i) const { return c + i * m * n; }
  const float* a_of(int64_t i) const { return a.data + a.offsets[static_cast<size_t>(i)]; }
  const float* b_of(int64_t i) const { return b.data + b.offsets[static_cast<size_t>(i)]; }
  int64_t threads() const { return count() * m * n * k < kSmall ? 1 : num_threads(); }

  /// Into how many parts each product is cut so that all threads have work.
  kernels::GemmGrid grid() const {
    if (threads() == 1 || count() >= 4 * threads()) return {};
    return kernels::gemm_grid(table, m, n, k, static_cast<int>(threads()));
  }
};

/// c = a^T b straight from what is stored: nothing is packed.
void product_of_transposed(const BatchedProduct& p) {
  const auto grid = p.grid();
  const auto run = [&](int64_t unit) {
    const int64_t i = unit / grid.parts();
    const auto part = kernels::gemm_part(p.table, grid, p.m, p.n, unit % grid.parts());
    p.table.gemm_transposed({.c = p.c_of(i),
                             .c_stride = p.n,
                             .a = p.a_of(i),
                             .a_stride = p.a.stride,
                             .b = p.b_of(i),
                             .b_stride = p.b.stride,
                             .n = p.n,
                             .k = p.k},
                            part);
    if (p.scale == 1.0f) return;
    const int64_t first = part.p0 * p.table.panel_width, last = std::min(p.n, part.p1 * p.table.panel_width);
    for (int64_t row = part.m0; row < part.m1; ++row) {
      float* c_row = p.c_of(i) + row * p.n;
      p.table.scale(c_row + first, c_row + first, p.scale, last - first);
    }
  };
  const int64_t units = p.count() * grid.parts();
  const int64_t parts = p.threads() == 1 ? 1 : units;
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(units, parts, part);
    for (int64_t unit = range.begin; unit < range.end; ++unit) run(unit);
  });
}

/// Packs panel `panel` of b_i [k, n] to the start of `packed`.
void pack_panel(const BatchedProduct& p, int64_t i, int64_t panel, float* packed) {
  const int64_t first = panel * p.table.panel_width, cols = std::min(p.table.panel_width, p.n - first);
  const int64_t n_stride = p.b.transposed ? p.b.stride : 1, k_stride = p.b.transposed ? 1 : p.b.stride;
  p.table.pack_b(packed, p.b_of(i) + first * n_stride, n_stride, k_stride, cols, p.k, 0, 1);
}

/// c's columns of panel `panel`, rows [m0, m1).
void multiply_panel(const BatchedProduct& p, int64_t i, int64_t panel, const float* packed, const float* gamma,
                    int64_t m0, int64_t m1) {
  const int64_t first = panel * p.table.panel_width, cols = std::min(p.table.panel_width, p.n - first);
  p.table.gemm({.c = p.c_of(i) + first,
                .c_stride = p.n,
                .a = p.a_of(i),
                .a_stride = p.a.stride,
                .b = packed,
                .n = cols,
                .k = p.k,
                .epilogue = {.gamma = gamma}},
               {m0, m1, 0, 1});
}

/// Many products, or many panels: each is packed where it is used, by the thread that uses it, into memory that stays
/// in its cache.
void product_by_panels(const BatchedProduct& p, const Memory& memory, const float* gamma) {
  const int64_t panels = kernels::panel_count(p.table, p.n), units = p.count() * panels;
  const int64_t parts = p.threads() == 1 ? 1 : std::min<int64_t>(units, 4 * p.threads());
  const int64_t size = p.table.panel_width * p.k;
  const Tensor packed = memory({parts, (size + 15) / 16 * 16});
  parallel_for(parts, [&](int64_t part) {
    float* panel_memory = packed.f32() + part * packed.size(1);
    const float* packed_b = nullptr;  // what lies there
    const Range range = part_range(units, parts, part);
    for (int64_t unit = range.begin; unit < range.end; ++unit) {
      const int64_t i = unit / panels, panel = unit % panels;
      if (panels > 1 || packed_b != p.b_of(i)) pack_panel(p, i, panel, panel_memory);
      packed_b = p.b_of(i);
      multiply_panel(p, i, panel, panel_memory, gamma, 0, p.m);
    }
  });
}

/// Few products with few panels each: b is packed once, in parallel, and rows are shared out.
void product_by_rows(const BatchedProduct& p, const Memory& memory, const float* gamma) {
  const int64_t panels = kernels::panel_count(p.table, p.n), size = kernels::packed_size(p.table, p.n, p.k);
  const Tensor packed = memory({p.count(), (size + 15) / 16 * 16});
  const int64_t n_stride = p.b.transposed ? p.b.stride : 1, k_stride = p.b.transposed ? 1 : p.b.stride;
  parallel_for(p.count() * panels, [&](int64_t unit) {
    const int64_t i = unit / panels, panel = unit % panels;
    p.table.pack_b(packed.f32() + i * packed.size(1), p.b_of(i), n_stride, k_stride, p.n, p.k, panel, panel + 1);
  });
  const auto grid = p.grid();
  parallel_for(p.count() * grid.parts(), [&](int64_t unit) {
    const int64_t i = unit / grid.parts();
    p.table.gemm({.c = p.c_of(i),
                  .c_stride = p.n,
                  .a = p.a_of(i),
                  .a_stride = p.a.stride,
                  .b = packed.f32() + i * packed.size(1),
                  .n = p.n,
                  .k = p.k,
                  .epilogue = {.gamma = gamma}},
                 kernels::gemm_part(p.table, grid, p.m, p.n, unit % grid.parts()));
  });
}

/// The matrices of `a` as they are meant, one after the other.
MatrixBatch turned(const Memory& memory, Tensor& owner, const MatrixBatch& a, int64_t m, int64_t k) {
  const auto count = static_cast<int64_t>(a.offsets.size());
  owner = memory({count, m, k});
  MatrixBatch result{.data = owner.f32(), .transposed = false, .stride = k};
  for (int64_t i = 0; i < count; ++i) result.offsets.push_back(i * m * k);
  parallel_for_range(count, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, m * k)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels::kernels().transpose(owner.f32() + i * m * k, k, a.data + a.offsets[static_cast<size_t>(i)], a.stride, k,
                                   m);
  });
  return result;
}

}  // namespace

void batched_product(const Memory& memory, float* c, const MatrixBatch& a, const MatrixBatch& b, int64_t m, int64_t n,
                     int64_t k, float scale) {
  if (a.transposed && b.transposed) {
    Tensor owner;
    return batched_product(memory, c, turned(memory, owner, a, m, k), b, m, n, k, scale);
  }
  const BatchedProduct product{c, a, b, m, n, k, scale};
  if (product.count() == 0 || m == 0 || n == 0) return;
  if (a.transposed) return product_of_transposed(product);
  Tensor gamma;
  if (scale != 1.0f) {
    gamma = memory({n});
    std::fill_n(gamma.f32(), n, scale);
  }
  const float* factors = gamma.defined() ? gamma.f32() : nullptr;
  const int64_t units = product.count() * kernels::panel_count(product.table, n);
  if (product.threads() == 1 || units >= 4 * product.threads())
    product_by_panels(product, memory, factors);
  else
    product_by_rows(product, memory, factors);
}

}  // namespace vit
