// Grouped bilinear attentional transforms (Chi et al. 2020), timm's BatNonLocalAttn.
#pragma once

#include "vit/autograd/names.h"
#include "vit/nn/squeeze.h"

namespace vit {

struct BilinearOptions {
  int64_t block_size = 7;
  int64_t groups = 2;
  SqueezeWidth width{.rd_ratio = 0.25, .round_limit = 0.9};
  double drop_rate = 0.2;
  Activation act_layer = Activation::relu;

  template <class V>
  void visit_fields(V& v) {
    v("block_size", block_size, "Blocks per side that the map is divided into; zeros fill up what it does not divide.",
      between(1, 256));
    v("groups", groups, "Groups of channels with transforms of their own.", between(1, 1 << 12));
    width.visit_fields(v);
    v("drop_rate", drop_rate, "In training whole channels of the branch are dropped with this probability.",
      between(0, 0.999));
    v("act_layer", act_layer, "Activation after each convolution.");
  }
};

/// The transform: P x Q per channel, with row-stochastic P over the rows of blocks and column-stochastic Q over their
/// columns, both predicted from the map (Chi et al. 2020, eq. 4-7).
class BilinearTransform : public Module {
 public:
  /// Parameters: conv1.{conv,bn}, conv_p, conv_q, conv2.{conv,bn}. Errors (usage): groups does not divide channels.
  BilinearTransform(int64_t channels, int64_t block_size, int64_t groups, Activation activation);
  /// x [B, height, width, C] -> the same shape. A map that block_size does not divide has zeros below and to the right
  /// meanwhile; timm refuses it.
  Var forward(Context& ctx, const Var& x) const;

 private:
  /// Block matrices [B, groups, block, block] from blocks' maxima [B, block, groups], each line summing to one.
  Var matrices(Context& ctx, const Conv2d& conv, const Var& maxima, int64_t sum_axis) const;
  int64_t channels_, block_, groups_;
  Activation activation_;
  ConvNorm conv1_;
  Conv2d conv_p_, conv_q_;
  ConvNorm conv2_;
};

class Bilinear : public Attention {
 public:
  using Options = BilinearOptions;
  /// Parameters: conv1.{conv,bn}, ba.*, conv2.{conv,bn}. Errors (usage): as the transform's.
  Bilinear(const AttentionShape& shape, const BilinearOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  BilinearOptions options_;
  ConvNorm conv1_;
  BilinearTransform ba_;
  ConvNorm conv2_;
};

}  // namespace vit
