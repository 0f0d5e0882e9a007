// Normalisation of maps [B, height, width, C] for convolutional parts: batch norm (Ioffe, Szegedy 2015) and group norm
// (Wu, He 2018), with torch's parameter names and defaults. Both are one pass over the map and pack nothing, so
// prepare() has nothing to do; a checkpoint's `num_batches_tracked` has no use here and no place.
#pragma once

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

/// torch.nn.BatchNorm2d on maps whose channels are last.
class BatchNorm : public Module {
 public:
  /// Parameters: weight and bias [channels], and the buffers running_mean and running_var [channels].
  explicit BatchNorm(int64_t channels, const BatchNormOptions& options = {});

  /// x [..., channels] -> the same shape. Where Context::training is set it writes to the running statistics: one
  /// training pass at a time. Errors: as batch_norm; the statistics are not loaded.
  Var forward(Context& ctx, const Var& x) const;

  /// What the norm is at inference: x * scale + shift, [channels] each.
  struct Affine {
    Tensor scale, shift;
  };
  /// Takes it out, for the convolution before it to do: the parameters are dropped. Errors: they are not loaded.
  Affine take_affine();
  /// Its statistics and its weights are constants that no optimiser sees: torchvision's FrozenBatchNorm2d.
  void freeze() { weight_.buffer = bias_.buffer = true; }
  /// The weight starts as zeros: the branch that ends here adds nothing at first (Goyal et al. 2017, section 5.1).
  void start_at_zero() { weight_.init = Init::zeros(); }

 private:
  BatchNormOptions options_;
  Parameter weight_, bias_, running_mean_, running_var_;
};

/// torch.nn.GroupNorm on maps whose channels are last.
class GroupNorm : public Module {
 public:
  /// Parameters: weight and bias [channels]. Errors (usage): groups does not divide channels.
  GroupNorm(int64_t groups, int64_t channels, float eps = 1e-5f);

  /// x [B, ..., channels] -> the same shape.
  Var forward(Context& ctx, const Var& x) const;

 private:
  int64_t groups_;
  float eps_;
  Parameter weight_, bias_;
};

}  // namespace vit
