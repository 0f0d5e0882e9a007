// Parts that channel attentions share: what maps are squeezed into, how far a bottleneck narrows, and the two layers
// between them. Feature maps are tokens here: [B, N, C].
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/conv_norm.h"
#include "vit/nn/norm.h"

namespace vit {

/// `value` rounded to the nearest multiple of `divisor`, at least `divisor`, and one multiple more where rounding took
/// it below round_limit * value (Sandler et al. 2018, "MobileNetV2", as their code and timm have it).
int64_t make_divisible(double value, int64_t divisor, double round_limit = 0.9);

/// How wide the middle of a bottleneck is, with timm's names and its default rounding.
struct SqueezeWidth {
  double rd_ratio = 1.0 / 16.0;
  std::optional<int64_t> rd_channels{};
  int64_t rd_divisor = 8;
  double round_limit = 0.0;
  int64_t of(int64_t channels) const;

  template <class V>
  void visit_fields(V& v) {
    v("rd_ratio", rd_ratio, "Width of the middle layer as a part of the channels.", between(1e-4, 64));
    v("rd_channels", rd_channels, "That width itself; overrides rd_ratio.", between(1, 1 << 16));
    v("rd_divisor", rd_divisor, "The width is rounded to a multiple of this.", between(1, 1 << 16));
  }
};

/// Normalisation between the two layers.
enum class SqueezeNorm { none, layer_norm, batch_norm };
/// "none", "layernorm", "batchnorm".
const std::vector<std::pair<SqueezeNorm, std::string>>& enum_names(SqueezeNorm);

/// fc2(act(norm(fc1(x)))), with weights [out, in, 1, 1] as 1 x 1 convolutions have them.
class SqueezeMlp : public Module {
 public:
  struct Options {
    int64_t dim = 0, hidden = 0;
    bool bias = true;
    Activation activation = Activation::relu;
    SqueezeNorm norm = SqueezeNorm::none;
  };
  /// Parameters: fc1.*, fc2.*, and the norm's: bn.* (batch norm) or norm.* (layer norm, eps 1e-6).
  explicit SqueezeMlp(const Options& options);

  /// x [B, C] -> gate(...) [B, C]
  Var forward(Context& ctx, const Var& x, Activation gate = Activation::none) const;

 private:
  Options options_;
  std::optional<Conv2d> fc1_;
  std::optional<ConvNorm> fc1_bn_;  // in its place, with a batch norm
  Norm norm_;
  Conv2d fc2_;
};

/// The mean over tokens, or with `add_maxpool` half of it and half of the maximum: [B, N, C] -> [B, C].
Var squeeze_tokens(Context& ctx, const Var& x, bool add_maxpool);

/// How a channel attention ends: x [B, N, C] times gate [B, C], with the block's residual and layer scale, for the
/// tokens that are wanted. Offers the gate to observers as "channel_probs".
Var gate_tokens(Context& ctx, const Var& x, const Var& gate, const AttentionInput& input);

}  // namespace vit
