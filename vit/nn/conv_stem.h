// Convolutional stem: a few strided 3 x 3 convolutions instead of one projection of patches (Xiao et al. 2021, "Early
// convolutions help transformers see better"; Hassani et al. 2021, "Escaping the big data paradigm with compact
// transformers"). It makes small data sets learnable: neighbouring pixels are compared before attention begins.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/config.h"
#include "vit/nn/batch_norm.h"
#include "vit/nn/conv2d.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

/// What follows each convolution of a stem.
enum class StemNorm {
  layer_norm,  ///< over the channels of each position: no state, nothing differs between training and inference
  batch_norm,  ///< over the batch, with running statistics
};
/// "layernorm", "batchnorm".
const std::vector<std::pair<StemNorm, std::string>>& enum_names(StemNorm);

struct ConvStemOptions {
  std::vector<int64_t> channels{};  ///< outputs of each 3 x 3 convolution
  std::vector<int64_t> strides{};   ///< stride of each; their product is the patch size
  StemNorm norm = StemNorm::layer_norm;
  template <class V>
  void visit_fields(V& v) {
    v("channels", channels, "Outputs of each 3 x 3 convolution.", between(1, 1 << 14));
    v("strides", strides, "Stride of each; their product is the patch size.", between(1, 4));
    v("norm", norm, "Normalisation after each convolution.");
  }
  /// Errors (usage): no convolution, lists of different lengths.
  void validate() const;
  int64_t patch_size() const;
};

class ConvStem : public Module {
 public:
  /// Parameters: convs.{i}.*, norms.{i}.* (of options.norm), proj.* (a linear map to the tokens' width).
  /// norm_eps is layer norm's; batch norm has torch's 1e-5.
  ConvStem(const ConvStemOptions& options, int64_t in_channels, int64_t dim, float norm_eps);

  /// image [B, in_channels, height, width] -> [B, (height / p) * (width / p), dim], p being the product of the strides.
  /// Errors: an extent that p does not divide.
  Var forward(Context& ctx, const Var& image) const;

 private:
  int64_t patch_size_;
  std::deque<Conv2d> convs_;
  std::deque<Norm> norms_;  // one of the two, per convolution
  std::deque<BatchNorm> batch_norms_;
  Linear proj_;
};

}  // namespace vit
