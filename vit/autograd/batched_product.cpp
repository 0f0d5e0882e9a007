#include "vit/autograd/batched_product.h"

#include <algorithm>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

/// Below so many multiply-adds in all one thread is faster than several.
constexpr int64_t kSmall = int64_t{1} << 17;
/// Floats of a right factor that are packed at a time where they are used: they stay in the second-level cache, with
/// room for what they are multiplied with.
constexpr int64_t kGroupFloats = 32768;
/// A left factor that is larger is read in blocks, with all of the right one packed before.
constexpr int64_t kLeftFloats = 131072;
/// Floats that are packed at most before they are used.
constexpr int64_t kPackedFloats = int64_t{1} << 22;

constexpr int64_t whole_lines(int64_t floats) { return (floats + 15) / 16 * 16; }

struct BatchedProduct {
  float* c;
  const MatrixBatch& a;
  const MatrixBatch& b;
  int64_t m, n, k;
  const float* gamma = nullptr;  ///< [n], each scale; null: 1
  float scale = 1.0f;
  const kernels::KernelTable& table = kernels::kernels();

  int64_t count() const { return static_cast<int64_t>(a.offsets.size()); }
  int64_t panels() const { return kernels::panel_count(table, n); }
  float* c_of(int64_t i) const { return c + i * m * n; }
  const float* a_of(int64_t i) const { return a.data + a.offsets[static_cast<size_t>(i)]; }
  const float* b_of(int64_t i) const { return b.data + b.offsets[static_cast<size_t>(i)]; }
  int64_t b_n_stride() const { return b.transposed ? b.stride : 1; }
  int64_t b_k_stride() const { return b.transposed ? 1 : b.stride; }
  int64_t threads() const { return count() * m * n * k < kSmall ? 1 : num_threads(); }

  /// Into how many parts each of `products` is cut so that all threads have work.
  kernels::GemmGrid grid(int64_t products) const {
    if (threads() == 1 || products >= 4 * threads()) return {};
    return kernels::gemm_grid(table, m, n, k, static_cast<int>(threads()));
  }

  /// Columns from `first` on of product i, `packed` holding that many of b; `part` counts panels from there.
  void multiply(int64_t i, int64_t first, int64_t cols, const float* packed, const kernels::GemmPart& part) const {
    table.gemm({.c = c_of(i) + first,
                .c_stride = n,
                .a = a_of(i),
                .a_stride = a.stride,
                .b = packed,
                .n = cols,
                .k = k,
                .epilogue = {.gamma = gamma}},
               part);
  }

  /// body(unit) for all units, each thread's in order.
  template <class Body>
  void for_units(int64_t units, const Body& body) const {
    parallel_for(threads() == 1 ? 1 : units, [&](int64_t part) {
      const Range range = part_range(units, threads() == 1 ? 1 : units, part);
      for (int64_t unit = range.begin; unit < range.end; ++unit) body(unit);
    });
  }
};

/// c = a^T b straight from what is stored: nothing is packed.
void product_of_transposed(const BatchedProduct& p) {
  const auto grid = p.grid(p.count());
  p.for_units(p.count() * grid.parts(), [&](int64_t unit) {
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
  });
}

/// Many products, or wide ones: a group of panels is packed where it is used, by the thread that uses it, into memory
/// that stays in its cache.
void product_by_groups(const BatchedProduct& p, const Memory& memory, int64_t group) {
  const int64_t width = group * p.table.panel_width, groups = (p.n + width - 1) / width, units = p.count() * groups;
  const int64_t parts = p.threads() == 1 ? 1 : std::min<int64_t>(units, 4 * p.threads());
  const Tensor memory_of_parts = memory({parts, whole_lines(width * p.k)});
  parallel_for(parts, [&](int64_t part) {
    float* packed = memory_of_parts.f32() + part * memory_of_parts.size(1);
    const float* held = nullptr;  // what is packed there
    const Range range = part_range(units, parts, part);
    for (int64_t unit = range.begin; unit < range.end; ++unit) {
      const int64_t i = unit / groups, first = unit % groups * width, cols = std::min(width, p.n - first);
      const int64_t panels = kernels::panel_count(p.table, cols);
      const float* source = p.b_of(i) + first * p.b_n_stride();
      if (source != held) p.table.pack_b(packed, source, p.b_n_stride(), p.b_k_stride(), cols, p.k, 0, panels);
      held = source;
      p.multiply(i, first, cols, packed, {0, p.m, 0, panels});
    }
  });
}

/// Few or large products: the right factors are packed first, by all threads, and each product is shared out.
void product_by_parts(const BatchedProduct& p, const Memory& memory) {
  const int64_t size = whole_lines(kernels::packed_size(p.table, p.n, p.k)), panels = p.panels();
  const int64_t at_once = std::clamp<int64_t>(kPackedFloats / std::max<int64_t>(1, size), 1, p.count());
  const Tensor packed = memory({at_once, size});
  for (int64_t first = 0; first < p.count(); first += at_once) {
    const int64_t products = std::min(at_once, p.count() - first);
    const auto packed_of = [&](int64_t i) { return packed.f32() + (i - first) * size; };
    p.for_units(products * panels, [&](int64_t unit) {
      const int64_t i = first + unit / panels, panel = unit % panels;
      p.table.pack_b(packed_of(i), p.b_of(i), p.b_n_stride(), p.b_k_stride(), p.n, p.k, panel, panel + 1);
    });
    const auto grid = p.grid(products);
    p.for_units(products * grid.parts(), [&](int64_t unit) {
      const int64_t i = first + unit / grid.parts();
      p.multiply(i, 0, p.n, packed_of(i), kernels::gemm_part(p.table, grid, p.m, p.n, unit % grid.parts()));
    });
  }
}

/// Products with a vector on one side, whose elements lie one after the other: nothing is packed. `rows` rows of
/// `matrix` times `vector`.
void product_with_vector(const BatchedProduct& p, const MatrixBatch& matrix, int64_t rows, const MatrixBatch& vector) {
  const int64_t grain = std::max<int64_t>(1, kSmall / std::max<int64_t>(1, p.k));
  const int64_t pieces = (rows + grain - 1) / grain;
  p.for_units(p.count() * pieces, [&](int64_t unit) {
    const auto i = static_cast<size_t>(unit / pieces);
    const Range range = part_range(rows, pieces, unit % pieces);
    p.table.tensors->row_dots(p.c_of(unit / pieces) + range.begin,
                              matrix.data + matrix.offsets[i] + range.begin * matrix.stride, matrix.stride,
                              vector.data + vector.offsets[i], range.end - range.begin, p.k, p.scale);
  });
}

void choose_product(const BatchedProduct& p, const Memory& memory) {
  // A column [k, 1] is a row when it is stored, however it is meant; a column of a wider matrix is not.
  if (p.n == 1 && !p.a.transposed && (p.b.transposed || p.b.stride == 1)) return product_with_vector(p, p.a, p.m, p.b);
  if (p.m == 1 && p.b.transposed && (!p.a.transposed || p.a.stride == 1)) return product_with_vector(p, p.b, p.n, p.a);
  if (p.a.transposed) return product_of_transposed(p);
  const int64_t panel_floats = p.table.panel_width * std::max<int64_t>(1, p.k);
  int64_t group = std::clamp<int64_t>(kGroupFloats / panel_floats, 1, p.panels());
  const auto units = [&] { return p.count() * ((p.panels() + group - 1) / group); };
  const bool large = p.m * p.k > kLeftFloats && p.panels() > group;
  while (p.threads() > 1 && group > 1 && units() < 4 * p.threads()) group /= 2;
  if (large || (p.threads() > 1 && units() < 4 * p.threads())) return product_by_parts(p, memory);
  product_by_groups(p, memory, group);
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
  if (a.offsets.empty() || m == 0 || n == 0) return;
  if (a.transposed && b.transposed && m > 1) {
    Tensor owner;
    return batched_product(memory, c, turned(memory, owner, a, m, k), b, m, n, k, scale);
  }
  Tensor gamma;
  if (scale != 1.0f) {
    gamma = memory({n});
    std::fill_n(gamma.f32(), n, scale);
  }
  choose_product({c, a, b, m, n, k, gamma.defined() ? gamma.f32() : nullptr, scale}, memory);
}

}  // namespace vit
