// The Swin transformer (Liu et al. 2021, "Swin transformer: hierarchical vision transformer using shifted windows"), as
// timm and Hugging Face have it. swin_timm.cpp and swin_hugging_face.cpp read its configuration from checkpoints.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/heads/norm_mlp.h"
#include "vit/models/backbone.h"
#include "vit/models/vit.h"
#include "vit/nn/block.h"
#include "vit/nn/patch_embed.h"
#include "vit/nn/patch_merging.h"

namespace vit {

struct SwinConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t patch_size = 4;
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  int64_t embed_dim = 96;
  std::vector<int64_t> depths{2, 2, 6, 2};
  std::vector<int64_t> num_heads{3, 6, 12, 24};
  ConfigNode window_size = ConfigNode::make_scalar("7", false);
  bool always_partition = false;
  double mlp_ratio = 4.0;
  bool qkv_bias = true;
  float norm_eps = 1e-5f;
  std::optional<float> embed_norm_eps{};
  Activation act = Activation::gelu;
  bool ape = false;
  ConfigNode attention{};
  Dialect dialect = Dialect::timm;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images it is made for.", between(1, 1 << 16));
    v("patch_size", patch_size, "Side of a patch.", between(1, 1 << 12));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is pooled features.",
      between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of the first stage; each stage doubles it.", between(1, 1 << 16));
    v("depths", depths, "Blocks of each stage.", between(0, 1024));
    v("num_heads", num_heads, "Attention heads of each stage.", between(1, 1024));
    v("window_size", window_size, "Side of a window, [height, width], or a list of these, one for each stage.");
    v("always_partition", always_partition, "Keep the window and its shift on maps that are smaller.");
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLP as a multiple of the stage's width.", between(0, 64));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("norm_eps", norm_eps, "Epsilon of the norms.", above(0));
    v("embed_norm_eps", embed_norm_eps,
      "Epsilon of the norms after the patches and in patch merging; none: norm_eps. Hugging Face has 1e-5.", above(0));
    v("act", act, "Activation of the MLP.");
    v("ape", ape, "A learned position table beside the biases within the windows.");
    v("attention", attention,
      "Attention mechanism, or a list with one for each stage; none: windows of window_size, shifted in every other "
      "block.");
    v("dialect", dialect, "Whose rules hold where windows do not fit the map, and whose names reference outputs have.");
  }
  /// Errors (usage): lists of different lengths, num_heads that does not divide a width, an MLP of no channels.
  void validate() const;

  int64_t stages() const { return static_cast<int64_t>(depths.size()); }
  float reducing_norm_eps() const { return embed_norm_eps.value_or(norm_eps); }
  int64_t dim(int64_t stage) const { return embed_dim << stage; }
  /// Of a stage's map at img_size, as timm counts it: halves are rounded down.
  Grid grid(int64_t stage) const { return {(img_size[0] / patch_size) >> stage, (img_size[1] / patch_size) >> stage}; }
  /// The mechanism of a stage, with the model's own options where it is the window.
  ConfigNode attention_of_stage(int64_t stage) const;
};

/// Patch merging (from the second stage on) and blocks: timm's SwinTransformerStage.
class SwinStage : public Module {
 public:
  SwinStage(const SwinConfig& config, int64_t stage);
  /// x [B, N, C] of the stage before, on `grid`, which becomes the stage's own. Observed: "downsample" and
  /// "downsample.map", what patch merging gives.
  Var forward(Context& ctx, const Var& x, Grid& grid, bool grad_checkpointing) const;

  std::deque<Block>& blocks() { return blocks_; }

 private:
  std::optional<PatchMerging> downsample_;
  std::deque<Block> blocks_;
};

class Swin : public Backbone {
 public:
  Swin(const SwinConfig& config, const std::string& name);

  Var forward(Context& ctx, const Var& images) const override;
  /// "layers.{i}", the output of each stage.
  std::vector<FeatureInfo> features() const override;

  const std::map<std::string, ReferenceOutput>& reference_names() const override { return reference_names_; }
  void set_input_size(int64_t height, int64_t width) override;
  Tensor adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const override;
  const SwinConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  struct Embed : Module {
    explicit Embed(const SwinConfig& config);
    PatchEmbed proj;
    Norm norm;
  };
  Var embed(Context& ctx, const Var& images, Grid& grid) const;
  /// Runs stages [0, count); `maps` gets what each gives, if it is wanted. Returns the last one's tokens.
  Var run(Context& ctx, const Var& images, size_t count, Grid& grid, std::vector<Var>* maps) const;

  SwinConfig config_;
  Embed patch_embed_;
  Parameter absolute_pos_embed_;
  std::deque<SwinStage> layers_;
  Norm norm_;
  NormMlpHead head_;
  TrainingOptions training_;
  std::map<std::string, ReferenceOutput> reference_names_;
};

}  // namespace vit
