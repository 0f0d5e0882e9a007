#include "vit/nn/conv_stem.h"

#include <functional>
#include <numeric>

namespace vit {

const std::vector<std::pair<StemNorm, std::string>>& enum_names(StemNorm) {
  static const std::vector<std::pair<StemNorm, std::string>> names = {{StemNorm::layer_norm, "layernorm"},
                                                                      {StemNorm::batch_norm, "batchnorm"}};
  return names;
}

void ConvStemOptions::validate() const {
  if (channels.empty()) fail_usage("a convolutional stem needs `channels`, one number per convolution");
  if (channels.size() != strides.size())
    fail_usage("`channels` has ", channels.size(), " entries and `strides` ", strides.size(),
               "; each convolution needs both");
}

int64_t ConvStemOptions::patch_size() const {
  return std::accumulate(strides.begin(), strides.end(), int64_t{1}, std::multiplies<>());
}

ConvStem::ConvStem(const ConvStemOptions& options, int64_t in_channels, int64_t dim, float norm_eps)
    : patch_size_(options.patch_size()), proj_(options.channels.back(), dim) {
  int64_t inputs = in_channels;
  for (size_t i = 0; i < options.channels.size(); ++i) {
    const Conv2dOptions conv{.kernel_h = 3, .kernel_w = 3, .stride = options.strides[i], .padding = 1};
    convs_.emplace_back(Conv2d::Options{inputs, options.channels[i], conv, /*bias=*/false});
    add_module("convs." + std::to_string(i), convs_.back());
    const std::string norm_name = "norms." + std::to_string(i);
    if (options.norm == StemNorm::batch_norm)
      add_module(norm_name, batch_norms_.emplace_back(options.channels[i]));
    else
      add_module(norm_name, norms_.emplace_back(NormKind::layer_norm, options.channels[i], norm_eps));
    inputs = options.channels[i];
  }
  add_module("proj", proj_);
}

Var ConvStem::forward(Context& ctx, const Var& image) const {
  check(image.value().rank() == 4 && image.size(2) % patch_size_ == 0 && image.size(3) % patch_size_ == 0,
        "conv stem: expected images whose extents are multiples of ", patch_size_, ", got ", image.shape());
  Var x = channels_last(ctx, image);
  for (size_t i = 0; i < convs_.size(); ++i) {
    x = convs_[i].forward(ctx, x);
    x = batch_norms_.empty() ? norms_[i].forward(ctx, x) : batch_norms_[i].forward(ctx, x);
    x = activate(ctx, x, Activation::gelu);
  }
  x = proj_.forward(ctx, x);
  return reshape(ctx, x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
}

}  // namespace vit
