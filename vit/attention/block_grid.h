// Multi-axis attention (Tu et al. 2022, "MaxViT: multi-axis vision transformer", section 3.2): windows of neighbouring
// tokens ("block"), and windows of tokens that are spread evenly over the map ("grid"), with a relative position bias.
// One after the other, every token reaches every other in time that grows like N.
//
//   block: the map is cut into windows of h x w neighbours.
//   grid:  the map is cut into cells of ceil(height / h) x ceil(width / w) tokens; tokens at the same place of their
//          cells form a group of h x w.
//
// The paper, and timm, want maps that the window divides. Here places outside the map are simply not there.
#pragma once

#include <array>

#include "vit/attention/grouped.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"
#include "vit/nn/window_bias.h"

namespace vit {

enum class Partition {
  whole,  ///< one group of all tokens: CoAtNet (Dai et al. 2021, eq. 2), the map itself is the window
  block,
  grid,
};

struct PartitionAttentionOptions {
  std::array<int64_t, 2> window{7, 7};
  WindowBiasKind rel_pos_type = WindowBiasKind::bias;
  int64_t rel_pos_dim = 512;
  bool head_first = false;
  bool qkv_bias = true;
  bool proj_bias = true;

  /// All but the window, which BlockGridOptions reads.
  template <class V>
  void visit_fields(V& v) {
    v("rel_pos_type", rel_pos_type, "Form of the relative position bias; none: positions do not count in a group.");
    v("rel_pos_dim", rel_pos_dim, "Hidden width of the bias's MLP, for rel_pos_type: mlp.", between(1, 1 << 16));
    v("head_first", head_first,
      "Order of the packed projection's outputs: each head's q, k and v together, instead of all heads' q first.");
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// Options of `block` and `grid` in a configuration.
struct BlockGridOptions {
  ConfigNode window = ConfigNode::make_scalar("7", false);
  PartitionAttentionOptions others{};

  template <class V>
  void visit_fields(V& v) {
    v("window", window,
      "Side of a group in tokens, or [height, width]: neighbours (block), or tokens spread over the map (grid).");
    others.visit_fields(v);
  }
  /// Errors (usage), at the window's place: as read_window().
  PartitionAttentionOptions resolved() const {
    PartitionAttentionOptions options = others;
    options.window = read_window(window);
    return options;
  }
};

/// Widths, where they are not those of AttentionShape: CoAtNet's attention may change the width.
struct AttentionWidths {
  int64_t inner = 0;  ///< of queries, keys and values, over all heads
  int64_t out = 0;    ///< of the result
};

/// timm's AttentionCl and Attention2d (models/maxxvit.py). Parameters: qkv.*, rel_pos.*, proj.*.
class PartitionAttention : public Attention {
 public:
  /// Errors (usage): the inner width is not divisible by num_heads; no grid, where the whole map is the window.
  PartitionAttention(const AttentionShape& shape, const PartitionAttentionOptions& options, Partition partition,
                     const AttentionWidths& widths);
  PartitionAttention(const AttentionShape& shape, const PartitionAttentionOptions& options, Partition partition)
      : PartitionAttention(shape, options, partition, {shape.dim, shape.dim}) {}

  /// x [B, N, C] -> [B, N, widths.out]. Errors: another map than the window's, where the whole map is the window.
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

  /// Where the whole map is the window, its biases are resampled.
  void set_grid(Grid grid) override;
  /// For another window, the biases are resampled.
  void set_window(const std::array<int64_t, 2>& window) { rel_pos_.set_window(window); }
  /// The whole map is the window.
  bool whole() const { return partition_ == Partition::whole; }

 private:
  /// A Linear whose outputs come as [H, 3, D], read as if they came as [3, H, D].
  class HeadFirstLinear : public Module {
   public:
    HeadFirstLinear(int64_t inputs, int64_t outputs, int64_t heads, bool bias);
    Var forward(Context& ctx, const Var& x) const;
    void prepare() override;

   private:
    Var ordered(Context& ctx, const Var& rows) const;
    int64_t heads_;
    Parameter weight_, bias_;
    PackedWeight packed_;
  };

  Var attend_whole(Context& ctx, const Var& qkv, const AttentionInput& input) const;

  Partition partition_;
  AttentionWidths widths_;
  int64_t heads_;
  std::unique_ptr<Linear> qkv_;  // one of the two
  std::unique_ptr<HeadFirstLinear> head_first_qkv_;
  WindowBias rel_pos_;
  Linear proj_;
};

/// The groups of a map under a window: queries and keys are the same.
TokenGroups partition_groups(const Grid& grid, const std::array<int64_t, 2>& window, Partition partition);

class BlockAttention : public PartitionAttention {
 public:
  using Options = BlockGridOptions;
  BlockAttention(const AttentionShape& shape, const BlockGridOptions& options)
      : PartitionAttention(shape, options.resolved(), Partition::block) {}
};

class GridAttention : public PartitionAttention {
 public:
  using Options = BlockGridOptions;
  GridAttention(const AttentionShape& shape, const BlockGridOptions& options)
      : PartitionAttention(shape, options.resolved(), Partition::grid) {}
};

}  // namespace vit
