#include "vit/nn/linear.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vit {

Linear::Linear(int64_t in_features, int64_t out_features, bool bias, Init weight_init, Init bias_init) {
  add_parameter("weight", weight_, {out_features, in_features}, weight_init);
  if (bias) add_parameter("bias", bias_, {out_features}, bias_init);
}

Var Linear::forward(Context& ctx, const Var& x, const LinearOptions& options) const {
  // A packed weight has the adapter in it.
  if (lora_ && !packed_.defined()) return forward_adapted(ctx, x, options);
  return linear(ctx, x, {weight_.value, packed_}, bias_.value, options);
}

Var Linear::forward_adapted(Context& ctx, const Var& x, const LinearOptions& options) const {
  const PackedWeight unpacked;
  const float drop = lora_->options.dropout;
  const Var low = linear(ctx, drop > 0.0f ? dropout(ctx, x, drop) : x, {lora_->a.value, unpacked}, {});
  const bool plain = options.activation == Activation::none && !options.gamma.defined();
  const Var update = linear(ctx, scale(ctx, low, lora_->options.factor()), {lora_->b.value, unpacked}, {},
                            {.residual = plain ? options.residual : Var()});
  Var y = linear(ctx, x, {weight_.value, packed_}, bias_.value, {.residual = update});
  if (plain) return y;
  if (options.activation != Activation::none) y = activate(ctx, y, options.activation);
  if (options.gamma.defined()) y = scale_channels(ctx, y, options.gamma);
  return options.residual.defined() ? add(ctx, y, options.residual) : y;
}

void Linear::prepare() {
  const Tensor weight = lora_ ? merge_lora_weight(weight_.value.value(), lora_->a.value.value(), lora_->b.value.value(),
                                                  lora_->options.factor())
                              : weight_.value.value();
  packed_ = PackedWeight::pack(weight);
  weight_.value = {};
}

void Linear::add_lora(const LoraOptions& options) {
  check(options.rank >= 1, "lora: rank must be at least 1, got ", options.rank);
  check(!lora_, "lora: the linear layer has an adapter already");
  const int64_t outputs = weight_.shape[0], inputs = weight_.shape[1];
  lora_ = std::make_unique<Lora>(Lora{options, {}, {}});
  // Kaiming's rule with a = sqrt(5), as the authors' code calls it.
  add_parameter("lora_a", lora_->a, {options.rank, inputs},
                Init::uniform(1.0f / std::sqrt(static_cast<float>(inputs))));
  add_parameter("lora_b", lora_->b, {outputs, options.rank}, Init::zeros());
}

Tensor merge_lora_weight(const Tensor& weight, const Tensor& a, const Tensor& b, float factor) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1), rank = a.size(0);
  check(a.shape() == Shape({rank, inputs}) && b.shape() == Shape({outputs, rank}), "lora: a ", a.shape(), " and b ",
        b.shape(), " do not fit a weight ", weight.shape());
  Tensor merged = Tensor::empty(weight.shape());
  std::vector<double> update(static_cast<size_t>(inputs));
  for (int64_t o = 0; o < outputs; ++o) {
    std::fill(update.begin(), update.end(), 0.0);
    for (int64_t r = 0; r < rank; ++r) {
      const double b_or = static_cast<double>(factor) * b.f32()[o * rank + r];
      const float* a_r = a.f32() + r * inputs;
      for (int64_t i = 0; i < inputs; ++i) update[static_cast<size_t>(i)] += b_or * a_r[i];
    }
    for (int64_t i = 0; i < inputs; ++i)
      merged.f32()[o * inputs + i] = static_cast<float>(weight.f32()[o * inputs + i] + update[static_cast<size_t>(i)]);
  }
  return merged;
}

}  // namespace vit
