#include "detection/query_references.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"

namespace detection {

namespace {

constexpr float kSide = 0.05f;    ///< of the finest map's proposals
constexpr float kMargin = 0.01f;  ///< proposals nearer to 0 or 1 have no use: their logarithm runs away

/// Row or column of the source that torch's nearest interpolation takes for cell `at` of `to`.
int64_t nearest_source(int64_t at, int64_t from, int64_t to) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  return std::min(static_cast<int64_t>(std::floor(static_cast<float>(at) * scale)), from - 1);
}

}  // namespace

vit::Tensor inverse_sigmoid(const vit::Tensor& x, float eps) {
  vit::Tensor y = vit::Tensor::empty(x.shape());
  for (int64_t i = 0; i < x.numel(); ++i) {
    const float share = std::clamp(x.f32()[i], 0.0f, 1.0f);
    y.f32()[i] = std::log(std::max(share, eps) / std::max(1.0f - share, eps));
  }
  return y;
}

vit::Var refine_boxes(vit::Context& ctx, const vit::Var& delta, const vit::Var& start) {
  vit::Var sum;
  if (start.size(2) == 4) {
    sum = vit::add(ctx, delta, start);
  } else {
    const vit::Var centres = vit::add(ctx, vit::slice_features(ctx, delta, 0, 2), start);
    sum = vit::concat(ctx, {centres, vit::slice_features(ctx, delta, 2, 4)}, -1);
  }
  return vit::activate(ctx, sum, vit::Activation::sigmoid);
}

vit::Tensor cell_mask(const vit::Tensor& pixel_mask, const vit::Grid& grid) {
  const int64_t batch = pixel_mask.size(0), height = pixel_mask.size(1), width = pixel_mask.size(2);
  vit::Tensor mask = vit::Tensor::empty({batch, grid.count()}, vit::DType::boolean);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t row = 0; row < grid.height; ++row) {
      const int64_t* line =
          pixel_mask.data<int64_t>() + (b * height + nearest_source(row, height, grid.height)) * width;
      bool* out = mask.data<bool>() + b * grid.count() + row * grid.width;
      for (int64_t col = 0; col < grid.width; ++col) out[col] = line[nearest_source(col, width, grid.width)] != 0;
    }
  return mask;
}

vit::Tensor valid_ratios(const vit::Tensor& pixel_mask, const std::vector<vit::Grid>& grids) {
  const int64_t batch = pixel_mask.size(0), levels = static_cast<int64_t>(grids.size());
  vit::Tensor ratios = vit::Tensor::empty({batch, levels, 2});
  for (int64_t l = 0; l < levels; ++l) {
    const vit::Grid& grid = grids[static_cast<size_t>(l)];
    const vit::Tensor mask = cell_mask(pixel_mask, grid);
    for (int64_t b = 0; b < batch; ++b) {
      const bool* cells = mask.data<bool>() + b * grid.count();
      int64_t rows = 0, cols = 0;
      for (int64_t row = 0; row < grid.height; ++row) rows += cells[row * grid.width];
      for (int64_t col = 0; col < grid.width; ++col) cols += cells[col];
      float* ratio = ratios.f32() + (b * levels + l) * 2;
      ratio[0] = static_cast<float>(cols) / static_cast<float>(grid.width);
      ratio[1] = static_cast<float>(rows) / static_cast<float>(grid.height);
    }
  }
  return ratios;
}

vit::Var spread_references(vit::Context& ctx, const vit::Var& reference, const vit::Tensor& ratios, int64_t levels) {
  const int64_t batch = reference.size(0), queries = reference.size(1), numbers = reference.size(2);
  vit::Tensor factors = vit::Tensor::full({ratios.defined() ? batch : 1, 1, levels, numbers}, 1.0f);
  if (ratios.defined())
    for (int64_t i = 0; i < factors.numel(); ++i) factors.f32()[i] = ratios.f32()[i / numbers * 2 + i % 2];
  return vit::multiply(ctx, vit::reshape(ctx, reference, {batch, queries, 1, numbers}), factors);
}

namespace {

/// Writes the proposals of one map of one picture, whose picture covers valid_h x valid_w of the cells.
void propose(float* boxes, float* valid, const vit::Grid& grid, float side, const bool* mask, int64_t valid_h,
             int64_t valid_w) {
  for (int64_t i = 0; i < grid.count(); ++i) {
    const int64_t row = i / grid.width, col = i % grid.width;
    const std::array<float, 4> box{
        (static_cast<float>(col) + 0.5f) / static_cast<float>(valid_w),
        (static_cast<float>(row) + 0.5f) / static_cast<float>(valid_h),
        side,
        side,
    };
    const bool usable = (!mask || mask[i]) && std::all_of(box.begin(), box.end(), [](float share) {
                          return share > kMargin && share < 1.0f - kMargin;
                        });
    valid[i] = usable ? 1.0f : 0.0f;
    for (size_t n = 0; n < 4; ++n)
      boxes[4 * i + static_cast<int64_t>(n)] =
          usable ? std::log(box[n] / (1.0f - box[n])) : std::numeric_limits<float>::max();
  }
}

}  // namespace

Proposals cell_proposals(const std::vector<vit::Grid>& grids, const vit::Tensor& pixel_mask) {
  const int64_t batch = pixel_mask.defined() ? pixel_mask.size(0) : 1;
  int64_t cells = 0;
  for (const vit::Grid& grid : grids) cells += grid.count();
  Proposals proposals{vit::Tensor::empty({batch, cells, 4}), vit::Tensor::empty({batch, cells, 1})};
  int64_t first = 0;
  for (size_t l = 0; l < grids.size(); ++l) {
    const vit::Grid& grid = grids[l];
    const vit::Tensor mask = pixel_mask.defined() ? cell_mask(pixel_mask, grid) : vit::Tensor();
    for (int64_t b = 0; b < batch; ++b) {
      const bool* picture = mask.defined() ? mask.data<bool>() + b * grid.count() : nullptr;
      int64_t valid_h = grid.height, valid_w = grid.width;
      if (picture) {
        valid_h = valid_w = 0;
        for (int64_t row = 0; row < grid.height; ++row) valid_h += picture[row * grid.width];
        for (int64_t col = 0; col < grid.width; ++col) valid_w += picture[col];
      }
      const int64_t at = b * cells + first;
      propose(proposals.boxes.f32() + 4 * at, proposals.valid.f32() + at, grid, std::ldexp(kSide, static_cast<int>(l)),
              picture, valid_h, valid_w);
    }
    first += grid.count();
  }
  return proposals;
}

vit::Tensor best_rows(const vit::Tensor& scores, int64_t count) {
  const int64_t batch = scores.size(0), rows = scores.size(1);
  vit::check(count <= rows, "the ", rows, " cells of the maps are fewer than the ", count,
             " queries that are chosen among them: larger images or fewer queries are needed");
  vit::Tensor best = vit::Tensor::empty({batch, count}, vit::DType::i64);
  vit::parallel_for(batch, [&](int64_t b) {
    const float* score = scores.f32() + b * rows;
    std::vector<int64_t> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int64_t i, int64_t j) {
      const bool i_is_nan = std::isnan(score[i]), j_is_nan = std::isnan(score[j]);
      if (i_is_nan != j_is_nan) return j_is_nan;
      if (!i_is_nan && score[i] != score[j]) return score[i] > score[j];
      return i < j;
    });
    std::copy_n(order.begin(), count, best.data<int64_t>() + b * count);
  });
  return best;
}

vit::Tensor stack_levels(vit::Context& ctx, const std::vector<vit::Tensor>& levels) {
  std::vector<vit::Var> pieces;
  for (const vit::Tensor& level : levels)
    pieces.emplace_back(level.view({level.size(0), 1, level.size(1), level.size(2)}));
  return vit::concat(ctx, pieces, 1).value();
}

std::vector<vit::Grid> grids_of(const std::vector<vit::Var>& maps) {
  std::vector<vit::Grid> grids;
  for (const vit::Var& map : maps) grids.push_back({map.size(1), map.size(2)});
  return grids;
}

vit::Var flatten_maps(vit::Context& ctx, const std::vector<vit::Var>& maps) {
  std::vector<vit::Var> tokens;
  for (const vit::Var& map : maps)
    tokens.push_back(vit::reshape(ctx, map, {map.size(0), map.size(1) * map.size(2), map.size(3)}));
  return tokens.size() == 1 ? tokens[0] : vit::concat(ctx, tokens, 1);
}

}  // namespace detection
