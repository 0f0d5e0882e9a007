// Global context (Cao et al. 2019, "GCNet"), with timm's options.
#pragma once

#include <optional>

#include "vit/autograd/names.h"
#include "vit/nn/squeeze.h"

namespace vit {

struct GlobalContextOptions {
  bool use_attn = true;
  bool fuse_add = false;
  bool fuse_scale = true;
  SqueezeWidth width{.rd_ratio = 1.0 / 8.0, .rd_divisor = 1};
  Activation act_layer = Activation::relu;
  Activation gate_layer = Activation::sigmoid;

  template <class V>
  void visit_fields(V& v) {
    v("use_attn", use_attn, "The context is a learned mean of the tokens; else the plain one.");
    v("fuse_add", fuse_add, "The transformed context is added to every token.");
    v("fuse_scale", fuse_scale, "The transformed context is a gate on the channels.");
    width.visit_fields(v);
    v("act_layer", act_layer, "Activation between the layers.");
    v("gate_layer", gate_layer, "Activation of the gate.");
  }
};

class GlobalContext : public Attention {
 public:
  using Options = GlobalContextOptions;
  /// Parameters: conv_attn.*, mlp_add.*, mlp_scale.* (fc1, norm, fc2 each), as far as the options have them.
  GlobalContext(const AttentionShape& shape, const GlobalContextOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  Var context(Context& ctx, const Var& x) const;

  GlobalContextOptions options_;
  std::optional<Conv2d> conv_attn_;
  std::optional<SqueezeMlp> mlp_add_, mlp_scale_;
};

}  // namespace vit
