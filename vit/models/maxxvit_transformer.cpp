// The transformer parts of CoAtNet and MaxViT.
#include "vit/autograd/tensor_ops.h"
#include "vit/models/maxxvit_blocks.h"
#include "vit/nn/layout.h"

namespace vit {

namespace {

PartitionAttentionOptions attention_options(const MaxxvitTransformerConfig& config, bool head_first,
                                            const std::array<int64_t, 2>& window) {
  return {.window = window,
          .rel_pos_type = config.rel_pos_type,
          .rel_pos_dim = config.rel_pos_dim,
          .head_first = head_first,
          .qkv_bias = config.attn_bias,
          .proj_bias = config.attn_bias};
}

int64_t heads_of(const MaxxvitTransformerConfig& config, int64_t width) {
  if (width % config.dim_head != 0) fail_usage("a width of ", width, " is not divisible by dim_head ", config.dim_head);
  return width / config.dim_head;
}

/// One of the mechanisms of a block: the family's own, or the one that the configuration names in its place.
struct MapAttention {
  std::unique_ptr<Attention> attention;
  PartitionAttention* own = nullptr;  ///< the same, where it is the family's

  /// `widths.out` is what the block wants.
  static MapAttention make(const MapBlockOptions& options, Partition partition, int64_t dim,
                           const AttentionWidths& widths) {
    const MaxxvitTransformerConfig& config = options.transformer;
    AttentionShape shape{
        .dim = dim, .num_heads = heads_of(config, widths.inner), .grid = options.map, .layer = options.layer};
    if (!options.attention.is_null()) return {build_attention(options.attention, shape), nullptr};
    const bool head_first = partition == Partition::whole || config.head_first;
    auto own = std::make_unique<PartitionAttention>(
        shape, attention_options(config, head_first, partition == Partition::grid ? options.grid : options.window),
        partition, widths);
    PartitionAttention* const same = own.get();
    return {std::move(own), same};
  }

  void set_extents(const Grid& map, const std::array<int64_t, 2>& window) {
    attention->set_grid(map);
    if (own && !own->whole()) own->set_window(window);
  }

  /// Tokens of a map [B, h, w, C] -> [B, h * w, C'].
  Var forward(Context& ctx, const Var& map, const char* name, const LinearOptions& skip) const {
    Scope scope(ctx, name);
    const AttentionInput input{.grid = {map.size(1), map.size(2)}, .residual = skip};
    observe_layout(ctx, 0, input.grid);
    return attention->forward(ctx, reshape(ctx, map, {map.size(0), input.grid.count(), map.size(3)}), input);
  }
};

/// The MLP half of a block on maps: ls2 * mlp(norm2(x)). Parameters under the block's own name.
class MlpHalf : public Module {
 public:
  MlpHalf(const MaxxvitTransformerConfig& config, MapNormKind norm, int64_t dim)
      : norm_(norm, dim, config.norm_eps),
        mlp_({.dim = dim,
              .hidden = static_cast<int64_t>(static_cast<double>(dim) * config.expand_ratio),
              .activation = config.act_layer}) {
    add_module("norm2", norm_);
    add_module("mlp", mlp_);
    if (config.init_values) add_module("ls2", scale_.emplace(dim, *config.init_values));
  }
  Var forward(Context& ctx, const Var& x, const Branch& branch) const {
    Scope scope(ctx, "mlp");
    return branch.add(ctx, x, scale_ ? scale_->gamma.value : Var(), [&](const LinearOptions& skip) {
      return mlp_.forward(ctx, norm_.forward(ctx, x), skip, branch.proj_drop);
    });
  }

 private:
  MapNorm norm_;
  Mlp mlp_;
  std::optional<ChannelScale> scale_;
};

/// Attention over the whole map, which it may halve: timm's TransformerBlock2d.
class TransformerBlock : public MapBlock {
 public:
  explicit TransformerBlock(const MapBlockOptions& options)
      : norm1_(options.transformer.norm_layer, options.dim, options.transformer.norm_eps),
        mlp_(options.transformer, options.transformer.norm_layer, options.dim_out) {
    const MaxxvitTransformerConfig& config = options.transformer;
    const int64_t dim = options.dim, dim_out = options.dim_out;
    const bool halves = options.stride == 2, swapped = !options.attention.is_null();
    if (!halves && dim != dim_out)
      fail_usage("a transformer block that keeps the map must keep its width, got ", dim, " and ", dim_out);
    if (halves) {
      add_module("shortcut",
                 shortcut_.emplace(Downsample::Options{
                     .dim = dim, .dim_out = dim_out, .pool = config.pool_type, .bias = config.shortcut_bias}));
      down_.emplace(Downsample::Options{.dim = dim, .dim_out = dim, .pool = config.pool_type});
    }
    add_module(halves ? "norm1.norm" : "norm1", norm1_);
    // Another mechanism keeps the width, so the width changes before it.
    if (swapped && dim != dim_out) add_module("expand", expand_.emplace(dim, dim_out));
    const int64_t inner = swapped || config.expand_first ? dim_out : dim;
    attention_ = MapAttention::make(options, Partition::whole, swapped ? dim_out : dim, {inner, dim_out});
    add_module("attn", *attention_.attention);
    if (config.init_values) add_module("ls1", scale_.emplace(dim_out, *config.init_values));
    add_module("", mlp_);
  }

  Var forward(Context& ctx, const Var& x) const override {
    const Var kept = shortcut_ ? shortcut_->forward(ctx, x) : x;
    const Shape map = kept.shape(), tokens = {map[0], map[1] * map[2], map[3]};
    Var y = norm1_.forward(ctx, x);
    if (down_) y = down_->forward(ctx, y);
    if (expand_) y = expand_->forward(ctx, y);
    const Var attended =
        branch_.add(ctx, reshape(ctx, kept, tokens), scale_ ? scale_->gamma.value : Var(),
                    [&](const LinearOptions& skip) { return attention_.forward(ctx, y, "attn", skip); });
    return reshape(ctx, mlp_.forward(ctx, attended, branch_), map);
  }

  void set_dropout(float proj_drop, float drop_path) override { branch_ = {proj_drop, drop_path}; }
  void set_extents(const Grid& map, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>&) override {
    attention_.set_extents(map, window);
  }

 private:
  std::optional<Downsample> shortcut_, down_;
  MapNorm norm1_;
  std::optional<Linear> expand_;
  MapAttention attention_;
  std::optional<ChannelScale> scale_;
  MlpHalf mlp_;
  Branch branch_;
};

/// Attention within a partition of the map, and an MLP: timm's PartitionAttentionCl.
class PartitionBlock : public MapBlock {
 public:
  PartitionBlock(const MapBlockOptions& options, Partition partition)
      : partition_(partition),
        norm1_(options.transformer.norm_layer_cl, options.dim_out, options.transformer.norm_eps),
        attention_(MapAttention::make(options, partition, options.dim_out, {options.dim_out, options.dim_out})),
        mlp_(options.transformer, options.transformer.norm_layer_cl, options.dim_out) {
    add_module("norm1", norm1_);
    add_module("attn", *attention_.attention);
    if (options.transformer.init_values)
      add_module("ls1", scale_.emplace(options.dim_out, *options.transformer.init_values));
    add_module("", mlp_);
  }

  Var forward(Context& ctx, const Var& x) const override {
    const Shape map = x.shape();
    const Var kept = reshape(ctx, x, {map[0], map[1] * map[2], map[3]});
    const Var attended = branch_.add(ctx, kept, scale_ ? scale_->gamma.value : Var(), [&](const LinearOptions& skip) {
      return attention_.forward(ctx, norm1_.forward(ctx, x), "attn", skip);
    });
    return reshape(ctx, mlp_.forward(ctx, attended, branch_), map);
  }

  void set_dropout(float proj_drop, float drop_path) override { branch_ = {proj_drop, drop_path}; }
  void set_extents(const Grid& map, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>& grid) override {
    attention_.set_extents(map, partition_ == Partition::grid ? grid : window);
  }

 private:
  Partition partition_;
  MapNorm norm1_;
  MapAttention attention_;
  std::optional<ChannelScale> scale_;
  MlpHalf mlp_;
  Branch branch_;
};

/// Both partitions at once, each with half of the outputs, and an MLP: timm's ParallelPartitionAttention.
class ParallelPartitionBlock : public MapBlock {
 public:
  explicit ParallelPartitionBlock(const MapBlockOptions& options)
      : norm1_(options.transformer.norm_layer_cl, options.dim_out, options.transformer.norm_eps),
        mlp_(options.transformer, options.transformer.norm_layer_cl, options.dim_out) {
    const int64_t dim = options.dim_out;
    if (dim % 2 != 0) fail_usage("a width of ", dim, " cannot be shared by two parallel attentions");
    if (!options.attention.is_null())
      options.attention.refuse("blocks of type PM have two mechanisms of their own, of half the width; use type M");
    block_ = MapAttention::make(options, Partition::block, dim, {dim, dim / 2});
    grid_ = MapAttention::make(options, Partition::grid, dim, {dim, dim / 2});
    add_module("norm1", norm1_);
    add_module("attn_block", *block_.attention);
    add_module("attn_grid", *grid_.attention);
    if (options.transformer.init_values) add_module("ls1", scale_.emplace(dim, *options.transformer.init_values));
    add_module("", mlp_);
  }

  Var forward(Context& ctx, const Var& x) const override {
    const Shape map = x.shape();
    const Var kept = reshape(ctx, x, {map[0], map[1] * map[2], map[3]}), y = norm1_.forward(ctx, x);
    const Var attended = branch_.add(ctx, kept, scale_ ? scale_->gamma.value : Var(), [&](const LinearOptions& skip) {
      const Var both =
          concat(ctx, {block_.forward(ctx, y, "attn_block", {}), grid_.forward(ctx, y, "attn_grid", {})}, 2);
      return with_residual(ctx, both, skip);
    });
    return reshape(ctx, mlp_.forward(ctx, attended, branch_), map);
  }

  void set_dropout(float proj_drop, float drop_path) override { branch_ = {proj_drop, drop_path}; }
  void set_extents(const Grid& map, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>& grid) override {
    block_.set_extents(map, window);
    grid_.set_extents(map, grid);
  }

 private:
  MapNorm norm1_;
  MapAttention block_, grid_;
  std::optional<ChannelScale> scale_;
  MlpHalf mlp_;
  Branch branch_;
};

/// Parts one after the other: MaxViT's blocks.
class MapSequence : public MapBlock {
 public:
  void add(const std::string& name, std::unique_ptr<MapBlock> part) {
    add_module(name, *part);
    parts_.emplace_back(name, std::move(part));
  }
  Var forward(Context& ctx, const Var& x) const override {
    Var y = x;
    for (const auto& [name, part] : parts_) {
      Scope scope(ctx, name);
      y = part->forward(ctx, y);
    }
    return y;
  }
  void set_dropout(float proj_drop, float drop_path) override {
    for (const auto& [name, part] : parts_) part->set_dropout(proj_drop, drop_path);
  }
  void set_extents(const Grid& map, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>& grid) override {
    for (const auto& [name, part] : parts_) part->set_extents(map, window, grid);
  }

 private:
  std::vector<std::pair<std::string, std::unique_ptr<MapBlock>>> parts_;
};

/// The same block where nothing changes any more: a second one behind the first.
MapBlockOptions following(MapBlockOptions options) {
  options.dim = options.dim_out;
  options.stride = 1;
  return options;
}

/// Convolution, attention within windows, attention across them (Tu et al. 2022, figure 2): timm's MaxxVitBlock.
std::unique_ptr<MapBlock> make_maxvit_block(const MapBlockOptions& options) {
  auto block = std::make_unique<MapSequence>();
  MapBlockOptions inside = options;
  block->add("conv", make_conv_block(options));
  // Mechanisms that alternate count both of a block.
  inside.layer = 2 * options.layer;
  if (!options.transformer.no_block_attn)
    block->add("attn_block", std::make_unique<PartitionBlock>(inside, Partition::block));
  inside.layer += 1;
  block->add("attn_grid", std::make_unique<PartitionBlock>(inside, Partition::grid));
  return block;
}

/// timm's ParallelMaxxVitBlock, with two convolutions.
std::unique_ptr<MapBlock> make_parallel_block(const MapBlockOptions& options) {
  auto block = std::make_unique<MapSequence>();
  block->add("conv.0", make_conv_block(options));
  block->add("conv.1", make_conv_block(following(options)));
  block->add("attn", std::make_unique<ParallelPartitionBlock>(options));
  return block;
}

}  // namespace

std::unique_ptr<MapBlock> make_map_block(const std::string& type, const MapBlockOptions& options) {
  if (type == "C") return make_conv_block(options);
  if (type == "T") return std::make_unique<TransformerBlock>(options);
  if (type == "M") return make_maxvit_block(options);
  if (type == "PM") return make_parallel_block(options);
  fail_usage("block_type: unknown type '", type, "'; known: C, T, M, PM");
}

}  // namespace vit
