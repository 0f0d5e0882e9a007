#include <algorithm>
#include <cmath>

#include "vit/autograd/deformable.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/products.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit {

namespace {

/// The four cells around a position, and their shares. A cell outside the map is a row of zeros without a gradient.
struct Corners {
  int64_t row[4];  // of the value tensor, from the map's first; -1: outside
  float share[4];
  float x, y;  // the position's distance from the upper left cell
};

/// Whether any cell of the map lies around (x, y); NaN does not.
bool find_corners(Corners& corners, float x, float y, int64_t height, int64_t width) {
  if (!(x > -1.0f && y > -1.0f && x < static_cast<float>(width) && y < static_cast<float>(height))) return false;
  const float left = std::floor(x), top = std::floor(y);
  const auto col = static_cast<int64_t>(left), row = static_cast<int64_t>(top);
  corners.x = x - left;
  corners.y = y - top;
  for (int i = 0; i < 4; ++i) {
    const int64_t r = row + i / 2, c = col + i % 2;
    const bool inside = r >= 0 && r < height && c >= 0 && c < width;
    corners.row[i] = inside ? r * width + c : -1;
    corners.share[i] = (i / 2 ? corners.y : 1.0f - corners.y) * (i % 2 ? corners.x : 1.0f - corners.x);
  }
  return true;
}

/// Shapes of one call, checked.
struct Problem {
  const DeformableOptions& options;
  int64_t batch, cells, queries, levels, coordinates, reference_batch;

  Problem(const Var& value, const Var& reference, const Var& offsets, const Var& weights,
          const DeformableOptions& deformable_options)
      : options(deformable_options), levels(static_cast<int64_t>(deformable_options.maps.size())) {
    check(value.value().rank() == 3 && value.size(2) == width(), "deformable_attention: value must be [B, M, ", width(),
          "], got ", value.shape());
    batch = value.size(0);
    cells = value.size(1);
    int64_t needed = 0;
    for (const auto& map : options.maps) {
      check(map[0] >= 0 && map[1] >= 0, "deformable_attention: a map of ", map[0], " x ", map[1]);
      needed += map[0] * map[1];
    }
    check(needed == cells, "deformable_attention: ", levels, " maps have ", needed, " cells, value has ", cells);
    check(reference.value().rank() == 4 && (reference.size(3) == 2 || reference.size(3) == 4) &&
              reference.size(2) == levels && (reference.size(0) == batch || reference.size(0) == 1),
          "deformable_attention: reference must be [1 or ", batch, ", T, ", levels, ", 2 or 4], got ",
          reference.shape());
    reference_batch = reference.size(0);
    queries = reference.size(1);
    coordinates = reference.size(3);
    check(weights.shape() == Shape({batch, queries, samples()}) &&
              offsets.shape() == Shape({batch, queries, 2 * samples()}),
          "deformable_attention: weights and offsets must be ", Shape({batch, queries, samples()}), " and ",
          Shape({batch, queries, 2 * samples()}), ", got ", weights.shape(), " and ", offsets.shape());
  }
  int64_t width() const { return options.heads * options.head_dim; }
  /// Of one query.
  int64_t samples() const { return options.heads * levels * options.points; }
  const float* reference_of(const Tensor& reference, int64_t b, int64_t t) const {
    return reference.f32() + ((reference_batch == 1 ? 0 : b) * queries + t) * levels * coordinates;
  }
};

/// How far an offset of 1 moves the position, in cells: with a box half its extent over the points, else one cell.
float reach(const Problem& problem, const float* reference_l, int axis, float extent) {
  if (problem.coordinates == 2) return 1.0f;
  return reference_l[2 + axis] * extent / (2.0f * static_cast<float>(problem.options.points));
}

/// Position of a sample in cells, 0 being the centre of the first.
float position(const Problem& problem, const float* reference_l, const float* offset, int axis, int64_t extent) {
  const auto cells = static_cast<float>(extent);
  return reference_l[axis] * cells + offset[axis] * reach(problem, reference_l, axis, cells) - 0.5f;
}

/// Calls visit(sample, corners) for each sample of one head and query that touches its map; `sample` counts through all
/// of the query's samples.
template <class Visit>
void visit_samples(const Problem& problem, const float* reference, const float* offsets, int64_t head,
                   const Visit& visit) {
  const int64_t points = problem.options.points;
  int64_t sample = head * problem.levels * points, first = 0;
  for (int64_t l = 0; l < problem.levels; ++l) {
    const auto [height, width] = problem.options.maps[static_cast<size_t>(l)];
    for (int64_t p = 0; p < points; ++p, ++sample) {
      const float* reference_l = reference + l * problem.coordinates;
      const float x = position(problem, reference_l, offsets + 2 * sample, 0, width);
      const float y = position(problem, reference_l, offsets + 2 * sample, 1, height);
      Corners corners;
      if (!find_corners(corners, x, y, height, width)) continue;
      for (int64_t& row : corners.row) row = row < 0 ? -1 : row + first;
      visit(sample, corners);
    }
    first += height * width;
  }
}

/// Rows of cells that one head of a query sums up, and their weights. One per running part.
struct Gathered {
  std::vector<const float*> rows;
  std::vector<float> weights;
  int64_t count = 0;

  explicit Gathered(const Problem& problem)
      : rows(static_cast<size_t>(4 * problem.levels * problem.options.points)), weights(rows.size()) {}
  void add(const float* row, float weight) {
    rows[static_cast<size_t>(count)] = row;
    weights[static_cast<size_t>(count++)] = weight;
  }
};

void forward_query(const Problem& problem, Gathered& gathered, float* out_bt, const float* value_b,
                   const float* reference, const float* offsets, const float* weights) {
  const int64_t dim = problem.options.head_dim, stride = problem.width();
  for (int64_t h = 0; h < problem.options.heads; ++h) {
    gathered.count = 0;
    visit_samples(problem, reference, offsets, h, [&](int64_t sample, const Corners& corners) {
      for (size_t i = 0; i < 4; ++i)
        if (corners.row[i] >= 0)
          gathered.add(value_b + corners.row[i] * stride + h * dim, weights[sample] * corners.share[i]);
    });
    kernels::kernels().tensors->gathered_sum(out_bt + h * dim, gathered.rows.data(), gathered.weights.data(),
                                             gathered.count, dim);
  }
}

/// What the gradient of one call needs: its inputs.
struct DeformableRecord {
  Var value, reference, offsets, weights;
  DeformableOptions options;

  void operator()(Tape& tape, const Tensor& d_out) const {
    StageTimer timer(tape.profile(), "deformable_attention.grad");
    const Problem problem(value, reference, offsets, weights, options);
    const Tensor d_value = value.requires_grad() ? tape.zeros(value.shape()) : Tensor();
    const Tensor d_weights = tape.zeros(weights.shape());
    const Tensor d_positions = tape.zeros(offsets.shape());  // in cells
    const Tensor zeros = tape.zeros({options.head_dim});
    // A head of a sample owns its columns of d_value: its queries are added in order.
    parallel_for(problem.batch * options.heads, [&](int64_t pair) {
      const int64_t b = pair / options.heads, h = pair % options.heads;
      for (int64_t t = 0; t < problem.queries; ++t)
        backward_query(problem, d_out, d_value, d_weights, d_positions, zeros.f32(), b, t, h);
    });
    if (value.requires_grad()) tape.accumulate(value, d_value);
    if (weights.requires_grad()) tape.accumulate(weights, d_weights);
    accumulate_places(tape, problem, d_positions);
  }

 private:
  void backward_query(const Problem& problem, const Tensor& d_out, const Tensor& d_value, const Tensor& d_weights,
                      const Tensor& d_positions, const float* zeros, int64_t b, int64_t t, int64_t h) const {
    const int64_t dim = options.head_dim, stride = problem.width(), samples = problem.samples();
    const int64_t row = b * problem.queries + t;
    const float* g = d_out.f32() + row * stride + h * dim;
    const int64_t columns = b * problem.cells * stride + h * dim;
    const kernels::TensorKernels& tensors = *kernels::kernels().tensors;
    visit_samples(
        problem, problem.reference_of(reference.value(), b, t), offsets.value().f32() + row * 2 * samples, h,
        [&](int64_t sample, const Corners& corners) {
          const float weight = weights.value().f32()[row * samples + sample];
          const float* rows[4];
          float* d_rows[4];
          float shares[4], dots[4];  // of the output's gradient with each corner
          int64_t inside = 0;
          for (size_t i = 0; i < 4; ++i) {
            rows[i] = corners.row[i] < 0 ? zeros : value.value().f32() + columns + corners.row[i] * stride;
            if (!d_value.defined() || corners.row[i] < 0) continue;
            d_rows[inside] = d_value.f32() + columns + corners.row[i] * stride;
            shares[inside++] = weight * corners.share[i];
          }
          tensors.gathered_dots(dots, rows, g, 4, dim);
          tensors.scattered_add(d_rows, shares, g, inside, dim);
          const auto& s = corners.share;
          d_weights.f32()[row * samples + sample] = s[0] * dots[0] + s[1] * dots[1] + s[2] * dots[2] + s[3] * dots[3];
          float* d_position = d_positions.f32() + 2 * (row * samples + sample);
          d_position[0] = weight * ((1.0f - corners.y) * (dots[1] - dots[0]) + corners.y * (dots[3] - dots[2]));
          d_position[1] = weight * ((1.0f - corners.x) * (dots[2] - dots[0]) + corners.x * (dots[3] - dots[1]));
        });
  }

  /// From the positions' gradients to those of the offsets and of the references.
  void accumulate_places(Tape& tape, const Problem& problem, const Tensor& d_positions) const {
    if (!offsets.requires_grad() && !reference.requires_grad()) return;
    const int64_t samples = problem.samples(), width = problem.levels * problem.coordinates;
    const Tensor d_offsets = tape.empty(offsets.shape());
    Tensor d_reference = tape.zeros({problem.batch, problem.queries, problem.levels, problem.coordinates});
    parallel_for_range(problem.batch * problem.queries, row_grain(2 * samples), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* reference_bt =
            problem.reference_of(reference.value(), row / problem.queries, row % problem.queries);
        for (int64_t sample = 0; sample < samples; ++sample) {
          const int64_t level = sample / options.points % problem.levels, at = 2 * (row * samples + sample);
          const float* reference_l = reference_bt + level * problem.coordinates;
          float* d_reference_l = d_reference.f32() + row * width + level * problem.coordinates;
          for (int axis = 0; axis < 2; ++axis) {
            const auto extent = static_cast<float>(options.maps[static_cast<size_t>(level)][axis == 0 ? 1 : 0]);
            const float d_position = d_positions.f32()[at + axis];
            d_offsets.f32()[at + axis] = d_position * reach(problem, reference_l, axis, extent);
            d_reference_l[axis] += d_position * extent;
            if (problem.coordinates == 4)
              d_reference_l[2 + axis] +=
                  d_position * offsets.value().f32()[at + axis] * extent / (2.0f * static_cast<float>(options.points));
          }
        }
      }
    });
    if (offsets.requires_grad()) tape.accumulate(offsets, d_offsets);
    if (!reference.requires_grad()) return;
    if (problem.reference_batch != problem.batch)
      d_reference = column_sums(tape, d_reference, problem.batch, problem.queries * width).view(reference.shape());
    tape.accumulate(reference, std::move(d_reference));
  }
};

}  // namespace

Var deformable_attention(Context& ctx, const Var& value, const Var& reference, const Var& offsets, const Var& weights,
                         const DeformableOptions& options) {
  StageTimer timer(ctx.profile, "deformable_attention");
  const Problem problem(value, reference, offsets, weights, options);
  Tensor out = ctx.arena.empty({problem.batch, problem.queries, problem.width()});
  const int64_t samples = problem.samples();
  parallel_for_range(
      problem.batch * problem.queries, row_grain(4 * samples * options.head_dim), [&](int64_t begin, int64_t end) {
        Gathered gathered(problem);
        for (int64_t row = begin; row < end; ++row) {
          const int64_t b = row / problem.queries, t = row % problem.queries;
          forward_query(problem, gathered, out.f32() + row * problem.width(),
                        value.value().f32() + b * problem.cells * problem.width(),
                        problem.reference_of(reference.value(), b, t), offsets.value().f32() + row * 2 * samples,
                        weights.value().f32() + row * samples);
        }
      });
  if (ctx.costs) {
    const auto rows = static_cast<double>(problem.batch * problem.queries);
    const double read = rows * static_cast<double>(4 * samples * options.head_dim);
    ctx.costs->add_cost(ctx.scope(), "deformable_attention", 2.0 * read,
                        4.0 * (read + rows * static_cast<double>(3 * samples + problem.width())));
  }
  if (!recording(ctx, {&value, &reference, &offsets, &weights})) return out;
  return ctx.tape->record(std::move(out), {value, reference, offsets, weights},
                          DeformableRecord{value, reference, offsets, weights, options});
}

}  // namespace vit
