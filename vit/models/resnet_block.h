// The residual blocks of ResNets (He et al. 2016, "Deep residual learning for image recognition", figure 5), with an
// attention mechanism in the branch where one is given.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/nn/attention.h"
#include "vit/nn/conv_norm.h"

namespace vit {

enum class ResNetBlockKind {
  basic,       ///< two 3 x 3 convolutions
  bottleneck,  ///< 1 x 1, 3 x 3, 1 x 1, the last four times as wide
};
/// "basic", "bottleneck".
const std::vector<std::pair<ResNetBlockKind, std::string>>& enum_names(ResNetBlockKind);

/// Outputs of a block as a multiple of its planes.
inline int64_t expansion_of(ResNetBlockKind kind) { return kind == ResNetBlockKind::basic ? 1 : 4; }

struct ResNetBlockOptions {
  ResNetBlockKind kind = ResNetBlockKind::bottleneck;
  int64_t inputs = 0, outputs = 0;
  int64_t first_planes = 0;  ///< outputs of the first convolution
  int64_t width = 0;         ///< outputs of the bottleneck's 3 x 3 convolution
  int64_t cardinality = 1;   ///< its groups
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t first_dilation = 1;  ///< of the convolution that would have the stride
  bool stride_first = false;   ///< the bottleneck's first convolution has the stride, not its second
  bool aa = false;             ///< the stride is a mean over the cells, after the convolution
  bool avg_down = false;       ///< the shortcut's stride is a mean as well
  bool project = false;        ///< the shortcut has a convolution even where shapes agree
  int64_t down_kernel_size = 1;
  Activation act = Activation::relu;
  BatchNormOptions norm{};
  bool frozen_norm = false;
  bool zero_init_last = true;
};

class ResNetBlock : public Module {
 public:
  /// Parameters: conv{i}.weight, bn{i}.*, se.* (the mechanism), downsample.* where the shapes or the stride ask for it
  /// (timm's names). `attention` may be null.
  ResNetBlock(const ResNetBlockOptions& options, std::unique_ptr<Attention> attention);

  /// x [B, height, width, inputs] -> [B, height / stride, width / stride, outputs], rounded up.
  /// In inference its memory becomes the result's where nobody else holds it: hand it over.
  Var forward(Context& ctx, Var x) const;

  /// Stochastic depth, where Context::training is set.
  void set_drop_path(float rate) { drop_path_ = rate; }
  /// Null without a mechanism.
  Attention* attention() const { return attention_.get(); }

 private:
  void add_convs();
  void add_downsample();
  Var branch(Context& ctx, const Var& x) const;
  Var shortcut(Context& ctx, Var x) const;
  Var attend(Context& ctx, const Var& x, const Var& residual) const;

  ResNetBlockOptions options_;
  std::deque<ConvNorm> convs_;
  std::unique_ptr<Attention> attention_;
  std::optional<ConvNorm> downsample_;
  float drop_path_ = 0.0f;
};

}  // namespace vit
