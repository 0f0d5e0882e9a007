#include "vit/attention/block_grid.h"

#include <cmath>

#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

WindowBiasOptions bias_options(const AttentionShape& shape, const PartitionAttentionOptions& options,
                               Partition partition) {
  const bool whole = partition == Partition::whole;
  if (whole && shape.grid.count() == 0) fail_usage("attention over a whole map needs a grid of patches");
  return {.kind = options.rel_pos_type,
          .window = whole ? std::array<int64_t, 2>{shape.grid.height, shape.grid.width} : options.window,
          .heads = shape.num_heads,
          .hidden = options.rel_pos_dim};
}

int64_t rounded_up(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace

PartitionAttention::HeadFirstLinear::HeadFirstLinear(int64_t inputs, int64_t outputs, int64_t heads, bool bias)
    : heads_(heads) {
  add_parameter("weight", weight_, {outputs, inputs}, Init::truncated_normal(0.02f));
  if (bias) add_parameter("bias", bias_, {outputs}, Init::zeros());
}

Var PartitionAttention::HeadFirstLinear::ordered(Context& ctx, const Var& rows) const {
  const int64_t outputs = rows.size(0), columns = rows.value().numel() / outputs;
  const Var heads = reshape(ctx, rows, {heads_, 3, outputs / (3 * heads_), columns});
  return reshape(ctx, permute(ctx, heads, {1, 0, 2, 3}), rows.shape());
}

Var PartitionAttention::HeadFirstLinear::forward(Context& ctx, const Var& x) const {
  if (packed_.defined()) return linear(ctx, x, {weight_.value, packed_}, bias_.value);
  const Var bias = bias_.value.defined() ? ordered(ctx, bias_.value) : Var();
  return linear(ctx, x, {ordered(ctx, weight_.value), packed_}, bias);
}

void PartitionAttention::HeadFirstLinear::prepare() {
  Context ctx;
  packed_ = PackedWeight::pack(ordered(ctx, weight_.value).value());
  weight_.value = {};
  if (bias_.value.defined()) bias_.value = Var(ordered(ctx, bias_.value).value().clone());
}

PartitionAttention::PartitionAttention(const AttentionShape& shape, const PartitionAttentionOptions& options,
                                       Partition partition, const AttentionWidths& widths)
    : partition_(partition),
      widths_(widths),
      heads_(shape.num_heads),
      rel_pos_(bias_options(shape, options, partition)),
      proj_(widths.inner, widths.out, options.proj_bias) {
  if (heads_ <= 0 || widths.inner % heads_ != 0)
    fail_usage("attention: a width of ", widths.inner, " must be divisible by num_heads ", heads_);
  if (options.head_first)
    head_first_qkv_ = std::make_unique<HeadFirstLinear>(shape.dim, 3 * widths.inner, heads_, options.qkv_bias);
  else
    qkv_ = std::make_unique<Linear>(shape.dim, 3 * widths.inner, options.qkv_bias);
  add_module("qkv", qkv_ ? static_cast<Module&>(*qkv_) : *head_first_qkv_);
  add_module("rel_pos", rel_pos_);
  add_module("proj", proj_);
}

void PartitionAttention::set_grid(Grid grid) {
  if (partition_ == Partition::whole) rel_pos_.set_window({grid.height, grid.width});
}

Var PartitionAttention::attend_whole(Context& ctx, const Var& qkv, const AttentionInput& input) const {
  const std::array<int64_t, 2>& window = rel_pos_.window();
  check(input.grid == Grid{window[0], window[1]} && input.prefix_tokens == 0,
        "attention: the position bias is made for a map of ", window[0], " x ", window[1], ", got ", input.grid.height,
        " x ", input.grid.width, " and ", input.prefix_tokens, " prefix token(s); set the model's input size");
  const int64_t inner = widths_.inner, head_dim = inner / heads_;
  Var bias = rel_pos_.forward(ctx);
  if (input.bias.defined()) bias = bias.defined() ? add(ctx, bias, input.bias) : input.bias;
  const AttentionOptions options{
      .heads = heads_, .head_dim = head_dim, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)), .bias = bias};
  const Var mixed = observed_attention(ctx, {qkv, 0}, {qkv, inner}, {qkv, 2 * inner}, options);
  return input.wanted_tokens > 0 ? slice_tokens(ctx, mixed, 0, input.wanted_tokens) : mixed;
}

Var PartitionAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var qkv = qkv_ ? qkv_->forward(ctx, x) : head_first_qkv_->forward(ctx, x);
  if (partition_ == Partition::whole) return proj_.forward(ctx, attend_whole(ctx, qkv, input), input.residual);
  const int64_t inner = widths_.inner;
  const GroupedHeads heads{.q = {qkv, 0},
                           .k = {qkv, inner},
                           .v = {qkv, 2 * inner},
                           .heads = heads_,
                           .head_dim = inner / heads_,
                           .groups = partition_groups(input.grid, rel_pos_.window(), partition_),
                           .bias = rel_pos_.forward(ctx)};
  return proj_.forward(ctx, attend_in_groups(ctx, {heads}, input), input.residual);
}

TokenGroups partition_groups(const Grid& grid, const std::array<int64_t, 2>& window, Partition partition) {
  check(grid.count() > 0, "attention: the tokens form no grid");
  const bool spread = partition == Partition::grid;
  // Groups down and across, and the step from a token to the next one of its group.
  const int64_t down = rounded_up(grid.height, window[0]), across = rounded_up(grid.width, window[1]);
  const int64_t step_y = spread ? down : 1, step_x = spread ? across : 1;
  const int64_t first_y = spread ? 1 : window[0], first_x = spread ? 1 : window[1];
  Tensor tokens = Tensor::empty({down * across, window[0] * window[1]}, DType::i64);
  int64_t* at = tokens.data<int64_t>();
  for (int64_t group_y = 0; group_y < down; ++group_y)
    for (int64_t group_x = 0; group_x < across; ++group_x)
      for (int64_t i = 0; i < window[0]; ++i)
        for (int64_t j = 0; j < window[1]; ++j) {
          const int64_t y = group_y * first_y + i * step_y, x = group_x * first_x + j * step_x;
          *at++ = y < grid.height && x < grid.width ? y * grid.width + x : -1;
        }
  return {tokens, tokens};
}

VITKIT_REGISTER_ATTENTION("block", BlockAttention, .family = AttentionFamily::spatial,
                          .summary = "MaxViT's windows of neighbouring tokens, without shift",
                          .formula = "softmax(q k^T / sqrt(D) + b) v within windows of h x w neighbours, per head",
                          .source = "Tu et al. 2022 (MaxViT), section 3.2", .complexity = "O(N h w C)",
                          .needs_grid = true);

VITKIT_REGISTER_ATTENTION("grid", GridAttention, .family = AttentionFamily::spatial,
                          .summary = "MaxViT's windows of tokens that are spread evenly over the map",
                          .formula = "softmax(q k^T / sqrt(D) + b) v within h x w tokens that are H/h x W/w apart",
                          .source = "Tu et al. 2022 (MaxViT), section 3.2", .complexity = "O(N h w C)",
                          .needs_grid = true);

}  // namespace vit
