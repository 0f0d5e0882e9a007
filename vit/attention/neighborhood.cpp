// Neighbourhood attention (Hassani et al. 2023, "Neighborhood attention transformer", section 3.1): each token looks at
// the k x k tokens around it. At the map's border the window stays inside, so that every token sees k x k of them
// (or the whole extent, where the map is smaller). With learned relative biases, as NAT has them.
//
// Tokens ask in tiles of 4 x 4, whose windows are much the same: a tile's keys are listed by their way from its corner,
// so that one table of biases serves all tiles, and a mask hides from each token what is outside its own window. Tiles
// inside the map share one mask. Time and memory grow like N.
#include <algorithm>
#include <limits>
#include <map>

#include "vit/attention/grouped.h"
#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"
#include "vit/nn/window_bias.h"

namespace vit {

namespace {

constexpr int64_t kTile = 4;
constexpr int64_t kMaxKernel = 63;
static_assert(kMaxKernel * kMaxKernel <= kMaxWindowTokens);

struct NeighborhoodAttentionOptions {
  int64_t kernel_size = 7;
  bool rel_pos_bias = true;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("kernel_size", kernel_size, "Height and width of the window around each token; an odd number.",
      between(1, kMaxKernel));
    v("rel_pos_bias", rel_pos_bias, "Learned biases of the way from token to token.");
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
  /// Errors (usage): an even kernel_size, which has no middle.
  void validate() const {
    if (kernel_size % 2 == 0) fail_usage("kernel_size ", kernel_size, " must be odd: the token is in the middle");
  }
};

/// How the tiles of an axis see it. A slot is a key's way from the tile's first token, the first slot being -(k - 1).
struct TiledAxis {
  int64_t length, kernel, tiles, slots;
  std::vector<std::vector<bool>> sights{};  ///< of each kind of tile: [kTile, slots], who sees what
  std::vector<int64_t> kinds{};             ///< of each tile

  TiledAxis(int64_t axis_length, int64_t kernel_size)
      : length(axis_length),
        kernel(kernel_size),
        tiles((axis_length + kTile - 1) / kTile),
        slots(2 * (kernel_size - 1) + kTile) {
    std::map<std::vector<bool>, int64_t> known;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const std::vector<bool> sight = sight_of(tile);
      const auto [entry, added] = known.emplace(sight, static_cast<int64_t>(known.size()));
      if (added) sights.push_back(sight);
      kinds.push_back(entry->second);
    }
  }
  /// A token's place, or a slot's; -1: outside the axis.
  int64_t token(int64_t tile, int64_t i) const { return within(tile * kTile + i); }
  int64_t key(int64_t tile, int64_t slot) const { return within(tile * kTile + slot - (kernel - 1)); }
  bool sees(int64_t kind, int64_t i, int64_t slot) const {
    return sights[static_cast<size_t>(kind)][static_cast<size_t>(i * slots + slot)];
  }

 private:
  int64_t within(int64_t place) const { return place >= 0 && place < length ? place : -1; }
  std::vector<bool> sight_of(int64_t tile) const {
    std::vector<bool> sight(static_cast<size_t>(kTile * slots), false);
    const int64_t count = std::min(kernel, length);
    for (int64_t i = 0; i < kTile; ++i) {
      const int64_t position = token(tile, i);
      if (position < 0) continue;
      const int64_t first = std::clamp<int64_t>(position - kernel / 2, 0, length - count);
      for (int64_t slot = 0; slot < slots; ++slot) {
        const int64_t place = key(tile, slot);
        sight[static_cast<size_t>(i * slots + slot)] = place >= first && place < first + count && place >= 0;
      }
    }
    return sight;
  }
};

/// The tiles as groups, and their masks.
struct Neighborhoods {
  TokenGroups groups;
  Tensor mask, mask_of;

  Neighborhoods(const Grid& grid, int64_t kernel) {
    const TiledAxis rows(grid.height, kernel), cols(grid.width, kernel);
    const int64_t count = rows.tiles * cols.tiles;
    const auto kinds = static_cast<int64_t>(cols.sights.size());
    groups = {Tensor::empty({count, kTile * kTile}, DType::i64),
              Tensor::empty({count, rows.slots * cols.slots}, DType::i64)};
    mask_of = Tensor::empty({count}, DType::i64);
    int64_t *query = groups.queries.data<int64_t>(), *key = groups.keys.data<int64_t>();
    const auto cell = [&](int64_t row, int64_t col) { return row < 0 || col < 0 ? -1 : row * grid.width + col; };
    for (int64_t tile = 0; tile < count; ++tile) {
      const int64_t tile_y = tile / cols.tiles, tile_x = tile % cols.tiles;
      for (int64_t i = 0; i < kTile; ++i)
        for (int64_t j = 0; j < kTile; ++j) *query++ = cell(rows.token(tile_y, i), cols.token(tile_x, j));
      for (int64_t i = 0; i < rows.slots; ++i)
        for (int64_t j = 0; j < cols.slots; ++j) *key++ = cell(rows.key(tile_y, i), cols.key(tile_x, j));
      mask_of.data<int64_t>()[tile] =
          rows.kinds[static_cast<size_t>(tile_y)] * kinds + cols.kinds[static_cast<size_t>(tile_x)];
    }
    fill_mask(rows, cols);
  }

 private:
  void fill_mask(const TiledAxis& rows, const TiledAxis& cols) {
    const auto kinds_y = static_cast<int64_t>(rows.sights.size()), kinds_x = static_cast<int64_t>(cols.sights.size());
    mask = Tensor::empty({kinds_y * kinds_x, kTile * kTile, rows.slots * cols.slots});
    float* at = mask.f32();
    for (int64_t kind = 0; kind < kinds_y * kinds_x; ++kind)
      for (int64_t query = 0; query < kTile * kTile; ++query)
        for (int64_t i = 0; i < rows.slots; ++i) {
          const bool row_seen = rows.sees(kind / kinds_x, query / kTile, i);
          for (int64_t j = 0; j < cols.slots; ++j)
            *at++ = row_seen && cols.sees(kind % kinds_x, query % kTile, j) ? 0.0f
                                                                            : -std::numeric_limits<float>::infinity();
        }
  }
};

/// The entry of a table [2k - 1, 2k - 1] for each token and slot of a tile: i64 [kTile^2 * slots^2]. Ways that are no
/// token's are the first entry's; masks hide them.
Tensor way_index(int64_t kernel) {
  const int64_t slots = 2 * (kernel - 1) + kTile, side = 2 * kernel - 1;
  Tensor index = Tensor::empty({kTile * kTile * slots * slots}, DType::i64);
  int64_t* at = index.data<int64_t>();
  for (int64_t query = 0; query < kTile * kTile; ++query)
    for (int64_t i = 0; i < slots; ++i)
      for (int64_t j = 0; j < slots; ++j) {
        const int64_t down = i - query / kTile, right = j - query % kTile;
        *at++ = down >= 0 && down < side && right >= 0 && right < side ? down * side + right : 0;
      }
  return index;
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
        head_dim_(head_dim_of(shape)),
        grid_(shape.grid),
        neighborhoods_(grid_, options.kernel_size),
        way_index_(way_index(options.kernel_size)),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    const int64_t side = 2 * options.kernel_size - 1;
    add_module("qkv", qkv_);
    if (options.rel_pos_bias) add_parameter("rpb", rpb_, {heads_, side, side}, Init::truncated_normal(0.02f));
    add_module("proj", proj_);
  }

  void set_grid(Grid grid) override {
    grid_ = grid;
    neighborhoods_ = Neighborhoods(grid, options_.kernel_size);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var qkv = qkv_.forward(ctx, x);
    const Neighborhoods neighborhoods =
        input.grid == grid_ ? neighborhoods_ : Neighborhoods(input.grid, options_.kernel_size);
    const GroupedHeads heads{.q = {qkv, 0},
                             .k = {qkv, dim_},
                             .v = {qkv, 2 * dim_},
                             .heads = heads_,
                             .head_dim = head_dim_,
                             .groups = neighborhoods.groups,
                             .bias = tile_bias(ctx),
                             .mask = neighborhoods.mask,
                             .mask_of = neighborhoods.mask_of};
    return proj_.forward(ctx, attend_in_groups(ctx, {heads}, input), input.residual);
  }

 private:
  /// rpb for the tokens and slots of a tile: [H, kTile^2, slots^2]; undefined without biases.
  Var tile_bias(Context& ctx) const {
    if (!options_.rel_pos_bias) return {};
    const int64_t side = 2 * options_.kernel_size - 1;
    const Var ways = permute(ctx, reshape(ctx, rpb_.value, {heads_, side * side}), {1, 0});
    const Var bias = permute(ctx, embedding(ctx, ways, way_index_), {1, 0});
    return reshape(ctx, bias, {heads_, kTile * kTile, way_index_.numel() / (kTile * kTile)});
  }

  NeighborhoodAttentionOptions options_;
  int64_t dim_, heads_, head_dim_;
  Grid grid_;
  Neighborhoods neighborhoods_;  ///< of grid_
  Tensor way_index_;
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
