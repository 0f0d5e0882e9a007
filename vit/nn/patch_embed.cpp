#include "vit/nn/patch_embed.h"

#include <cmath>

namespace vit {

PatchEmbed::Projection::Projection(const Options& options) {
  const int64_t fan_in = options.channels * options.patch_h * options.patch_w;
  add_parameter("weight", weight, {options.dim, options.channels, options.patch_h, options.patch_w},
                Init::truncated_normal(std::sqrt(1.0f / static_cast<float>(fan_in))));
  if (options.bias) add_parameter("bias", bias, {options.dim}, Init::zeros());
}

void PatchEmbed::Projection::prepare() {
  packed = PackedWeight::pack(weight.value.value());
  weight.value = {};
}

PatchEmbed::PatchEmbed(const Options& options) : options_(options), projection_(options) {
  add_module("proj", projection_);
}

Var PatchEmbed::forward(Context& ctx, const Var& image) const {
  check(image.value().rank() == 4 && image.size(1) == options_.channels, "patch_embed: expected images [B, ",
        options_.channels, ", height, width], got ", image.shape());
  return patch_embed(ctx, image, {projection_.weight.value, projection_.packed}, projection_.bias.value,
                     options_.patch_h, options_.patch_w);
}

}  // namespace vit
