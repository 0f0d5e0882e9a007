#include "vit/attention/deformable.h"

#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/deformable.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// Normal, with the variance of Glorot, Bengio 2010, equation 16.
Init xavier(int64_t inputs, int64_t outputs) {
  return Init::normal(std::sqrt(2.0f / static_cast<float>(inputs + outputs)));
}

}  // namespace

DeformableAttention::DeformableAttention(const AttentionShape& shape, const DeformableAttentionOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      memory_dim_(shape.memory_dim),
      levels_(options.levels),
      points_(options.points),
      // The authors start the points on rays; here they start anywhere as far away, so that each learns its own place.
      sampling_offsets_(shape.dim, 2 * heads_ * levels_ * points_, true, Init::zeros(),
                        Init::uniform(static_cast<float>(points_))),
      attention_weights_(shape.dim, heads_ * levels_ * points_, true, Init::zeros()),
      value_proj_(source_dim(shape), shape.dim, true, xavier(source_dim(shape), shape.dim)),
      output_proj_(shape.dim, shape.dim, true, xavier(shape.dim, shape.dim)) {
  if (levels_ > 1 && memory_dim_ == 0)
    fail_usage("attention 'deformable': ", levels_, " levels need a memory of as many maps; set levels: 1");
  add_module("sampling_offsets", sampling_offsets_);
  add_module("attention_weights", attention_weights_);
  add_module("value_proj", value_proj_);
  add_module("output_proj", output_proj_);
}

namespace {

/// value [B, M, C] with zeros where the mask hides a cell.
Var without_hidden(Context& ctx, const Var& value, const Tensor& mask) {
  if (!mask.defined()) return value;
  const int64_t batch = value.size(0), cells = value.size(1);
  check(mask.shape() == Shape({batch, cells}), "deformable attention: the memory's mask must be ",
        Shape({batch, cells}), ", got ", mask.shape());
  Tensor seen = Tensor::empty({batch, cells, 1});
  for (int64_t i = 0; i < seen.numel(); ++i) seen.f32()[i] = mask.f32()[i] < 0.0f ? 0.0f : 1.0f;
  return multiply(ctx, value, seen);
}

/// What each query takes of each cell: [B, H, T, M]. With the cells' unit vectors as values the op itself says it.
Tensor probs_of(Context& ctx, const DeformableInput& input, const Var& offsets, const Var& weights,
                DeformableOptions options) {
  const int64_t batch = weights.size(0), asking = weights.size(1), cells = input.memory.size(1);
  Tensor units = Tensor::zeros({batch, cells, options.heads * cells});
  for (int64_t i = 0; i < batch * cells; ++i)
    for (int64_t h = 0; h < options.heads; ++h) units.f32()[(i * options.heads + h) * cells + i % cells] = 1.0f;
  options.head_dim = cells;
  const Var taken = deformable_attention(ctx, without_hidden(ctx, units, input.memory_mask), input.reference.value(),
                                         offsets.value(), weights.value(), options);
  return permute(ctx, reshape(ctx, taken, {batch, asking, options.heads, cells}), {0, 2, 1, 3}).value();
}

/// Where the points of each query lie, as shares of the maps (x, y): [B, T, H, L * P, 2].
Tensor locations_of(const DeformableInput& input, const Tensor& offsets, const DeformableOptions& options) {
  const auto levels = static_cast<int64_t>(options.maps.size());
  const int64_t samples = levels * options.points, asking = offsets.size(1), numbers = input.reference.size(3);
  Tensor locations = Tensor::empty({offsets.size(0), asking, options.heads, samples, 2});
  for (int64_t i = 0; i < locations.numel(); ++i) {
    const int64_t axis = i % 2, level = i / 2 % samples / options.points, query = i / 2 / samples / options.heads;
    const int64_t shared = input.reference.size(0) == 1 ? query % asking : query;
    const float* reference = input.reference.value().f32() + (shared * levels + level) * numbers;
    const auto& [height, width] = options.maps[static_cast<size_t>(level)];
    const float reach = numbers == 4 ? 0.5f * reference[2 + axis] / static_cast<float>(options.points)
                                     : 1.0f / static_cast<float>(axis == 0 ? width : height);
    locations.f32()[i] = reference[axis] + offsets.f32()[i] * reach;
  }
  return locations;
}

}  // namespace

Tensor cell_centres(const Grid& grid, int64_t levels) {
  Tensor centres = Tensor::empty({1, grid.count(), levels, 2});
  for (int64_t i = 0; i < grid.count() * levels; ++i) {
    const int64_t cell = i / levels;
    centres.f32()[2 * i] = (static_cast<float>(cell % grid.width) + 0.5f) / static_cast<float>(grid.width);
    centres.f32()[2 * i + 1] = (static_cast<float>(cell / grid.width) + 0.5f) / static_cast<float>(grid.height);
  }
  return centres;
}

Var DeformableAttention::look(Context& ctx, const Var& queries, const DeformableInput& input) const {
  check(static_cast<int64_t>(input.grids.size()) == levels_, "deformable attention: built for ", levels_,
        " maps, given ", input.grids.size());
  DeformableOptions options{.heads = heads_, .head_dim = head_dim_, .points = points_};
  for (const Grid& grid : input.grids) options.maps.push_back({grid.height, grid.width});
  const Var value = without_hidden(ctx, value_proj_.forward(ctx, input.memory), input.memory_mask);
  const Var offsets = sampling_offsets_.forward(ctx, queries);
  const int64_t batch = queries.size(0), asking = queries.size(1), samples = levels_ * points_;
  const Var scores = reshape(ctx, attention_weights_.forward(ctx, queries), {batch, asking, heads_, samples});
  const Var weights = reshape(ctx, softmax(ctx, scores), {batch, asking, heads_ * samples});
  ctx.observe("sampling_offsets", offsets.value());
  ctx.observe("sampling_weights", weights.value());
  if (ctx.wants("sampling_locations")) ctx.observe("sampling_locations", locations_of(input, offsets.value(), options));
  if (ctx.wants("probs")) ctx.observe("probs", probs_of(ctx, input, offsets, weights, options));
  const Var mixed = deformable_attention(ctx, value, input.reference, offsets, weights, options);
  return output_proj_.forward(ctx, mixed, input.residual);
}

Var DeformableAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  refuse_bias("deformable", input);
  check(input.grid.count() == x.size(1), "deformable attention: ", x.size(1), " tokens do not form a grid of ",
        input.grid.height, " x ", input.grid.width, "; use look() with reference points");
  const bool own = memory_dim_ == 0;
  const Var asking = asking_tokens(ctx, x, input);
  const Tensor centres = cell_centres(input.grid, levels_);
  return look(ctx, asking,
              {.reference = reshape(ctx, slice_rows(ctx, centres.view({x.size(1), levels_, 2}), 0, asking.size(1)),
                                    {1, asking.size(1), levels_, 2}),
               .memory = memory_of(x, input, memory_dim_),
               .grids = own ? std::vector<Grid>{input.grid} : input.memory_grids,
               .memory_mask = input.memory_mask,
               .residual = input.residual});
}

VITKIT_REGISTER_ATTENTION("deformable", DeformableAttention, .family = AttentionFamily::region,
                          .summary = "each query looks at a few points around its place, and says which",
                          .formula = "sum_lp A_lp v_l(p_q + d_lp), A = softmax(W_A q), d = W_d q, per head",
                          .source = "Zhu et al. 2021, Deformable DETR, eq. 3", .complexity = "O(N C^2 + N L P C)",
                          .needs_grid = true, .takes_prefix = false, .smooth = false);

}  // namespace vit
