// RT-DETR's hybrid encoder (Zhao et al. 2024, "DETRs beat YOLOs on real-time object detection", section 4.2): attention
// within the coarsest map (AIFI), then convolutions that fuse the maps from coarse to fine and back (CCFF).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "detection/deformable_layers.h"
#include "vit/nn/conv_norm.h"
#include "vit/nn/multihead_attention.h"

namespace detection {

struct HybridEncoderOptions {
  int64_t dim = 256;                 ///< C of every map
  size_t maps = 3;                   ///< finest first
  std::vector<int64_t> attended{2};  ///< maps with attention among their cells
  int64_t layers = 1;                ///< of attention, in each of them; 0: none
  int64_t heads = 8;
  int64_t ffn_dim = 1024;
  vit::Activation ffn_activation = vit::Activation::gelu;
  bool normalize_before = false;
  bool row_major_positions = true;                     ///< see sincos_positions
  double temperature = 10000.0;                        ///< of the positions
  int64_t csp_blocks = 3;                              ///< convolutions in a row in each fusion
  double hidden_expansion = 1.0;                       ///< their width as a share of dim
  vit::Activation activation = vit::Activation::silu;  ///< of the convolutions
  vit::BatchNormOptions norm{};
  float layer_norm_eps = 1e-5f;
  float dropout = 0.0f;             ///< of what each part of an attention layer adds, in training
  float activation_dropout = 0.0f;  ///< of their MLPs' hidden values
};

/// Sines and cosines of a map's columns and rows, f32 [1, grid.height * grid.width, dim]. `row_major`: token i lies in
/// row i / width. Otherwise, as published, it is taken to lie in column i / height and row i % height: the same only on
/// square maps. Errors (usage): dim is no multiple of 4.
vit::Tensor sincos_positions(const vit::Grid& grid, int64_t dim, double temperature, bool row_major);

/// A transformer layer among the cells of one map. Parameters: self_attn.*, self_attn_layer_norm.*, fc1.*, fc2.*,
/// final_layer_norm.*.
class CellAttentionLayer : public vit::Module {
 public:
  explicit CellAttentionLayer(const HybridEncoderOptions& options);
  /// x [B, N, C], positions [1, N, C] -> [B, N, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const vit::Tensor& positions) const;

 private:
  bool normalize_before_;
  float dropout_;
  vit::MultiheadAttention self_attn_;
  vit::Norm norm_;
  FeedForward feed_forward_;
};

/// activation(norm(conv3x3(x)) + norm(conv1x1(x))): one convolution in inference (Ding et al. 2021, "RepVGG", section
/// 3.3). Parameters: conv1.conv.weight, conv1.norm.* (3 x 3), conv2.conv.weight, conv2.norm.* (1 x 1).
class RepVggBlock : public vit::Module {
 public:
  RepVggBlock(int64_t channels, vit::Activation activation, const vit::BatchNormOptions& norm);
  /// x [B, height, width, C] -> the same shape, plus `residual` where it is defined
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const vit::Var& residual = {}) const;
  /// Folds both norms and the small kernel into the large one and packs that.
  void prepare() override;

 private:
  vit::Activation activation_;
  vit::Conv2d wide_, narrow_;
  vit::BatchNorm wide_norm_, narrow_norm_;
  bool folded_ = false;
};

/// Two ways through a fusion of two maps, one of them past RepVGG blocks (Wang et al. 2020, "CSPNet").
class CspRepLayer : public vit::Module {
 public:
  explicit CspRepLayer(const HybridEncoderOptions& options);
  /// x [B, height, width, 2 C] -> [B, height, width, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x) const;

 private:
  vit::Activation activation_;
  vit::ConvNorm conv1_, conv2_;
  std::deque<RepVggBlock> bottlenecks_;
  std::optional<vit::ConvNorm> conv3_;
};

class HybridEncoder : public vit::Module {
 public:
  /// Parameters as in Hugging Face's RTDetrHybridEncoder. Errors (usage): options that make no encoder.
  explicit HybridEncoder(const HybridEncoderOptions& options);
  /// Maps [B, height, width, C], each half as high and wide as the one before (rounded up) -> the same shapes.
  std::vector<vit::Var> forward(vit::Context& ctx, std::vector<vit::Var> maps) const;

 private:
  vit::Var attend(vit::Context& ctx, size_t encoder, const vit::Var& map) const;

  HybridEncoderOptions options_;
  std::deque<std::deque<CellAttentionLayer>> encoders_;  // of each attended map
  std::deque<vit::ConvNorm> lateral_convs_, downsample_convs_;
  std::deque<CspRepLayer> fpn_blocks_, pan_blocks_;
};

/// Every cell twice in each direction, cut to height x width: [B, h, w, C] -> [B, height, width, C].
vit::Var enlarge_map(vit::Context& ctx, const vit::Var& map, int64_t height, int64_t width);

}  // namespace detection
