// Axial attention (Ho et al. 2019, "Axial attention in multidimensional transformers", section 3; Wang et al. 2020,
// "Axial-DeepLab", without its position terms): a token looks along its row and along its column, O(N (h + w) C).
//
// Here both happen in one layer, as CSWin has it: the first half of the heads (rounded up) looks along rows, the others
// along columns. With a single head, layers alternate: even ones look along rows. Two layers reach the whole map.
#include "vit/attention/grouped.h"
#include "vit/attention/memory.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

struct AxialAttentionOptions {
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// Every row, or every column, is a group.
TokenGroups lines(const Grid& grid, bool rows) {
  const int64_t count = rows ? grid.height : grid.width, length = rows ? grid.width : grid.height;
  Tensor tokens = Tensor::empty({count, length}, DType::i64);
  int64_t* at = tokens.data<int64_t>();
  for (int64_t line = 0; line < count; ++line)
    for (int64_t i = 0; i < length; ++i) *at++ = rows ? line * grid.width + i : i * grid.width + line;
  return {tokens, tokens};
}

}  // namespace

/// Parameters: qkv.*, proj.*, as self-attention's.
class AxialAttention : public Attention {
 public:
  using Options = AxialAttentionOptions;

  AxialAttention(const AttentionShape& shape, const AxialAttentionOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        row_heads_(shape.num_heads > 1 ? (shape.num_heads + 1) / 2 : (shape.layer + 1) % 2),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("qkv", qkv_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var qkv = qkv_.forward(ctx, x);
    std::vector<GroupedHeads> parts;
    if (row_heads_ > 0) parts.push_back(along(qkv, 0, row_heads_, lines(input.grid, true)));
    if (row_heads_ < heads_) parts.push_back(along(qkv, row_heads_, heads_, lines(input.grid, false)));
    return proj_.forward(ctx, attend_in_groups(ctx, parts, input), input.residual);
  }

 private:
  /// Heads [first, last) within rows or columns.
  GroupedHeads along(const Var& qkv, int64_t first, int64_t last, TokenGroups groups) const {
    const int64_t offset = first * head_dim_;
    return {.q = {qkv, offset},
            .k = {qkv, dim_ + offset},
            .v = {qkv, 2 * dim_ + offset},
            .heads = last - first,
            .head_dim = head_dim_,
            .groups = std::move(groups)};
  }

  int64_t dim_, heads_, head_dim_, row_heads_;
  Linear qkv_, proj_;
};

VITKIT_REGISTER_ATTENTION("axial", AxialAttention, .family = AttentionFamily::spatial,
                          .summary = "half the heads look along the token's row, the others along its column",
                          .formula = "softmax(q k^T / sqrt(D)) v within rows and within columns, per head",
                          .source = "Ho et al. 2019, section 3; Wang et al. 2020 (Axial-DeepLab)",
                          .complexity = "O(N (h + w) C)", .needs_grid = true, .equivariance = Equivariance::axes);

}  // namespace vit
