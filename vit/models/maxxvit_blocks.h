// The parts of CoAtNet and MaxViT: stem, downsampling, inverted bottlenecks, ConvNeXt blocks, transformer blocks on
// maps, and MaxViT's blocks of all of them. timm's models/maxxvit.py; names of options and parameters are its own.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/attention/block_grid.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/nn/conv_norm.h"
#include "vit/nn/map_norm.h"
#include "vit/nn/mlp.h"

namespace vit {

enum class ConvBlockType {
  mbconv,    ///< inverted bottleneck (Sandler et al. 2018; Tan, Le 2019) with norms before its convolutions
  convnext,  ///< Liu et al. 2022, "A ConvNet for the 2020s"
};
const std::vector<std::pair<ConvBlockType, std::string>>& enum_names(ConvBlockType);

/// Which part of an inverted bottleneck makes the map smaller.
enum class StrideMode {
  pool,       ///< a pooling before the first convolution
  pointwise,  ///< the first convolution, 1 x 1
  depthwise,  ///< the second convolution
};
/// "pool", "1x1", "dw".
const std::vector<std::pair<StrideMode, std::string>>& enum_names(StrideMode);

/// Poolings that halve a map. Averages over 3 x 3 do not count what is outside the map.
enum class HalvingPool {
  max,   ///< maximum over 3 x 3
  max2,  ///< maximum over 2 x 2
  avg,   ///< mean over 3 x 3
  avg2,  ///< mean over 2 x 2
};
/// "max", "max2", "avg", "avg2".
const std::vector<std::pair<HalvingPool, std::string>>& enum_names(HalvingPool);

enum class MapPadding {
  symmetric,  ///< the same on all sides, torch's
  same,       ///< as much as makes the result ceil(extent / stride), more at the end: TensorFlow's "same"
};
/// "", "same".
const std::vector<std::pair<MapPadding, std::string>>& enum_names(MapPadding);

struct MaxxvitConvConfig {
  ConvBlockType block_type = ConvBlockType::mbconv;
  double expand_ratio = 4.0;
  bool expand_output = true;
  int64_t kernel_size = 3;
  int64_t group_size = 1;
  bool pre_norm_act = false;
  bool output_bias = true;
  StrideMode stride_mode = StrideMode::depthwise;
  HalvingPool pool_type = HalvingPool::avg2;
  HalvingPool downsample_pool_type = HalvingPool::avg2;
  MapPadding padding = MapPadding::symmetric;
  bool attn_early = false;
  std::string attn_layer = "se";
  Activation attn_act_layer = Activation::silu;
  double attn_ratio = 0.25;
  std::optional<float> init_values = 1e-6f;
  Activation act_layer = Activation::gelu;
  std::optional<MapNormKind> norm_layer{};
  std::optional<float> norm_eps{};

  template <class V>
  void visit_fields(V& v) {
    v("block_type", block_type,
      "Inverted bottlenecks or ConvNeXt blocks. The latter have no use for expand_output, kernel_size, group_size, "
      "pre_norm_act, pool_type and attn_*, the former none for init_values.");
    v("expand_ratio", expand_ratio, "Width in the middle of a block as a multiple.", between(0.1, 64));
    v("expand_output", expand_output, "That is a multiple of the block's outputs instead of its inputs.");
    v("kernel_size", kernel_size, "Extent of the middle convolution (ConvNeXt has 7).", between(1, 63));
    v("group_size", group_size, "Channels per group of the middle convolution; 0: all in one.", between(0, 1 << 14));
    v("pre_norm_act", pre_norm_act, "An activation after a block's first norm.");
    v("output_bias", output_bias, "Biases of a block's last convolution and of its shortcut.");
    v("stride_mode", stride_mode, "Which part of a block makes the map smaller.");
    v("pool_type", pool_type, "Pooling of the shortcut.");
    v("downsample_pool_type", downsample_pool_type, "Pooling for stride_mode: pool.");
    v("padding", padding, "Padding of convolutions and poolings.");
    v("attn_early", attn_early, "Channel attention before the second norm instead of after it.");
    v("attn_layer", attn_layer, "Channel attention of the inverted bottleneck.", one_of({"se", "eca", "ese", "none"}));
    v("attn_act_layer", attn_act_layer, "Activation inside squeeze-excite.");
    v("attn_ratio", attn_ratio, "Width inside squeeze-excite as a part of the block's.", between(0, 64));
    v("init_values", init_values, "Start value of ConvNeXt's layer scale; none: no layer scale.");
    v("act_layer", act_layer, "Activation of blocks and stem.");
    v("norm_layer", norm_layer, "Norm of blocks and stem; none: batchnorm, or layernorm with ConvNeXt blocks.");
    v("norm_eps", norm_eps, "Its epsilon; none: 1e-5, or 1e-6 with ConvNeXt blocks.", above(0));
  }

  /// The norm, and its epsilon, with timm's defaults for the kind of block.
  MapNormKind norm() const {
    return norm_layer.value_or(block_type == ConvBlockType::convnext ? MapNormKind::layer_norm
                                                                     : MapNormKind::batch_norm);
  }
  float eps() const { return norm_eps.value_or(block_type == ConvBlockType::convnext ? 1e-6f : 1e-5f); }
};

struct MaxxvitTransformerConfig {
  int64_t dim_head = 32;
  bool head_first = true;
  double expand_ratio = 4.0;
  bool expand_first = true;
  bool shortcut_bias = true;
  bool attn_bias = true;
  HalvingPool pool_type = HalvingPool::avg2;
  WindowBiasKind rel_pos_type = WindowBiasKind::bias;
  int64_t rel_pos_dim = 512;
  int64_t partition_ratio = 32;
  std::optional<std::array<int64_t, 2>> window_size{};
  std::optional<std::array<int64_t, 2>> grid_size{};
  bool no_block_attn = false;
  std::optional<float> init_values{};
  Activation act_layer = Activation::gelu;
  MapNormKind norm_layer = MapNormKind::layer_norm;
  MapNormKind norm_layer_cl = MapNormKind::layer_norm;
  float norm_eps = 1e-6f;

  template <class V>
  void visit_fields(V& v) {
    v("dim_head", dim_head, "Width of a head.", between(1, 1 << 12));
    v("head_first", head_first, "Order of packed projections in MaxViT's blocks: q, k and v of each head together.");
    v("expand_ratio", expand_ratio, "Hidden width of the MLP as a multiple.", between(0.1, 64));
    v("expand_first", expand_first, "Where a block changes the width, queries have the new one already.");
    v("shortcut_bias", shortcut_bias, "Bias of the shortcut's convolution.");
    v("attn_bias", attn_bias, "Biases of the attention's projections.");
    v("pool_type", pool_type, "Pooling of the blocks that halve the map.");
    v("rel_pos_type", rel_pos_type, "Form of the relative position bias.");
    v("rel_pos_dim", rel_pos_dim, "Hidden width of its MLP, for rel_pos_type: mlp.", between(1, 1 << 16));
    v("partition_ratio", partition_ratio, "Windows are the image's extents divided by this.", between(1, 1 << 10));
    v("window_size", window_size, "Window of block attention; none: by partition_ratio.", between(1, 1 << 10));
    v("grid_size", grid_size, "Window of grid attention; none: window_size.", between(1, 1 << 10));
    v("no_block_attn", no_block_attn, "MaxViT's blocks have grid attention only.");
    v("init_values", init_values, "Start value of layer scale; none: no layer scale.");
    v("act_layer", act_layer, "Activation of the MLP.");
    v("norm_layer", norm_layer, "Norm of transformer blocks over the whole map, and of the head.");
    v("norm_layer_cl", norm_layer_cl, "Norm of MaxViT's blocks.");
    v("norm_eps", norm_eps, "Epsilon of these.", above(0));
  }
};

/// Pooling to half the extents, and a 1 x 1 convolution where the width changes. Parameters: expand.*
class Downsample : public Module {
 public:
  struct Options {
    int64_t dim = 0, dim_out = 0;
    HalvingPool pool = HalvingPool::avg2;
    MapPadding padding = MapPadding::symmetric;
    bool bias = true;
  };
  explicit Downsample(const Options& options);
  /// x [B, h, w, dim] -> [B, h', w', dim_out], half of each extent, rounded as the pooling does.
  Var forward(Context& ctx, const Var& x) const;

 private:
  Options options_;
  std::optional<Conv2d> expand_;
};

/// How timm's create_conv2d pads: what is the same on all sides is the convolution's own, other padding comes before.
struct MapConv {
  Conv2dOptions conv;
  MapPadding padding = MapPadding::symmetric;
  MapConv(int64_t kernel, int64_t stride, MapPadding kind, int64_t groups = 1);
  Var pad(Context& ctx, const Var& x) const;
};

/// A convolution, the norm after it, which is folded into it in inference where it is a batch norm, and an activation.
class NormedConv : public Module {
 public:
  struct Options {
    int64_t in_channels = 0, out_channels = 0;
    bool bias = false;
    std::string conv_name, norm_name;  ///< of the parameters, under the module's own name
    MapNormKind norm = MapNormKind::batch_norm;
    float norm_eps = 1e-5f;
  };
  NormedConv(const MapConv& conv, const Options& options);
  Var forward(Context& ctx, const Var& x, Activation activation) const;

 private:
  MapConv padded_;
  std::optional<ConvNorm> folding_;  // with a batch norm
  std::optional<Conv2d> conv_;       // with a layer norm
  std::optional<MapNorm> norm_;
};

/// A block of a stage: a map [B, h, w, C] -> [B, h', w', C'].
class MapBlock : public Module {
 public:
  virtual Var forward(Context& ctx, const Var& x) const = 0;
  /// Takes effect where Context::training is set.
  virtual void set_dropout(float proj_drop, float drop_path) = 0;
  /// For images of another size: the map after this block, and the windows of block and grid attention.
  virtual void set_extents(const Grid& map, const std::array<int64_t, 2>& window,
                           const std::array<int64_t, 2>& grid) = 0;
};

struct MapBlockOptions {
  int64_t dim = 0, dim_out = 0;
  int64_t stride = 1;
  Grid map{};  ///< after this block
  std::array<int64_t, 2> window{}, grid{};
  int64_t layer = 0;       ///< place in its stage
  ConfigNode attention{};  ///< a mechanism in place of the family's own; nothing: none
  MaxxvitConvConfig conv{};
  MaxxvitTransformerConfig transformer{};
};

/// type: C, T, M or PM. Errors (usage): another type, widths that do not fit.
std::unique_ptr<MapBlock> make_map_block(const std::string& type, const MapBlockOptions& options);

/// An inverted bottleneck or a ConvNeXt block.
std::unique_ptr<MapBlock> make_conv_block(const MapBlockOptions& options);

/// A residual branch (He et al. 2016) with what training leaves out of it: kept + gamma * branch. `branch` is called
/// with what it shall fuse into its last layer.
struct Branch {
  float proj_drop = 0.0f;  ///< dropout of the branch's result
  float drop_path = 0.0f;  ///< stochastic depth
  Var add(Context& ctx, const Var& kept, const Var& gamma,
          const std::function<Var(const LinearOptions&)>& branch) const;
};

/// Layer scale (Touvron et al. 2021, CaiT): parameter gamma.
struct ChannelScale : Module {
  ChannelScale(int64_t dim, float init) { add_parameter("gamma", gamma, {dim}, Init::constant(init)); }
  Parameter gamma;
};

/// Two convolutions, the first of stride 2. Parameters: conv1.*, norm1.*, conv2.*
class MapStem : public Module {
 public:
  MapStem(int64_t in_channels, const std::array<int64_t, 2>& widths, bool bias, const MaxxvitConvConfig& config);
  /// image [B, c, height, width] -> [B, height', width', C]
  Var forward(Context& ctx, const Var& image) const;

 private:
  Activation activation_;
  NormedConv first_;
  MapConv padded_;
  Conv2d conv2_;
};

}  // namespace vit
