// A block of DaViT: a position encoding, an attention mechanism, a second encoding, an MLP, each with a skip
// connection.
#pragma once

#include <memory>
#include <optional>

#include "vit/nn/attention.h"
#include "vit/nn/block.h"
#include "vit/nn/conv2d.h"
#include "vit/nn/mlp.h"
#include "vit/nn/norm.h"

namespace vit {

/// x + f(conv(x)) with a depthwise 3 x 3 convolution: positions by what surrounds them (Chu et al. 2021, "Conditional
/// positional encodings for vision transformers"). timm's ConvPosEnc.
class ConvPositions : public Module {
 public:
  /// Parameters: proj.*.
  ConvPositions(int64_t dim, Activation activation);
  /// x [B, height, width, C] -> the same shape
  Var forward(Context& ctx, const Var& x) const;

 private:
  Conv2d proj_;
  Activation activation_;
};

struct DavitBlockOptions {
  int64_t dim = 0;
  float norm_eps = 1e-5f;
  std::optional<int64_t> mlp_hidden{};  ///< none: no MLP
  Activation position_activation = Activation::none;
};

/// Parameters: cpe1.*, norm1.*, attn.*, cpe2.*, and with an MLP norm2.*, mlp.*.
class DavitBlock : public Module {
 public:
  DavitBlock(const DavitBlockOptions& options, std::unique_ptr<Attention> attention);

  /// x [B, height, width, C] -> the same shape
  Var forward(Context& ctx, const Var& x) const;

  void set_grid(Grid grid) { attention_->set_grid(grid); }
  /// Takes effect where Context::training is set.
  void set_dropout(const BlockDropout& dropout) { dropout_ = dropout; }

 private:
  Var attend(Context& ctx, const Var& x, const LinearOptions& skip, Grid grid) const;
  ConvPositions cpe1_;
  Norm norm1_;
  std::unique_ptr<Attention> attention_;
  ConvPositions cpe2_;
  std::optional<Norm> norm2_;
  std::optional<Mlp> mlp_;
  BlockDropout dropout_;
};

}  // namespace vit
