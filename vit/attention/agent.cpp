// Agent attention (Han et al. 2023, "Agent attention: on the integration of softmax and linear attention", section 3):
// a few agents, queries pooled on the grid, look at all tokens, and all tokens look at the agents.
#include <cmath>
#include <optional>

#include "vit/attention/memory.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"
#include "vit/nn/conv2d.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

struct AgentOptions {
  int64_t pool_size = 7;
  bool conv = true;
  bool bias = true;
  int64_t window = 7;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("pool_size", pool_size, "Rows and columns of agents: their number is its square.", between(1, 256));
    v("conv", conv, "A depthwise 3 x 3 convolution of the values is added: what few agents cannot tell apart.");
    v("bias", bias, "Learned position biases between agents and cells.");
    v("window", window, "Extent of the coarse tables that these biases are resampled from.", between(1, 256));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// Row i * size + j of [size^2, prefix + cells] takes the mean of one bin of the grid, as torch's AdaptiveAvgPool2d
/// places them; prefix tokens are in none.
Tensor pooling_matrix(int64_t size, const Grid& grid, int64_t prefix) {
  Tensor matrix = Tensor::zeros({size * size, prefix + grid.count()});
  const auto bin = [size](int64_t i, int64_t extent) {
    return Range{i * extent / size, ((i + 1) * extent + size - 1) / size};
  };
  for (int64_t agent = 0; agent < size * size; ++agent) {
    const Range rows = bin(agent / size, grid.height), cols = bin(agent % size, grid.width);
    const auto cells = static_cast<float>((rows.end - rows.begin) * (cols.end - cols.begin));
    for (int64_t row = rows.begin; row < rows.end; ++row)
      for (int64_t col = cols.begin; col < cols.end; ++col)
        matrix.f32()[agent * matrix.size(1) + prefix + row * grid.width + col] = 1.0f / cells;
  }
  return matrix;
}

/// The position biases between A agents and the tokens (section 3.3): a coarse table, a row part and a column part, and
/// one number for each prefix token. The names are the authors': a agents, n tokens, h and w rows and columns, c the
/// class token.
class AgentBias : public Module {
 public:
  AgentBias(int64_t heads, int64_t agents, int64_t window, const Grid& grid, int64_t prefix)
      : heads_(heads), agents_(agents), window_(window), grid_(grid) {
    const auto init = Init::truncated_normal(0.02f);
    add_parameter("an_bias", an_, {heads, agents, window, window}, init);
    add_parameter("na_bias", na_, {heads, agents, window, window}, init);
    add_parameter("ah_bias", ah_, {1, heads, agents, grid.height, 1}, init);
    add_parameter("aw_bias", aw_, {1, heads, agents, 1, grid.width}, init);
    add_parameter("ha_bias", ha_, {1, heads, grid.height, 1, agents}, init);
    add_parameter("wa_bias", wa_, {1, heads, 1, grid.width, agents}, init);
    if (prefix == 0) return;
    add_parameter("ac_bias", ac_, {1, heads, agents, prefix}, init);
    add_parameter("ca_bias", ca_, {1, heads, prefix, agents}, init);
  }

  /// [1, H, A, prefix + cells], added where agents look at tokens.
  Var of_agents(Context& ctx, const Grid& grid) const {
    const Var cells =
        add(ctx,
            add(ctx, resized(ctx, reshape(ctx, ah_.value, {heads_ * agents_, grid_.height, 1, 1}), grid.height, 1),
                table(ctx, an_.value, grid)),
            resized(ctx, reshape(ctx, aw_.value, {heads_ * agents_, 1, grid_.width, 1}), 1, grid.width));
    const Var bias = reshape(ctx, cells, {1, heads_, agents_, grid.count()});
    return ac_.value.defined() ? concat(ctx, {ac_.value, bias}, 3) : bias;
  }

  /// [1, H, prefix + cells, A], added where tokens look at agents.
  Var of_tokens(Context& ctx, const Grid& grid) const {
    const Var coarse = reshape(ctx, table(ctx, na_.value, grid), {heads_, agents_, grid.height, grid.width});
    const Var rows = resized(ctx, reshape(ctx, ha_.value, {heads_, grid_.height, 1, agents_}), grid.height, 1);
    const Var cols = resized(ctx, reshape(ctx, wa_.value, {heads_, 1, grid_.width, agents_}), 1, grid.width);
    const Var cells = add(ctx, add(ctx, permute(ctx, coarse, {0, 2, 3, 1}), rows), cols);  // [H, h, w, A]
    const Var bias = reshape(ctx, cells, {1, heads_, grid.count(), agents_});
    return ca_.value.defined() ? concat(ctx, {ca_.value, bias}, 2) : bias;
  }

 private:
  static Var resized(Context& ctx, const Var& map, int64_t height, int64_t width) {
    return map.size(1) == height && map.size(2) == width ? map : resize_map(ctx, map, height, width);
  }
  /// [H * A, h, w, 1]
  Var table(Context& ctx, const Var& coarse, const Grid& grid) const {
    return resized(ctx, reshape(ctx, coarse, {heads_ * agents_, window_, window_, 1}), grid.height, grid.width);
  }

  int64_t heads_, agents_, window_;
  Grid grid_;
  Parameter an_, na_, ah_, aw_, ha_, wa_, ac_, ca_;
};

class AgentAttention : public Attention {
 public:
  using Options = AgentOptions;
  AgentAttention(const AttentionShape& shape, const AgentOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of("agent", shape)),
        pool_size_(options.pool_size),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("qkv", qkv_);
    add_module("proj", proj_);
    const Conv2dOptions near{.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = dim_};
    if (options.conv)
      add_module("dwc", dwc_.emplace(Conv2d::Options{.in_channels = dim_, .out_channels = dim_, .conv = near}));
    if (options.bias)
      add_module("", bias_.emplace(heads_, pool_size_ * pool_size_, options.window, shape.grid, shape.prefix_tokens));
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    refuse_bias("agent", input);
    const int64_t prefix = input.prefix_tokens;
    const Var qkv = qkv_.forward(ctx, x);
    const Tensor pooling = pooling_matrix(pool_size_, input.grid, prefix);
    const Var agents = matmul(ctx, pooling, slice_features(ctx, qkv, 0, dim_));  // [B, A, C]
    AttentionOptions options{.heads = heads_,
                             .head_dim = head_dim_,
                             .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                             .bias = bias_ ? bias_->of_agents(ctx, input.grid) : Var()};
    const Var values = attention(ctx, {agents, 0}, {qkv, dim_}, {qkv, 2 * dim_}, options);
    const AttentionOptions gathering = options;
    options.bias = bias_ ? bias_->of_tokens(ctx, input.grid) : Var();
    const Var asking = asking_tokens(ctx, qkv, input);
    if (ctx.wants("probs")) {
      const Var out = attention_probs(ctx, {asking, 0}, {agents, 0}, options);
      ctx.observe("probs", matmul(ctx, out, attention_probs(ctx, {agents, 0}, {qkv, dim_}, gathering)).value());
    }
    Var mixed = attention(ctx, {asking, 0}, {agents, 0}, {values, 0}, options);
    // Prefix tokens are no cells: where only they are wanted there is nothing to convolve.
    if (dwc_ && mixed.size(1) > prefix)
      mixed = add(ctx, mixed, slice_tokens(ctx, convolved_values(ctx, qkv, input), 0, mixed.size(1)));
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  /// [B, N, C]; zeros for prefix tokens.
  Var convolved_values(Context& ctx, const Var& qkv, const AttentionInput& input) const {
    const int64_t batch = qkv.size(0), prefix = input.prefix_tokens, tokens = qkv.size(1);
    const Var values = slice_tokens(ctx, slice_features(ctx, qkv, 2 * dim_, 3 * dim_), prefix, tokens);
    const Var map = reshape(ctx, values, {batch, input.grid.height, input.grid.width, dim_});
    const Var near = reshape(ctx, dwc_->forward(ctx, map), {batch, tokens - prefix, dim_});
    return prefix == 0 ? near : concat_tokens(ctx, Tensor::zeros({1, prefix, dim_}), near);
  }

  int64_t dim_, heads_, head_dim_, pool_size_;
  Linear qkv_, proj_;
  std::optional<Conv2d> dwc_;
  std::optional<AgentBias> bias_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION(
    "agent", AgentAttention, .family = AttentionFamily::spatial,
    .summary = "a few agents look at all tokens, and all tokens look at the agents",
    .formula = "softmax(q a^T / sqrt(D) + b2) softmax(a k^T / sqrt(D) + b1) v + conv(v), a = pool(q)",
    .source = "Han et al. 2023, eq. 3 and 4", .complexity = "O(N A C), A agents", .needs_grid = true);

}  // namespace vit
