// The two kinds of blocks of XCiT (El-Nouby et al. 2021, section 3.3): of the patches, and of the class token.
#pragma once

#include <memory>
#include <optional>

#include "vit/nn/attention.h"
#include "vit/nn/batch_norm.h"
#include "vit/nn/block.h"
#include "vit/nn/conv2d.h"
#include "vit/nn/mlp.h"
#include "vit/nn/norm.h"

namespace vit {

/// Local patch interaction: two depthwise 3 x 3 convolutions with GELU and batch norm between them. timm's LPI.
class LocalPatchInteraction : public Module {
 public:
  /// Parameters: conv1.*, bn.*, conv2.*.
  explicit LocalPatchInteraction(int64_t dim);
  /// x [B, N, C] on the grid -> [B, N, C], with the skip connection and its layer scale.
  Var forward(Context& ctx, const Var& x, Grid grid, const LinearOptions& residual) const;
  /// The norm becomes what ends the first convolution. (Not what begins the second: around its map are zeros.)
  void prepare() override;

 private:
  /// x [B, height, width, C] -> the same shape: what the second convolution reads.
  Var hidden_of(Context& ctx, const Var& map) const;
  Conv2d conv1_;
  BatchNorm norm_;
  Conv2d conv2_;
  Var scale_, shift_;  ///< the norm, once prepared
};

struct XcitBlockOptions {
  int64_t dim = 0;
  int64_t mlp_hidden = 0;
  float norm_eps = 1e-6f;
  float eta = 1.0f;          ///< start value of layer scale
  bool tokens_norm = false;  ///< the second norm of a class token's block takes the patches, too
};

/// Attention, local interaction and MLP, each with a skip connection and a layer scale. Parameters: gamma1, gamma2,
/// gamma3, norm1.*, attn.*, norm3.*, local_mp.*, norm2.*, mlp.*.
class XcitBlock : public Module {
 public:
  XcitBlock(const XcitBlockOptions& options, std::unique_ptr<Attention> attention);

  /// x [B, N, C] -> [B, N, C]
  Var forward(Context& ctx, const Var& x, Grid grid) const;

  void set_grid(Grid grid) { attention_->set_grid(grid); }
  /// Takes effect where Context::training is set.
  void set_dropout(const BlockDropout& dropout) { dropout_ = dropout; }

 private:
  Parameter gamma1_, gamma3_, gamma2_;
  Norm norm1_;
  std::unique_ptr<Attention> attention_;
  Norm norm3_;
  LocalPatchInteraction local_;
  Norm norm2_;
  Mlp mlp_;
  BlockDropout dropout_;
};

/// The class token collects what the patches know. What happens to the patches beside it (their norm is added to them,
/// and then they are doubled) is a slip of the original code, which its checkpoints have been trained with. Parameters:
/// gamma1, gamma2, norm1.*, attn.*, norm2.*, mlp.*.
class XcitClassBlock : public Module {
 public:
  XcitClassBlock(const XcitBlockOptions& options, std::unique_ptr<Attention> attention);

  /// x [B, 1 + N, C] -> the same shape, or [B, 1, C] where only the class token is wanted.
  Var forward(Context& ctx, const Var& x, Grid grid, bool class_only) const;

  void set_grid(Grid grid) { attention_->set_grid(grid); }
  void set_dropout(float proj_drop) { proj_drop_ = proj_drop; }

 private:
  Var update_patches(Context& ctx, const Var& x, const Var& normed) const;
  bool tokens_norm_;
  Parameter gamma1_, gamma2_;
  Norm norm1_;
  std::unique_ptr<Attention> attention_;
  Norm norm2_;
  Mlp mlp_;
  float proj_drop_ = 0.0f;
};

}  // namespace vit
