// Hierarchical attention: within regions, then across them, as Yang et al. 2016 ("Hierarchical attention networks for
// document classification", section 2.2) attend to the words of a sentence and then to sentences; here each query forms
// its own summary of every region. Regions are the maps of a memory (AttentionInput::memory_grids), or blocks of one
// map.
#include <algorithm>
#include <cmath>
#include <vector>

#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

/// Hides a score without making a row of nothing but infinities, whose softmax is no number.
constexpr float kHidden = -1e30f;

struct HierarchicalOptions {
  int64_t regions = 4;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("regions", regions, "Rows and columns of blocks that a single map is cut into.", between(1, 1024));
    v("qkv_bias", qkv_bias, "Biases of the query, key and value projections.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// Entries of the memory by region.
using Regions = std::vector<std::vector<int64_t>>;

void add_blocks(Regions& regions, const Grid& grid, int64_t first, int64_t size) {
  const int64_t down = std::min(size, grid.height), across = std::min(size, grid.width);
  for (int64_t block = 0; block < down * across; ++block) {
    const Range rows = part_range(grid.height, down, block / across),
                cols = part_range(grid.width, across, block % across);
    std::vector<int64_t>& region = regions.emplace_back();
    for (int64_t row = rows.begin; row < rows.end; ++row)
      for (int64_t col = cols.begin; col < cols.end; ++col) region.push_back(first + row * grid.width + col);
  }
}

Regions regions_of(const AttentionInput& input, bool own_memory, int64_t entries, int64_t size) {
  Regions regions;
  int64_t next = 0;
  const auto add_rest = [&](int64_t count) {
    if (count == 0) return;
    std::vector<int64_t>& region = regions.emplace_back();
    for (int64_t i = 0; i < count; ++i) region.push_back(next++);
  };
  if (own_memory) {
    add_rest(input.prefix_tokens);
    add_blocks(regions, input.grid, next, size);
    next += input.grid.count();
  } else if (input.memory_grids.size() == 1) {
    add_blocks(regions, input.memory_grids[0], 0, size);
    next += input.memory_grids[0].count();
  } else {
    for (const Grid& grid : input.memory_grids) add_rest(grid.count());
  }
  check(next == entries && !regions.empty(), "hierarchical attention: the grids have ", next,
        " cells, what is looked at has ", entries, " entries; give AttentionInput::memory_grids");
  return regions;
}

/// Regions as a table [R, most entries], -1 where a region has fewer.
Tensor table_of(const Regions& regions) {
  size_t longest = 0;
  for (const auto& region : regions) longest = std::max(longest, region.size());
  Tensor table = Tensor::empty({static_cast<int64_t>(regions.size()), static_cast<int64_t>(longest)}, DType::i64);
  std::fill_n(table.data<int64_t>(), table.numel(), int64_t{-1});
  for (size_t r = 0; r < regions.size(); ++r)
    std::copy(regions[r].begin(), regions[r].end(), table.data<int64_t>() + r * longest);
  return table;
}

/// What is added to the scores of entries [B, 1, R, 1, L] and of regions [B, 1, R, 1].
struct RegionMasks {
  Tensor entries, regions;

  RegionMasks(const Tensor& table, const Tensor& memory_mask) {
    const int64_t batch = memory_mask.defined() ? memory_mask.size(0) : 1;
    const int64_t count = table.size(0), length = table.size(1);
    entries = Tensor::full({batch, 1, count, 1, length}, kHidden);
    regions = Tensor::full({batch, 1, count, 1}, kHidden);
    for (int64_t i = 0; i < entries.numel(); ++i) {
      const int64_t b = i / (count * length), entry = table.data<int64_t>()[i % (count * length)];
      if (entry < 0) continue;
      const float added = memory_mask.defined() ? memory_mask.f32()[b * memory_mask.size(1) + entry] : 0.0f;
      entries.f32()[i] = std::max(kHidden, added);
      if (added > kHidden) regions.f32()[i / length] = 0.0f;
    }
  }
};

class HierarchicalAttention : public Attention {
 public:
  using Options = HierarchicalOptions;
  HierarchicalAttention(const AttentionShape& shape, const HierarchicalOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        memory_dim_(shape.memory_dim),
        regions_(options.regions),
        q_(shape.dim, 2 * shape.dim, options.qkv_bias),
        kv_(source_dim(shape), 2 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    if (shape.memory_dim == 0 && shape.grid.count() == 0)
      fail_usage("attention 'hierarchical' works on regions of a grid of patches, and the tokens here have none");
    add_module("q", q_);
    add_module("kv", kv_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    refuse_bias("hierarchical", input);
    const Var memory = memory_of(x, input, memory_dim_);
    const Tensor table = table_of(regions_of(input, memory_dim_ == 0, memory.size(1), regions_));
    const RegionMasks masks(table, memory_bias(ctx, input, memory).defined() ? input.memory_mask : Tensor());
    const Var kv = gather_tokens(ctx, kv_.forward(ctx, memory), table.view({table.numel()}));
    const Var k = by_region(ctx, kv, 0, table), v = by_region(ctx, kv, dim_, table);  // [B, H, R, L, D]
    const Var asked = q_.forward(ctx, asking_tokens(ctx, x, input));
    const Var q_entry = queries(ctx, asked, 0), q_region = queries(ctx, asked, dim_);  // [B, H, 1, T, D]
    const float factor = 1.0f / std::sqrt(static_cast<float>(head_dim_));

    const Var scores = matmul(ctx, q_entry, k, {.transpose_b = true, .scale = factor});
    const Var within = softmax(ctx, add(ctx, scores, masks.entries));  // [B, H, R, T, L]
    const Var summaries = matmul(ctx, within, v);                      // [B, H, R, T, D]
    const Var agreement = scale(ctx, sum(ctx, multiply(ctx, summaries, q_region), {-1}), factor);
    const Var across = softmax(ctx, add(ctx, agreement, masks.regions), 2);  // [B, H, R, T]
    if (ctx.wants("probs")) ctx.observe("probs", spread(within.value(), across.value(), table, memory.size(1)));
    const Shape& shape = across.shape();
    const Var share = reshape(ctx, across, {shape[0], shape[1], shape[2], shape[3], 1});
    const Var mixed = merge_heads(ctx, sum(ctx, multiply(ctx, summaries, share), {2}));
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  Var by_region(Context& ctx, const Var& kv, int64_t first, const Tensor& table) const {
    const Var columns = slice_features(ctx, kv, first, first + dim_);
    const Var split = reshape(ctx, columns, {kv.size(0), table.size(0), table.size(1), heads_, head_dim_});
    return permute(ctx, split, {0, 3, 1, 2, 4});
  }
  Var queries(Context& ctx, const Var& asked, int64_t first) const {
    return reshape(ctx, split_heads(ctx, {asked, first}, heads_, head_dim_),
                   {asked.size(0), heads_, 1, asked.size(1), head_dim_});
  }

  /// The probability of each entry, its share in its region times its region's: [B, H, T, M].
  static Tensor spread(const Tensor& within, const Tensor& across, const Tensor& table, int64_t entries) {
    const int64_t regions = table.size(0), length = table.size(1), asking = across.size(3);
    const Tensor probs = Tensor::zeros({across.size(0), across.size(1), asking, entries});
    for (int64_t row = 0; row < across.numel(); ++row) {
      const int64_t pair = row / (regions * asking), region = row / asking % regions, t = row % asking;
      for (int64_t i = 0; i < length; ++i) {
        const int64_t entry = table.data<int64_t>()[region * length + i];
        if (entry >= 0)
          probs.f32()[(pair * asking + t) * entries + entry] = across.f32()[row] * within.f32()[row * length + i];
      }
    }
    return probs;
  }

  int64_t dim_, heads_, head_dim_, memory_dim_, regions_;
  Linear q_, kv_, proj_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION(
    "hierarchical", HierarchicalAttention, .family = AttentionFamily::decoder,
    .summary = "each query sums up every region, then chooses among the regions",
    .formula = "sum_r b_r u_r, u_r = softmax(q k_r^T / sqrt(D)) v_r, b = softmax(q' u^T / sqrt(D))",
    .source = "Yang et al. 2016, section 2.2, with queries", .complexity = "O(N M C)");

}  // namespace vit
