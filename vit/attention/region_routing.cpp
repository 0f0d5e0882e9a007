// Bi-level routing attention (Zhu et al. 2023, "BiFormer: vision transformer with bi-level routing attention", section
// 3.2): each region of the grid looks at the few regions whose mean key suits its mean query.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "vit/attention/grouped.h"
#include "vit/attention/local_values.h"
#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

/// The affinity of what is no number: routing needs an order.
constexpr float kLeast = -std::numeric_limits<float>::max();

struct RegionRoutingOptions {
  int64_t n_win = 7;
  int64_t topk = 4;
  int64_t side_dwconv = 5;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("n_win", n_win, "Rows and columns of regions that the grid is cut into.", between(1, 1024));
    v("topk", topk, "Regions that each region looks at.", between(1, 1 << 20));
    v("side_dwconv", side_dwconv, "Extent of a depthwise convolution of the values, added to the output; 0: none.",
      between(0, 63));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
  void validate() const {
    if (side_dwconv > 0 && side_dwconv % 2 == 0) fail_usage("side_dwconv must be odd, got ", side_dwconv);
    if (topk > n_win * n_win)
      fail_usage("topk ", topk, " is more than the ", n_win * n_win, " regions of n_win ", n_win);
  }
};

/// The grid cut into nearly equal regions: their patches [R, longest], -1 where a region has fewer.
Tensor region_table(const Grid& grid, int64_t n_win) {
  const int64_t down = std::min(n_win, grid.height), across = std::min(n_win, grid.width);
  const int64_t longest = (grid.height + down - 1) / down * ((grid.width + across - 1) / across);
  Tensor table = Tensor::empty({down * across, longest}, DType::i64);
  std::fill_n(table.data<int64_t>(), table.numel(), int64_t{-1});
  for (int64_t region = 0; region < down * across; ++region) {
    const Range rows = part_range(grid.height, down, region / across),
                cols = part_range(grid.width, across, region % across);
    int64_t* next = table.data<int64_t>() + region * longest;
    for (int64_t row = rows.begin; row < rows.end; ++row)
      for (int64_t col = cols.begin; col < cols.end; ++col) *next++ = row * grid.width + col;
  }
  return table;
}

/// Row r of [R, tokens] takes the mean of region r; tokens count the prefix, which is in none.
Tensor region_means(const Tensor& table, int64_t prefix, int64_t tokens) {
  Tensor means = Tensor::zeros({table.size(0), tokens});
  for (int64_t r = 0; r < table.size(0); ++r) {
    const int64_t* region = table.data<int64_t>() + r * table.size(1);
    const int64_t members = table.size(1) - std::count(region, region + table.size(1), int64_t{-1});
    for (int64_t i = 0; i < members; ++i)
      means.f32()[r * tokens + prefix + region[i]] = 1.0f / static_cast<float>(members);
  }
  return means;
}

/// What a map's regions are, and their means.
struct Regions {
  Tensor members, means;
  Regions(const Grid& grid, int64_t prefix, int64_t n_win)
      : members(region_table(grid, n_win)), means(region_means(members, prefix, prefix + grid.count())) {}
};

class RegionRoutingAttention : public Attention {
 public:
  using Options = RegionRoutingOptions;
  RegionRoutingAttention(const AttentionShape& shape, const RegionRoutingOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        options_(options),
        grid_(shape.grid),
        prefix_(shape.prefix_tokens),
        regions_(grid_, prefix_, options.n_win),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("qkv", qkv_);
    if (options.side_dwconv > 0) add_module("lepe", lepe_.emplace(local_convolution(dim_, options.side_dwconv)));
    add_module("proj", proj_);
  }

  void set_grid(Grid grid) override {
    grid_ = grid;
    regions_ = Regions(grid, prefix_, options_.n_win);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var qkv = qkv_.forward(ctx, x);
    const bool native = input.grid == grid_ && input.prefix_tokens == prefix_;
    const Regions regions = native ? regions_ : Regions(input.grid, input.prefix_tokens, options_.n_win);
    const GroupedHeads heads{.q = {qkv, 0},
                             .k = {qkv, dim_},
                             .v = {qkv, 2 * dim_},
                             .heads = heads_,
                             .head_dim = head_dim_,
                             .groups = {regions.members, routed_keys(ctx, qkv.value(), regions)}};
    Var mixed = attend_in_groups(ctx, {heads}, input);
    if (lepe_) mixed = with_local_values(ctx, mixed, *lepe_, qkv, input);
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  /// The patches of the best `topk` regions of each region, [B, R, topk * longest] (eq. 3 to 5). Like the authors' code
  /// this choice has no gradient. Among equals the first region wins; what is no number is never better.
  Tensor routed_keys(Context& ctx, const Tensor& qkv, const Regions& regions) const {
    const Tensor& members = regions.members;
    const int64_t batch = qkv.size(0), count = members.size(0), length = members.size(1);
    const int64_t best = std::min(options_.topk, count);
    const Var means = matmul(ctx, regions.means, slice_features(ctx, qkv, 0, 2 * dim_));
    const Tensor affinity =
        attention_scores(ctx, {means, 0}, {means, dim_}, {.heads = 1, .head_dim = dim_, .scale = 1.0f});
    Tensor keys = Tensor::empty({batch, count, best * length}, DType::i64);
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::vector<float> of_row(static_cast<size_t>(count));
    for (int64_t row = 0; row < batch * count; ++row) {
      for (int64_t i = 0; i < count; ++i) {
        const float value = affinity.f32()[row * count + i];
        of_row[static_cast<size_t>(i)] = value > kLeast ? value : kLeast;
      }
      std::iota(order.begin(), order.end(), int64_t{0});
      std::partial_sort(order.begin(), order.begin() + best, order.end(), [&](int64_t i, int64_t j) {
        const float left = of_row[static_cast<size_t>(i)], right = of_row[static_cast<size_t>(j)];
        return left != right ? left > right : i < j;
      });
      for (int64_t i = 0; i < best; ++i)
        std::copy_n(members.data<int64_t>() + order[static_cast<size_t>(i)] * length, length,
                    keys.data<int64_t>() + (row * best + i) * length);
    }
    return keys;
  }

  int64_t dim_, heads_, head_dim_;
  RegionRoutingOptions options_;
  Grid grid_;
  int64_t prefix_;
  Regions regions_;  ///< of grid_
  Linear qkv_;
  std::optional<Conv2d> lepe_;
  Linear proj_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION(
    "region_routing", RegionRoutingAttention, .family = AttentionFamily::region,
    .summary = "each region of the grid looks at the few regions that suit it best",
    .formula = "softmax(q_r k_S^T / sqrt(D)) v_S + conv(v), S = top regions of mean(q_r) mean(k)^T",
    .source = "Zhu et al. 2023, BiFormer, eq. 3 to 7", .complexity = "O(N (k N / R + R) C)", .needs_grid = true,
    .smooth = false);

}  // namespace vit
