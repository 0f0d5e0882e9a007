// Self-attention whose output passes a gate (Qiu et al. 2025, "Gated attention for large language models", section 2.2:
// position G1, after the heads and before the last projection): each channel, or each head, of a token is let through
// as far as the token itself says.
#include "vit/attention/self.h"

namespace vit {

namespace {

struct GatedOptions : SelfAttentionOptions {
  bool headwise = false;

  template <class V>
  void visit_fields(V& v) {
    SelfAttentionOptions::visit_fields(v);
    v("headwise", headwise, "One gate per head in place of one per channel.");
  }
};

class GatedAttention : public SelfAttention {
 public:
  using Options = GatedOptions;
  GatedAttention(const AttentionShape& shape, const GatedOptions& options)
      : SelfAttention(shape, options),
        headwise_(options.headwise),
        gate_(shape.dim, options.headwise ? shape.num_heads : shape.dim, options.qkv_bias) {
    add_module("gate", gate_);
  }

 protected:
  Var filter(Context& ctx, const Var& mixed, const Var& x) const override {
    const int64_t batch = mixed.size(0), tokens = mixed.size(1);
    const Var asking = tokens < x.size(1) ? slice_tokens(ctx, x, 0, tokens) : x;
    const Var open = gate_.forward(ctx, asking, {.activation = Activation::sigmoid});
    if (!headwise_) return multiply(ctx, mixed, open);
    const Var by_head = multiply(ctx, reshape(ctx, mixed, {batch, tokens, heads(), head_dim()}),
                                 reshape(ctx, open, {batch, tokens, heads(), 1}));
    return reshape(ctx, by_head, mixed.shape());
  }

 private:
  bool headwise_;
  Linear gate_;
};

VITKIT_REGISTER_ATTENTION("gated", GatedAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention whose output passes a sigmoid gate of the query's token",
                          .formula = "(softmax(q k^T / sqrt(D)) v) * sigmoid(x W_g)",
                          .source = "Qiu et al. 2025, section 2.2 (G1)", .complexity = "O(N^2 C + N C^2)",
                          .offers_keys = true, .equivariance = Equivariance::tokens);

}  // namespace

}  // namespace vit
