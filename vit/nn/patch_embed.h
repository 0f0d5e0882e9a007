// Patch embedding: the image becomes a sequence of tokens (Dosovitskiy et al. 2021, eq. 1).
#pragma once

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

class PatchEmbed : public Module {
 public:
  struct Options {
    int64_t channels = 3;
    int64_t dim = 0;  ///< C
    int64_t patch_h = 16, patch_w = 16;
    bool bias = true;
  };
  explicit PatchEmbed(const Options& options);

  /// image [B, channels, height, width] -> [B, (height / patch_h) * (width / patch_w), C]
  Var forward(Context& ctx, const Var& image) const;

 private:
  // timm names the convolution `proj`; its weight keeps the 4-d shape of checkpoints, [C, channels, patch_h, patch_w].
  struct Projection : Module {
    explicit Projection(const Options& options);
    void prepare() override;
    Parameter weight, bias;
    PackedWeight packed;
  };
  Options options_;
  Projection projection_;
};

}  // namespace vit
