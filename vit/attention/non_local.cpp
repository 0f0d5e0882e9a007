// The non-local block (Wang et al. 2018, "Non-local neural networks"), with timm's options.
#include <cmath>

#include "vit/autograd/observed.h"
#include "vit/nn/squeeze.h"

namespace vit {

namespace {

struct NonLocalOptions {
  bool use_scale = true;
  SqueezeWidth width{.rd_ratio = 1.0 / 8.0, .round_limit = 0.9};

  template <class V>
  void visit_fields(V& v) {
    v("use_scale", use_scale, "Scores are divided by the square root of the channels.");
    width.visit_fields(v);
  }
};

/// Self-attention of one head on rd_channels channels, batch norm, and a skip connection of its own.
class NonLocal : public Attention {
 public:
  using Options = NonLocalOptions;
  /// Parameters: t.*, p.*, g.* (queries, keys, values) and z.* as 1 x 1 convolutions, norm.* (batch norm).
  NonLocal(const AttentionShape& shape, const NonLocalOptions& options)
      : width_(options.width.of(shape.dim)),
        scale_(options.use_scale ? 1.0f / std::sqrt(static_cast<float>(shape.dim)) : 1.0f),
        t_({.in_channels = shape.dim, .out_channels = width_}),
        p_({.in_channels = shape.dim, .out_channels = width_}),
        g_({.in_channels = shape.dim, .out_channels = width_}),
        z_({.conv = {.in_channels = width_, .out_channels = shape.dim},
            .conv_name = "z",
            .norm_name = "norm",
            .zero_init = true}) {
    add_module("t", t_);
    add_module("p", p_);
    add_module("g", g_);
    add_module("", z_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var kept = input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
    const HeadColumns q{t_.forward(ctx, kept)}, k{p_.forward(ctx, x)}, v{g_.forward(ctx, x)};
    const AttentionOptions options{.heads = 1, .head_dim = width_, .scale = scale_, .bias = input.bias};
    const Var y = add(ctx, z_.forward(ctx, observed_attention(ctx, q, k, v, options)), kept);
    return with_residual(ctx, y, input.residual);
  }

 private:
  int64_t width_;
  float scale_;
  Conv2d t_, p_, g_;
  ConvNorm z_;
};

VITKIT_REGISTER_ATTENTION("non_local", NonLocal, .family = AttentionFamily::region,
                          .summary = "non-local block: attention of one head on few channels, beside a skip connection",
                          .formula = "x + BN(Wz softmax(Wt x (Wp x)^T / sqrt(C)) Wg x)",
                          .source = "Wang et al. 2018, Non-local neural networks, section 3.3, embedded Gaussian",
                          .complexity = "O(N^2 C / r)", .equivariance = Equivariance::tokens);

}  // namespace

}  // namespace vit
