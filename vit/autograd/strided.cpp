#include "vit/autograd/strided.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "vit/autograd/op_support.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

constexpr int64_t kTile = 128;  // rows and columns that are transposed at a time

/// Nested loops over up to kMaxRank axes in which each of `kOperands` tensors has a stride.
template <size_t kOperands>
struct Loops {
  struct Axis {
    int64_t extent = 1;
    std::array<int64_t, kOperands> strides{};
  };
  std::vector<Axis> axes;  ///< the outermost first; none has the extent 1

  void add(int64_t extent, const std::array<int64_t, kOperands>& strides) {
    if (extent != 1) axes.push_back({extent, strides});
  }

  /// Joins neighbours that every tensor walks through as through one axis.
  void merge() {
    std::vector<Axis> merged;
    for (const Axis& axis : axes) {
      const bool joins = !merged.empty() && [&] {
        for (size_t t = 0; t < kOperands; ++t)
          if (merged.back().strides[t] != axis.extent * axis.strides[t]) return false;
        return true;
      }();
      if (joins)
        merged.back() = {merged.back().extent * axis.extent, axis.strides};
      else
        merged.push_back(axis);
    }
    axes = std::move(merged);
  }

  int64_t count() const {
    int64_t product = 1;
    for (const Axis& axis : axes) product *= axis.extent;
    return product;
  }

  /// Where iteration `index` of all axes starts in each tensor.
  std::array<int64_t, kOperands> offsets(int64_t index) const {
    std::array<int64_t, kOperands> at{};
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      for (size_t t = 0; t < kOperands; ++t) at[t] += index % axis->extent * axis->strides[t];
      index /= axis->extent;
    }
    return at;
  }

  Axis take(size_t index) {
    const Axis axis = axes[index];
    axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(index));
    return axis;
  }
  Axis take_last() { return axes.empty() ? Axis{} : take(axes.size() - 1); }
};

/// Rows x cols elements, `rows` of which lie in each iteration of `outer`, handed out in even parts of whole rows:
/// body(outer iteration, first row, end row).
template <class Body>
void for_row_blocks(int64_t outer, int64_t rows, int64_t cols, const Body& body) {
  parallel_for_range(outer * rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t block = begin / rows, first = begin % rows, take = std::min(rows - first, end - begin);
      body(block, first, first + take);
      begin += take;
    }
  });
}

using CopyLoops = Loops<2>;  // the target and the source

/// Copies runs of neighbours: `run` floats that are contiguous on both sides.
void copy_runs(float* y, const float* x, CopyLoops outer, int64_t run) {
  if (outer.axes.empty()) {
    parallel_for_range(run, kElementGrain, [&](int64_t begin, int64_t end) {
      std::memcpy(y + begin, x + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
    return;
  }
  const auto rows = outer.take_last();
  for_row_blocks(outer.count(), rows.extent, run, [&](int64_t block, int64_t begin, int64_t end) {
    const auto at = outer.offsets(block);
    kernels::kernels().tensors->copy(y + at[0] + begin * rows.strides[0], rows.strides[0],
                                     x + at[1] + begin * rows.strides[1], rows.strides[1], end - begin, run);
  });
}

/// Copies matrices transposed, rows of the source being columns of the target, in tiles: neither the rows that are read
/// side by side nor those that are written are then more than the cache can follow.
void copy_transposed(float* y, const float* x, const CopyLoops& outer, const CopyLoops::Axis& rows,
                     const CopyLoops::Axis& cols) {
  const auto tiles_of = [](int64_t extent) { return (extent + kTile - 1) / kTile; };
  const int64_t row_tiles = tiles_of(rows.extent), col_tiles = tiles_of(cols.extent);
  const int64_t tile = std::min(kTile, rows.extent) * std::min(kTile, cols.extent);
  for_row_blocks(outer.count(), row_tiles * col_tiles, tile, [&](int64_t block, int64_t begin, int64_t end) {
    const auto at = outer.offsets(block);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i % row_tiles * kTile, col = i / row_tiles * kTile;
      kernels::kernels().transpose(y + at[0] + row + col * cols.strides[0], cols.strides[0],
                                   x + at[1] + row * rows.strides[1] + col, rows.strides[1],
                                   std::min(kTile, rows.extent - row), std::min(kTile, cols.extent - col));
    }
  });
}

/// Any strides: one by one.
void copy_elements(float* y, const float* x, CopyLoops outer) {
  const auto inner = outer.take_last(), rows = outer.take_last();
  const int64_t pieces = std::max<int64_t>(1, inner.extent / kElementGrain);
  for_row_blocks(outer.count() * pieces, rows.extent, inner.extent / pieces,
                 [&](int64_t block, int64_t begin, int64_t end) {
                   const auto at = outer.offsets(block / pieces);
                   const Range part = part_range(inner.extent, pieces, block % pieces);
                   for (int64_t row = begin; row < end; ++row)
                     for (int64_t i = part.begin; i < part.end; ++i)
                       y[at[0] + row * rows.strides[0] + i * inner.strides[0]] =
                           x[at[1] + row * rows.strides[1] + i * inner.strides[1]];
                 });
}

/// One step of a reduction: x [outer, rows, cols] over its rows -> y [outer, cols].
struct ReduceStep {
  int64_t outer, rows, cols;
  Reduce reduce;

  /// Parts of the rows that are reduced by themselves first. Many outputs keep all threads busy without.
  int64_t parts() const {
    if (outer * cols >= 4096) return outer > 1 ? 1 : gradient_parts(rows);
    return cols == 1 ? std::clamp<int64_t>(rows / kElementGrain, 1, 32) : gradient_parts(rows);
  }

  /// y [outer, parts, cols]
  void run(float* y, const float* x, int64_t part_count) const {
    if (cols == 1 && part_count == 1) {
      parallel_for_range(outer, row_grain(rows), [&](int64_t begin, int64_t end) {
        reduce_rows(y + begin, x + begin * rows, end - begin, rows);
      });
      return;
    }
    // Long rows are cut: columns have nothing to do with each other.
    const int64_t pieces = std::max<int64_t>(1, cols / 4096), units = outer * part_count * pieces;
    parallel_for_range(units, row_grain(rows / part_count * cols / pieces), [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t i = unit / pieces;
        const Range range = part_range(rows, part_count, i % part_count),
                    piece = part_range(cols, pieces, unit % pieces);
        const float* x_part = x + (i / part_count * rows + range.begin) * cols + piece.begin;
        if (cols == 1)
          reduce_rows(y + i, x_part, 1, range.end - range.begin);
        else
          reduce_columns(y + i * cols + piece.begin, x_part, range.end - range.begin, piece.end - piece.begin);
      }
    });
  }

 private:
  void reduce_rows(float* y, const float* x, int64_t count, int64_t length) const {
    const auto& table = *kernels::kernels().tensors;
    if (reduce == Reduce::sum)
      table.row_sums(y, x, length, count, length);
    else
      table.row_maxima(y, x, length, count, length);
  }
  void reduce_columns(float* y, const float* x, int64_t count, int64_t width) const {
    if (reduce == Reduce::sum)
      kernels::kernels().sum_rows(y, x, cols, count, width, false);
    else
      kernels::kernels().tensors->column_maxima(y, x, cols, count, width);
  }
};

Tensor reduce_step(const Memory& memory, const Tensor& x, const ReduceStep& step) {
  Tensor y = memory({step.outer, step.cols});
  if (step.rows == 0) {
    std::fill_n(y.f32(), y.numel(), step.reduce == Reduce::sum ? 0.0f : -std::numeric_limits<float>::infinity());
    return y;
  }
  const int64_t parts = step.parts();
  if (parts == 1) {
    step.run(y.f32(), x.f32(), 1);
    return y;
  }
  const Tensor partial = memory({step.outer, parts, step.cols});
  step.run(partial.f32(), x.f32(), parts);
  ReduceStep{step.outer, parts, step.cols, step.reduce}.run(y.f32(), partial.f32(), 1);
  return y;
}

}  // namespace

Strides contiguous_strides(const Shape& shape) {
  Strides strides{};
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

int64_t checked_axis(std::string_view op, const Shape& shape, int64_t axis) {
  const int64_t rank = shape.rank();
  check(-rank <= axis && axis < rank, op, ": there is no axis ", axis, " in ", shape);
  return axis < 0 ? axis + rank : axis;
}

Shape broadcast_shape(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> extents(static_cast<size_t>(rank));
  for (int axis = 0; axis < rank; ++axis) {
    const int in_a = axis - rank + a.rank(), in_b = axis - rank + b.rank();
    const int64_t left = in_a < 0 ? 1 : a[in_a], right = in_b < 0 ? 1 : b[in_b];
    check(left == right || left == 1 || right == 1, op, ": ", a, " and ", b,
          " do not match: each axis, counted from the last, must be equal or 1");
    extents[static_cast<size_t>(axis)] = left == 1 ? right : left;
  }
  return Shape(extents);
}

Strides broadcast_strides(const Shape& from, const Shape& to) {
  const Strides own = contiguous_strides(from);
  Strides strides{};
  for (int axis = 0; axis < from.rank(); ++axis)
    if (from[axis] != 1) strides[static_cast<size_t>(axis + to.rank() - from.rank())] = own[static_cast<size_t>(axis)];
  return strides;
}

void strided_copy(float* y, const Strides& y_strides, const float* x, const Strides& x_strides, const Shape& shape) {
  if (shape.numel() == 0) return;
  CopyLoops loops;
  for (int axis = 0; axis < shape.rank(); ++axis)
    loops.add(shape[axis], {y_strides[static_cast<size_t>(axis)], x_strides[static_cast<size_t>(axis)]});
  // In the order of the target, whatever the order in which the axes were named.
  std::stable_sort(loops.axes.begin(), loops.axes.end(),
                   [](const auto& a, const auto& b) { return a.strides[0] > b.strides[0]; });
  loops.merge();
  if (loops.axes.empty()) {
    *y = *x;
    return;
  }
  const auto contiguous = [&](size_t tensor) {
    return std::find_if(loops.axes.begin(), loops.axes.end(), [&](const auto& a) { return a.strides[tensor] == 1; });
  };
  const auto of_y = contiguous(0), of_x = contiguous(1);
  if (of_y == loops.axes.end() || of_x == loops.axes.end()) {
    copy_elements(y, x, loops);
  } else if (of_y == of_x) {
    const auto run = loops.take(static_cast<size_t>(of_y - loops.axes.begin()));
    copy_runs(y, x, loops, run.extent);
  } else {
    const auto rows = *of_y, cols = *of_x;
    std::erase_if(loops.axes, [](const auto& a) { return a.strides[0] == 1 || a.strides[1] == 1; });
    copy_transposed(y, x, loops, rows, cols);
  }
}

void broadcast_binary(kernels::Binary f, const Tensor& y, const Tensor& a, const Tensor& b) {
  const Shape& shape = y.shape();
  if (shape.numel() == 0) return;
  const Strides of_y = contiguous_strides(shape);
  const Strides of_a = broadcast_strides(a.shape(), shape), of_b = broadcast_strides(b.shape(), shape);
  Loops<3> loops;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    loops.add(shape[axis], {of_y[i], of_a[i], of_b[i]});
  }
  loops.merge();
  const auto cols = loops.take_last(), rows = loops.take_last();
  // Rows are handed out whole, long ones in pieces.
  const int64_t pieces = std::max<int64_t>(1, cols.extent / kElementGrain);
  const int64_t unit = pieces > 1 ? kElementGrain : cols.extent;
  for_row_blocks(loops.count() * pieces, rows.extent, unit, [&](int64_t block, int64_t begin, int64_t end) {
    const Range part = part_range(cols.extent, pieces, block % pieces);
    auto at = loops.offsets(block / pieces);
    for (size_t t = 0; t < 3; ++t) at[t] += begin * rows.strides[t] + part.begin * cols.strides[t];
    kernels::kernels().tensors->binary(
        f, y.f32() + at[0], rows.strides[0], {a.f32() + at[1], rows.strides[1], cols.strides[1]},
        {b.f32() + at[2], rows.strides[2], cols.strides[2]}, end - begin, part.end - part.begin);
  });
}

Tensor reduce_axes(const Memory& memory, const Tensor& x, const std::vector<bool>& reduced, Reduce reduce) {
  std::vector<int64_t> kept(x.shape().begin(), x.shape().end());
  Tensor y = x;
  // From the last axis to the first, neighbours that are all reduced in one step.
  for (int last = x.rank() - 1; last >= 0; --last) {
    if (!reduced[static_cast<size_t>(last)]) continue;
    int first = last;
    while (first > 0 && reduced[static_cast<size_t>(first - 1)]) --first;
    ReduceStep step{.outer = 1, .rows = 1, .cols = 1, .reduce = reduce};
    for (int axis = 0; axis < first; ++axis) step.outer *= kept[static_cast<size_t>(axis)];
    for (int axis = first; axis <= last; ++axis) step.rows *= std::exchange(kept[static_cast<size_t>(axis)], 1);
    for (int axis = last + 1; axis < x.rank(); ++axis) step.cols *= kept[static_cast<size_t>(axis)];
    if (step.rows != 1) y = reduce_step(memory, y, step);
    last = first;
  }
  return y.view(Shape(kept));
}

Tensor sum_to_shape(const Memory& memory, const Tensor& d, const Shape& to) {
  if (d.shape() == to) return d;
  std::vector<bool> reduced(static_cast<size_t>(d.rank()), true);
  for (int axis = 0; axis < to.rank(); ++axis)
    if (to[axis] != 1) reduced[static_cast<size_t>(axis + d.rank() - to.rank())] = false;
  return reduce_axes(memory, d, reduced, Reduce::sum).view(to);
}

}  // namespace vit
