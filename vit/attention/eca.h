// Efficient channel attention (Wang et al. 2020): a short convolution along the channels' means, with timm's options.
#pragma once

#include <optional>

#include "vit/autograd/names.h"
#include "vit/nn/squeeze.h"

namespace vit {

struct EcaOptions {
  static constexpr int64_t kMaxKernel = 1023;  ///< odd

  std::optional<int64_t> kernel_size{};
  double gamma = 2.0;
  double beta = 1.0;
  bool circular = false;
  bool use_mlp = false;
  SqueezeWidth width{.rd_ratio = 1.0 / 8.0, .round_limit = 0.9};
  Activation act_layer = Activation::relu;
  Activation gate_layer = Activation::sigmoid;

  template <class V>
  void visit_fields(V& v) {
    v("kernel_size", kernel_size, "Channels that a gate looks at, odd; none: by gamma and beta.",
      between(1, kMaxKernel));
    v("gamma", gamma, "The kernel is |log2(C) + beta| / gamma, made odd, from 3 to 1023.", between(0.001, 1000));
    v("beta", beta, "See gamma.", between(-1000, 1000));
    v("circular", circular, "The last channel is the first one's neighbour (timm's CecaModule); else zeros are.");
    v("use_mlp", use_mlp, "Two layers, an experiment of timm's: rd_channels features of each mean, then the kernel.");
    width.visit_fields(v);
    v("act_layer", act_layer, "Activation between them.");
    v("gate_layer", gate_layer, "Activation of the gate.");
  }
  /// Errors (usage): an even kernel, use_mlp with circular.
  void validate() const;
  /// The kernel for so many channels (section 3.3, eq. 12).
  int64_t kernel_for(int64_t channels) const;
};

/// A convolution along a sequence, without padding: torch.nn.SequenceConv.
class SequenceConv : public Module {
 public:
  /// Parameters: weight [outputs, inputs, kernel] and bias [outputs].
  SequenceConv(int64_t inputs, int64_t outputs, int64_t kernel, bool bias);
  /// x [B, N, inputs] -> [B, N - kernel + 1, outputs]
  Var forward(Context& ctx, const Var& x, Activation activation = Activation::none) const;
  void prepare() override;

 private:
  Var taps(Context& ctx) const;
  Parameter weight_, bias_;
  PackedWeight packed_;
};

class Eca : public Attention {
 public:
  using Options = EcaOptions;
  /// Parameters: conv.weight [1, 1, kernel]; with use_mlp conv.* [rd_channels, 1, 1] and conv2.* [1, rd_channels,
  /// kernel]. Errors (usage): a circular kernel that reaches around more than once.
  Eca(const AttentionShape& shape, const EcaOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  /// [B, N, c] with what stands beside the first and the last entry: [B, N + kernel - 1, c].
  Var with_borders(Context& ctx, const Var& x) const;

  EcaOptions options_;
  int64_t kernel_;
  SequenceConv conv_;
  std::optional<SequenceConv> conv2_;
};

}  // namespace vit
