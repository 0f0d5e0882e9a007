// XCiT (El-Nouby et al. 2021, "XCiT: cross-covariance image transformers"): attention between channels in place of
// tokens, linear in the number of patches, with convolutions for what is near, and a class token that comes last.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/heads/classifier.h"
#include "vit/models/backbone.h"
#include "vit/models/xcit_block.h"
#include "vit/nn/conv_norm.h"

namespace vit {

struct XcitConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  int64_t embed_dim = 768;
  int64_t depth = 12;
  int64_t num_heads = 12;
  double mlp_ratio = 4.0;
  int64_t cls_attn_layers = 2;
  bool use_pos_embed = true;
  float eta = 1.0f;
  bool tokens_norm = false;
  float norm_eps = 1e-6f;
  Pool global_pool = Pool::token;
  ConfigNode attention{};
  ConfigNode cls_attention{};

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images that positions are prepared for; any other works, too.",
      between(1, 1 << 16));
    v("patch_size", patch_size, "Pixels per patch along each axis: 8 or 16.", between(8, 16));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of the tokens.", between(8, 1 << 16));
    v("depth", depth, "Blocks over the patches.", between(0, 1024));
    v("num_heads", num_heads, "Attention heads of each block.", between(1, 1024));
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLPs as a multiple of embed_dim.", between(0, 64));
    v("cls_attn_layers", cls_attn_layers, "Blocks after them, of the class token.", between(0, 1024));
    v("use_pos_embed", use_pos_embed, "Fourier features of the positions, projected, are added to the patches.");
    v("eta", eta, "Start value of layer scale.");
    v("tokens_norm", tokens_norm, "The second norm of the class token's blocks takes all tokens.");
    v("norm_eps", norm_eps, "Epsilon of all layer norms.", above(0));
    v("global_pool", global_pool, "The vector that the head reads: the class token, or the mean of the patches.");
    v("attention", attention,
      "Attention mechanism of the blocks over the patches (default cross_covariance): a name, a map with `type` and "
      "its options, or a list of these, one per block.");
    v("cls_attention", cls_attention,
      "Attention mechanism of the class token's blocks (default class_attention): likewise.");
  }
  /// Errors (usage): combinations that make no model.
  void validate() const;

  /// Patches of an image: each of the strided convolutions rounds up.
  Grid grid() const;
};

/// Positions as sines and cosines of both coordinates, projected to the tokens' width (El-Nouby et al. 2021, section
/// 3.3; timm's PositionalEncodingFourier). Parameters: token_projection.weight [C, 64, 1, 1], token_projection.bias.
class FourierPositions : public Module {
 public:
  FourierPositions(int64_t dim, Grid grid);
  /// [1, height * width, C]
  Var forward(Context& ctx, Grid grid) const;
  void set_grid(Grid grid);
  /// Computes the table of the native grid once.
  void prepare() override;

 private:
  Var project(Context& ctx, Grid grid) const;
  int64_t dim_;
  Grid grid_;
  Parameter weight_, bias_;
  Tensor table_;  ///< of grid_, once prepared
};

class Xcit : public Backbone {
 public:
  Xcit(const XcitConfig& config, const std::string& name);

  /// Any image size.
  Var forward(Context& ctx, const Var& images) const override;
  /// images [B, channels, height, width] -> [B, 1 + N, C]: class token and patches after the final norm.
  Var forward_features(Context& ctx, const Var& images) const;

  /// One map per block over the patches, all of the patches' size.
  std::vector<FeatureInfo> features() const override;

  const XcitConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  void set_input_size(int64_t height, int64_t width) override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  void add_stem();
  Var embed(Context& ctx, const Var& images, Grid& grid) const;
  Var run_block(Context& ctx, size_t index, const Var& x, Grid grid) const;
  Var run(Context& ctx, const Var& images, bool class_only) const;

  XcitConfig config_;
  std::deque<ConvNorm> stem_;
  std::optional<FourierPositions> pos_embed_;
  Parameter cls_token_;
  std::deque<XcitBlock> blocks_;
  std::deque<XcitClassBlock> cls_blocks_;
  Norm norm_;
  ClassifierHead head_;
  TrainingOptions training_;
};

}  // namespace vit
