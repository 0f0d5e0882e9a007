// Self-attention with a learned bias per head and relative position (Shaw et al. 2018; Bao et al. 2022, "BEiT"; timm's
// RelPosBias). The table has a row for each difference (rows, columns) of two patches of the native grid, ordered by
// rows and then columns, and with prefix tokens three more: prefix to patch, patch to prefix, prefix to prefix. For
// another grid its map of differences is resampled, bicubic.
#include "vit/attention/self.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// Rows of the table for the prefix tokens.
constexpr int64_t kPrefixRows = 3;

/// The grid of differences between the patches of a grid.
Grid differences(const Grid& grid) { return {2 * grid.height - 1, 2 * grid.width - 1}; }

/// The table's row for each query and key, i64 [N, N].
Tensor relative_index(const Grid& grid, int64_t prefix) {
  const int64_t tokens = prefix + grid.count(), patch_rows = differences(grid).count();
  Tensor index = Tensor::empty({tokens, tokens}, DType::i64);
  int64_t* at = index.data<int64_t>();
  for (int64_t n = 0; n < tokens; ++n) {
    for (int64_t m = 0; m < tokens; ++m, ++at) {
      const int64_t query = n - prefix, key = m - prefix;
      if (query >= 0 && key >= 0)
        *at = (query / grid.width - key / grid.width + grid.height - 1) * differences(grid).width + query % grid.width -
              key % grid.width + grid.width - 1;
      else if (key >= 0)
        *at = patch_rows;  // a prefix token asks a patch
      else
        *at = patch_rows + (query >= 0 ? 1 : 2);
    }
  }
  return index;
}

class RelativePositionAttention : public SelfAttention {
 public:
  using Options = SelfAttentionOptions;
  RelativePositionAttention(const AttentionShape& shape, const SelfAttentionOptions& options)
      : SelfAttention(shape, options), prefix_(shape.prefix_tokens), grid_(shape.grid) {
    add_parameter("relative_position_bias_table", table_, {table_rows(grid_), heads()}, Init::truncated_normal(0.02f));
    index_ = relative_index(grid_, prefix_);
  }

  void prepare() override { prepared_ = bias_of(grid_); }

  void set_grid(Grid grid) override {
    if (grid == grid_) return;
    if (table_.value.defined()) {
      Context ctx;
      table_.value = table_for(ctx, grid);
    }
    table_.shape = {table_rows(grid), heads()};
    grid_ = grid;
    index_ = relative_index(grid, prefix_);
    if (prepared_.defined()) prepare();
  }

 protected:
  Var score_bias(Context& ctx, const AttentionInput& input) const override {
    check(input.prefix_tokens == prefix_, "relative_position: built for ", prefix_, " prefix tokens, got ",
          input.prefix_tokens);
    const bool ready = prepared_.defined() && input.grid == grid_;
    const Var bias = ready ? Var(prepared_) : expand(ctx, input.grid);
    return input.bias.defined() ? add(ctx, bias, input.bias) : bias;
  }

 private:
  int64_t table_rows(const Grid& grid) const { return differences(grid).count() + (prefix_ > 0 ? kPrefixRows : 0); }

  Tensor bias_of(const Grid& grid) const {
    Context ctx;
    return expand(ctx, grid).value().clone();
  }

  /// The table for another grid, [rows, H].
  Var table_for(Context& ctx, const Grid& grid) const {
    const Var& table = table_.value;
    if (grid == grid_) return table;
    const Grid from = differences(grid_), to = differences(grid);
    const Var patches = reshape(ctx, slice_rows(ctx, table, 0, from.count()), {1, from.count(), heads()});
    const Var resampled =
        resample_grid(ctx, patches, 0, from.height, from.width, to.height, to.width, Interpolation::bicubic);
    const Var rows = reshape(ctx, resampled, {to.count(), heads()});
    if (prefix_ == 0) return rows;
    return concat(ctx, {rows, slice_rows(ctx, table, from.count(), from.count() + kPrefixRows)}, 0);
  }

  /// [H, N, N]
  Var expand(Context& ctx, const Grid& grid) const {
    const Tensor index = grid == grid_ ? index_ : relative_index(grid, prefix_);
    return permute(ctx, embedding(ctx, table_for(ctx, grid), index), {2, 0, 1});
  }

  int64_t prefix_;
  Grid grid_;
  Parameter table_;
  Tensor index_;     ///< for grid_
  Tensor prepared_;  ///< the bias for grid_, once nothing is trained any more
};

VITKIT_REGISTER_ATTENTION("relative_position", RelativePositionAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention with a learned bias per head and relative position",
                          .formula = "softmax(q k^T / sqrt(D) + b_h[row(n) - row(m), column(n) - column(m)]) v",
                          .source = "Bao et al. 2022 (BEiT); Shaw et al. 2018", .complexity = "O(N^2 C)",
                          .needs_grid = true);

}  // namespace

}  // namespace vit
