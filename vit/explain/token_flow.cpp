#include "vit/explain/token_flow.h"

#include <algorithm>
#include <numeric>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

/// How much of [at, at + 1) of `outer` cells the cell `inner_at` of `inner` cells covers, in outer cells.
double overlap(int64_t outer_at, int64_t outer, int64_t inner_at, int64_t inner) {
  const double scale = static_cast<double>(outer) / static_cast<double>(inner);
  const double begin = std::max(static_cast<double>(outer_at), static_cast<double>(inner_at) * scale);
  const double end = std::min(static_cast<double>(outer_at + 1), static_cast<double>(inner_at + 1) * scale);
  return std::max(0.0, end - begin);
}

/// value(i), i over [H, Nq, Nk], of some heads as one matrix.
template <class Value>
Tensor fuse(const Shape& shape, const std::optional<int64_t>& head, HeadFusion fusion, const Value& value) {
  const int64_t each = shape[1] * shape[2];
  const std::array<int64_t, 2> heads = wanted_heads(head, shape[0]);
  Tensor fused = Tensor::empty({shape[1], shape[2]});
  constexpr int64_t kGrain = 4096;
  parallel_for_range(each, kGrain, [&](int64_t begin, int64_t end) {
    float* result = fused.f32();
    for (int64_t i = begin; i < end; ++i) result[i] = value(heads[0] * each + i);
    for (int64_t h = heads[0] + 1; h < heads[1]; ++h)
      for (int64_t i = begin; i < end; ++i) {
        const float next = value(h * each + i);
        result[i] = fusion == HeadFusion::mean  ? result[i] + next
                    : fusion == HeadFusion::min ? std::min(result[i], next)
                                                : std::max(result[i], next);
      }
    if (fusion != HeadFusion::mean) return;
    for (int64_t i = begin; i < end; ++i) result[i] /= static_cast<float>(heads[1] - heads[0]);
  });
  return fused;
}

}  // namespace

Tensor fused_heads(const Tensor& probs, const std::optional<int64_t>& head, HeadFusion fusion) {
  const float* values = probs.f32();
  return fuse(probs.shape(), head, fusion, [values](int64_t i) { return values[i]; });
}

Tensor fused_products(const Tensor& probs, const Tensor& gradient, const std::optional<int64_t>& head,
                      HeadFusion fusion, bool positive_only) {
  check(probs.shape() == gradient.shape(), "token flow: probabilities ", probs.shape(), " and their gradient ",
        gradient.shape());
  const float *p = probs.f32(), *g = gradient.f32();
  if (!positive_only) return fuse(probs.shape(), head, fusion, [p, g](int64_t i) { return p[i] * g[i]; });
  return fuse(probs.shape(), head, fusion, [p, g](int64_t i) { return std::max(0.0f, p[i] * g[i]); });
}

void discard_weakest(Tensor& matrix, double ratio) {
  const auto count = static_cast<int64_t>(static_cast<double>(matrix.numel()) * ratio);
  if (count == 0) return;
  std::vector<int64_t> order(static_cast<size_t>(matrix.numel()));
  std::iota(order.begin(), order.end(), int64_t{0});
  float* values = matrix.f32();
  std::nth_element(order.begin(), order.begin() + count, order.end(),
                   [&](int64_t a, int64_t b) { return values[a] != values[b] ? values[a] < values[b] : a < b; });
  for (auto at = order.begin(); at != order.begin() + count; ++at)
    if (*at != 0) values[*at] = 0.0f;
}

std::vector<double> through_layer(const std::vector<double>& after, const Tensor& matrix, FlowRule rule) {
  const int64_t asking = matrix.size(0), tokens = matrix.size(1);
  check(static_cast<int64_t>(after.size()) == tokens && asking <= tokens, "token flow: a layer of ", matrix.shape(),
        " for ", after.size(), " tokens");
  std::vector<double> before(after.size(), 0.0);
  for (int64_t i = 0; i < tokens; ++i) {
    const double value = after[static_cast<size_t>(i)];
    if (rule == FlowRule::relevance || i >= asking) before[static_cast<size_t>(i)] += value;
    if (i >= asking || value == 0.0) continue;
    const float* row = matrix.f32() + i * tokens;
    double factor = value;
    if (rule == FlowRule::rollout) {
      factor /= std::accumulate(row, row + tokens, 1.0);
      before[static_cast<size_t>(i)] += factor;
    }
    for (int64_t j = 0; j < tokens; ++j) before[static_cast<size_t>(j)] += factor * row[j];
  }
  return before;
}

std::vector<double> on_layout(const std::vector<double>& values, const TokenLayout& from, const TokenLayout& to,
                              int64_t tokens) {
  if (from == to && static_cast<int64_t>(values.size()) == tokens) return values;
  std::vector<double> result(static_cast<size_t>(tokens), 0.0);
  std::copy_n(values.begin(), std::min(from.prefix, to.prefix), result.begin());
  // A cell of the finer grid has its share of the coarser one's by area; the other way round shares add up.
  for (int64_t i = 0; i < from.rows; ++i)
    for (int64_t j = 0; j < from.columns; ++j) {
      const double value = values[static_cast<size_t>(from.prefix + i * from.columns + j)];
      if (value == 0.0) continue;
      for (int64_t y = i * to.rows / from.rows; y < to.rows && overlap(i, from.rows, y, to.rows) > 0.0; ++y)
        for (int64_t x = j * to.columns / from.columns; x < to.columns; ++x) {
          const double share = overlap(i, from.rows, y, to.rows) * overlap(j, from.columns, x, to.columns);
          if (share <= 0.0) break;
          result[static_cast<size_t>(to.prefix + y * to.columns + x)] += value * share;
        }
    }
  return result;
}

std::vector<double> flow_back(const std::vector<FlowLayer>& layers, const std::vector<double>& start, FlowRule rule) {
  check(!layers.empty(), "token flow: there are no layers");
  std::vector<double> values = start, own = start;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    if (layer != layers.rbegin()) {
      const TokenLayout& above = std::prev(layer)->layout;
      values = on_layout(values, above, layer->layout, layer->matrix.size(1));
      own = on_layout(own, above, layer->layout, layer->matrix.size(1));
    }
    values = through_layer(values, layer->matrix, rule);
  }
  if (rule == FlowRule::relevance)
    for (size_t i = 0; i < values.size(); ++i) values[i] -= own[i];
  return values;
}

Tensor cells_of(const std::vector<double>& values, const TokenLayout& layout) {
  check(layout.prefix + layout.cells() <= static_cast<int64_t>(values.size()) && layout.cells() > 0,
        "token flow: ", values.size(), " tokens hold no grid of ", layout.rows, " x ", layout.columns);
  Tensor cells = Tensor::empty({layout.rows, layout.columns});
  for (int64_t i = 0; i < layout.cells(); ++i)
    cells.f32()[i] = static_cast<float>(values[static_cast<size_t>(layout.prefix + i)]);
  return cells;
}

}  // namespace vit
