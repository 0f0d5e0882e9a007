// Neighbourhood attention (Hassani et al. 2023, "Neighborhood attention transformer", section 3.1): each token looks at
// the k x k tokens around it. At the map's border the window stays inside, so that every token sees k x k of them
// (or the whole extent, where the map is smaller). With learned relative biases, as NAT has them.
//
// A table of the bias [H, 2k - 1, 2k - 1] serves every token: a token's keys are listed by their way from it, and
// places of that list outside its window stay empty.
#include <algorithm>

#include "vit/attention/grouped.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

struct NeighborhoodAttentionOptions {
  int64_t kernel_size = 7;
  bool rel_pos_bias = true;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("kernel_size", kernel_size, "Height and width of the window around each token; an odd number.", between(1, 255));
    v("rel_pos_bias", rel_pos_bias, "Learned biases of the way from token to token.");
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
  /// Errors (usage): an even kernel_size, which has no middle.
  void validate() const {
    if (kernel_size % 2 == 0) fail_usage("kernel_size ", kernel_size, " must be odd: the token is in the middle");
  }
};

/// The window of a token at `position` of an axis: [first, first + count).
struct Span {
  int64_t first, count;
};
Span window_at(int64_t position, int64_t length, int64_t kernel) {
  const int64_t count = std::min(kernel, length);
  return {std::clamp<int64_t>(position - kernel / 2, 0, length - count), count};
}

/// One group per token. With a bias a key's place in the list is its way from the token; else keys follow one another.
TokenGroups neighborhoods(const Grid& grid, int64_t kernel, bool by_way) {
  const int64_t side = by_way ? 2 * kernel - 1 : kernel, tokens = grid.count();
  Tensor queries = Tensor::empty({tokens, 1}, DType::i64), keys = Tensor::empty({tokens, side * side}, DType::i64);
  std::fill_n(keys.data<int64_t>(), keys.numel(), int64_t{-1});
  for (int64_t token = 0; token < tokens; ++token) {
    const int64_t y = token / grid.width, x = token % grid.width;
    const Span rows = window_at(y, grid.height, kernel), cols = window_at(x, grid.width, kernel);
    const int64_t first_y = by_way ? rows.first - y + kernel - 1 : 0,
                  first_x = by_way ? cols.first - x + kernel - 1 : 0;
    queries.data<int64_t>()[token] = token;
    int64_t* list = keys.data<int64_t>() + token * side * side;
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t j = 0; j < cols.count; ++j)
        list[(first_y + i) * side + first_x + j] = (rows.first + i) * grid.width + cols.first + j;
  }
  return {std::move(queries), std::move(keys)};
}

}  // namespace

/// Parameters: qkv.*, rpb [H, 2k - 1, 2k - 1], proj.*, as NAT's.
class NeighborhoodAttention : public Attention {
 public:
  using Options = NeighborhoodAttentionOptions;

  NeighborhoodAttention(const AttentionShape& shape, const NeighborhoodAttentionOptions& options)
      : options_(options),
        dim_(shape.dim),
        heads_(shape.num_heads),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    options.validate();
    if (heads_ <= 0 || dim_ % heads_ != 0)
      fail_usage("attention: dim ", dim_, " must be divisible by num_heads ", heads_);
    const int64_t side = 2 * options.kernel_size - 1;
    add_module("qkv", qkv_);
    if (options.rel_pos_bias) add_parameter("rpb", rpb_, {heads_, side, side}, Init::truncated_normal(0.02f));
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var qkv = qkv_.forward(ctx, x);
    const int64_t side = 2 * options_.kernel_size - 1;
    const GroupedHeads heads{
        .q = {qkv, 0},
        .k = {qkv, dim_},
        .v = {qkv, 2 * dim_},
        .heads = heads_,
        .head_dim = dim_ / heads_,
        .groups = neighborhoods(input.grid, options_.kernel_size, options_.rel_pos_bias),
        .bias = options_.rel_pos_bias ? reshape(ctx, rpb_.value, {heads_, 1, side * side}) : Var()};
    return proj_.forward(ctx, attend_in_groups(ctx, {heads}, input), input.residual);
  }

 private:
  NeighborhoodAttentionOptions options_;
  int64_t dim_, heads_;
  Linear qkv_;
  Parameter rpb_;
  Linear proj_;
};

VITKIT_REGISTER_ATTENTION("neighborhood", NeighborhoodAttention, .family = AttentionFamily::spatial,
                          .summary = "each token looks at the k x k tokens around it",
                          .formula = "softmax(q k^T / sqrt(D) + b) v over the k x k nearest tokens, per head",
                          .source = "Hassani et al. 2023 (NAT), section 3.1", .complexity = "O(N k^2 C)",
                          .needs_grid = true);

}  // namespace vit
