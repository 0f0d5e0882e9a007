// The vision transformer (Dosovitskiy et al. 2021, "An image is worth 16x16 words") in all the shapes that timm and
// Hugging Face have of it: class, distillation and register tokens, pooled heads, CLIP's pre-norm, layer scale, gated
// MLPs, DINOv2. One configuration describes them; vit_timm.cpp and vit_hugging_face.cpp read it from checkpoints.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "vit/attention/token_merging.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/heads/classifier.h"
#include "vit/models/backbone.h"
#include "vit/nn/block.h"
#include "vit/nn/conv_stem.h"
#include "vit/nn/patch_embed.h"

namespace vit {

/// Which of the tokens in front of the patches have rows of their own in the position table.
enum class PositionPrefix {
  all,   ///< every prefix token: timm's default
  none,  ///< the table covers the patches only: timm's no_embed_class
  cls,   ///< the class token, but not the registers: Hugging Face's DINOv2 with registers
};
const std::vector<std::pair<PositionPrefix, std::string>>& enum_names(PositionPrefix);

/// Which library's conventions a checkpoint follows: names of reference outputs, and nothing else.
enum class Dialect { timm, hugging_face };
const std::vector<std::pair<Dialect, std::string>>& enum_names(Dialect);

struct VitConfig {
  std::array<int64_t, 2> img_size{224, 224};
  std::array<int64_t, 2> patch_size{16, 16};
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  int64_t embed_dim = 768;
  int64_t depth = 12;
  int64_t num_heads = 12;
  std::optional<double> mlp_ratio = 4.0;
  std::optional<int64_t> mlp_hidden{};
  bool mlp_gated = false;
  bool mlp_bias = true;
  bool class_token = true;
  bool distilled = false;
  bool distilled_head = true;
  int64_t reg_tokens = 0;
  bool pos_embed = true;
  PositionPrefix pos_prefix = PositionPrefix::all;
  Interpolation pos_interpolation = Interpolation::bicubic_antialias;
  bool patch_bias = true;
  std::optional<ConvStemOptions> stem{};
  bool pre_norm = false;
  bool final_norm = true;
  bool fc_norm = false;
  NormKind norm = NormKind::layer_norm;
  float norm_eps = 1e-6f;
  Activation act = Activation::gelu;
  NormKind mlp_norm = NormKind::identity;
  std::optional<float> init_values{};
  Pool global_pool = Pool::token;
  bool pool_prefix = false;
  bool pooler = false;
  ConfigNode attention{};
  TokenMergingOptions token_merging{};
  Dialect dialect = Dialect::timm;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images the position table is made for.", between(1, 1 << 16));
    v("patch_size", patch_size, "Height and width of a patch.", between(1, 1 << 12));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of the tokens.", between(1, 1 << 16));
    v("depth", depth, "Number of blocks.", between(0, 1024));
    v("num_heads", num_heads, "Attention heads of each block.", between(1, 1024));
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLP as a multiple of embed_dim.", between(0, 64));
    v("mlp_hidden", mlp_hidden, "Hidden width of the MLP itself; overrides mlp_ratio.", between(1, 1 << 20));
    v("mlp_gated", mlp_gated, "SwiGLU instead of the plain MLP; the hidden width counts gate and value together.");
    v("mlp_bias", mlp_bias, "Biases of the MLP.");
    v("class_token", class_token, "A learned token in front of the patches that the head reads.");
    v("distilled", distilled, "DeiT's second token.");
    v("distilled_head", distilled_head, "The second token has a head of its own; the logits are the mean of both.");
    v("reg_tokens", reg_tokens, "Learned register tokens after the class token.", between(0, 1024));
    v("pos_embed", pos_embed, "A learned position table.");
    v("pos_prefix", pos_prefix, "Which prefix tokens the position table covers.");
    v("pos_interpolation", pos_interpolation, "How the table is resampled for other image sizes.");
    v("patch_bias", patch_bias, "Bias of the patch projection.");
    v("stem", stem, "Convolutions in place of the patch projection; none: the projection.");
    v("pre_norm", pre_norm, "A norm before the first block (CLIP).");
    v("final_norm", final_norm, "A norm after the last block (or after pooling, see fc_norm).");
    v("fc_norm", fc_norm, "The final norm comes after pooling instead of before.");
    v("norm", norm, "Kind of all norms.");
    v("norm_eps", norm_eps, "Epsilon of all norms.", above(0));
    v("act", act, "Activation of the MLP.");
    v("mlp_norm", mlp_norm, "A norm inside the MLP, before its second projection.");
    v("init_values", init_values, "Start value of layer scale; none: no layer scale.");
    v("global_pool", global_pool, "How tokens become the vector that the head reads.");
    v("pool_prefix", pool_prefix, "Means and maxima include the prefix tokens.");
    v("pooler", pooler, "Without a head: the output is tanh(W x + b) of the class token (Hugging Face's ViTModel).");
    v("attention", attention,
      "Attention mechanism of the blocks: a name, a map with `type` and its options, or a list of these, one per "
      "block.");
    v("token_merging", token_merging, "Merges similar tokens between attention and MLP, to be faster.");
    v("dialect", dialect, "Which library's names reference outputs have.");
  }
  /// Errors (usage): combinations that make no model, such as num_heads that does not divide embed_dim.
  void validate() const;

  int64_t prefix_tokens() const { return (class_token ? 1 : 0) + (distilled ? 1 : 0) + reg_tokens; }
  /// Rows of the position table in front of its grid.
  int64_t position_prefix_rows() const;
  Grid grid() const { return {img_size[0] / patch_size[0], img_size[1] / patch_size[1]}; }
  int64_t mlp_hidden_width() const;
};

class Vit : public Backbone {
 public:
  explicit Vit(const VitConfig& config, const std::string& name);

  Var forward(Context& ctx, const Var& images) const override;
  /// images [B, channels, height, width] -> tokens [B, prefix + grid, C] after the final norm. Any image size of at
  /// least one patch: the position table is resampled as the original does.
  Var forward_features(Context& ctx, const Var& images) const;

  /// One map: the patch tokens after the final norm, "features". None where patches are no squares or tokens are
  /// merged.
  std::vector<FeatureInfo> features() const override;

  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  void set_input_size(int64_t height, int64_t width) override;
  Tensor adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const override;
  const VitConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;

 protected:
  /// Errors (usage): patch dropout, which leaves no map.
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  Var embed(Context& ctx, const Var& images, Grid& grid) const;
  /// `merged` tells what the tokens stand for, where some were merged.
  Var run(Context& ctx, const Var& images, int64_t wanted_tokens, MergedTokens& merged) const;
  Var run_block(Context& ctx, size_t index, const Var& x, AttentionInput input,
                const std::shared_ptr<MergedTokens>& merged) const;

  VitConfig config_;
  std::optional<PatchEmbed> patch_embed_;
  std::optional<ConvStem> stem_;
  Parameter cls_token_, dist_token_, reg_token_, pos_embed_;
  Norm norm_pre_;
  std::deque<Block> blocks_;
  std::vector<int64_t> merging_;  // tokens that each block merges away
  Norm norm_;
  std::optional<Linear> pooler_;
  ClassifierHead head_;
  TrainingOptions training_;
};

}  // namespace vit
