// Agent attention (Han et al. 2023, "Agent attention: on the integration of softmax and linear attention", section 3):
// a few agents, queries pooled on the grid, look at all tokens, and all tokens look at the agents.
#include <cmath>
#include <optional>

#include "vit/attention/local_values.h"
#include "vit/attention/map_shares.h"
#include "vit/attention/memory.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/tensor_ops.h"
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
    v("pool_size", pool_size, "Rows and columns of agents: their number is its square.", between(1, 32));
    v("conv", conv, "A depthwise 3 x 3 convolution of the values is added: what few agents cannot tell apart.");
    v("bias", bias, "Learned position biases between agents and cells.");
    v("window", window, "Extent of the coarse tables that these biases are resampled from.", between(1, 64));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// Row i * size + j of [size^2, prefix + cells] takes the mean of one bin of the grid; prefix tokens are in none.
Tensor pooling_matrix(int64_t size, const Grid& grid, int64_t prefix) {
  return map_shares(adaptive_average(grid.height, size), adaptive_average(grid.width, size), prefix);
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
        head_dim_(head_dim_of(shape)),
        pool_size_(options.pool_size),
        prefix_(shape.prefix_tokens),
        grid_(shape.grid),
        pooling_(pooling_matrix(pool_size_, grid_, prefix_)),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("qkv", qkv_);
    add_module("proj", proj_);
    if (options.conv) add_module("dwc", dwc_.emplace(local_convolution(dim_, 3)));
    if (options.bias)
      add_module("", bias_.emplace(heads_, pool_size_ * pool_size_, options.window, shape.grid, shape.prefix_tokens));
  }

  void set_grid(Grid grid) override {
    grid_ = grid;
    pooling_ = pooling_matrix(pool_size_, grid, prefix_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    refuse_bias("agent", input);
    const int64_t prefix = input.prefix_tokens;
    const Var qkv = qkv_.forward(ctx, x);
    const bool native = input.grid == grid_ && prefix == prefix_;
    const Tensor pooling = native ? pooling_ : pooling_matrix(pool_size_, input.grid, prefix);
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
    if (dwc_) mixed = with_local_values(ctx, mixed, *dwc_, qkv, input);
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  int64_t dim_, heads_, head_dim_, pool_size_, prefix_;
  Grid grid_;
  Tensor pooling_;  ///< for grid_ and prefix_
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
