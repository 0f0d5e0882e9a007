// CaiT (Touvron et al. 2021, "Going deeper with image transformers"): deep blocks of talking-heads attention with layer
// scale over the patches alone, then a few in which a class token collects what they know.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/heads/classifier.h"
#include "vit/models/backbone.h"
#include "vit/nn/block.h"
#include "vit/nn/patch_embed.h"

namespace vit {

struct CaitConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  int64_t embed_dim = 768;
  int64_t depth = 12;
  int64_t num_heads = 12;
  double mlp_ratio = 4.0;
  int64_t depth_token_only = 2;
  double mlp_ratio_token_only = 4.0;
  float init_values = 1e-4f;
  float norm_eps = 1e-6f;
  Pool global_pool = Pool::token;
  ConfigNode attention{};
  ConfigNode attention_token_only{};

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images the position table is made for.", between(1, 1 << 16));
    v("patch_size", patch_size, "Height and width of a patch.", between(1, 1 << 12));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of the tokens.", between(1, 1 << 16));
    v("depth", depth, "Blocks over the patches.", between(0, 1024));
    v("num_heads", num_heads, "Attention heads of each block.", between(1, 1024));
    v("mlp_ratio", mlp_ratio, "Hidden width of their MLP as a multiple of embed_dim.", between(0, 64));
    v("depth_token_only", depth_token_only, "Blocks after them, of the class token.", between(0, 1024));
    v("mlp_ratio_token_only", mlp_ratio_token_only, "Hidden width of their MLP as a multiple of embed_dim.",
      between(0, 64));
    v("init_values", init_values, "Start value of layer scale.");
    v("norm_eps", norm_eps, "Epsilon of all norms.", above(0));
    v("global_pool", global_pool, "The vector that the head reads: the class token, or the mean of the patches.");
    v("attention", attention,
      "Attention mechanism of the blocks over the patches (default talking_heads): a name, a map with `type` and its "
      "options, or a list of these, one per block.");
    v("attention_token_only", attention_token_only,
      "Attention mechanism of the class token's blocks (default class_attention): likewise.");
  }
  /// Errors (usage): combinations that make no model.
  void validate() const;

  Grid grid() const { return {img_size[0] / patch_size, img_size[1] / patch_size}; }
};

class Cait : public Backbone {
 public:
  Cait(const CaitConfig& config, const std::string& name);

  Var forward(Context& ctx, const Var& images) const override;
  /// images [B, channels, height, width] -> [B, 1 + N, C]: class token and patches after the final norm. Any image size
  /// of at least one patch.
  Var forward_features(Context& ctx, const Var& images) const;

  /// One map per block over the patches, all of the patches' size, as the block leaves it.
  std::vector<FeatureInfo> features() const override;

  const CaitConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  void set_input_size(int64_t height, int64_t width) override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  Var embed(Context& ctx, const Var& images, Grid& grid) const;
  Var run_block(Context& ctx, size_t index, const Var& x, const Grid& grid) const;
  Var run(Context& ctx, const Var& images, bool class_only) const;
  Var collect(Context& ctx, const Var& patches, const Grid& grid) const;

  CaitConfig config_;
  PatchEmbed patch_embed_;
  Parameter cls_token_, pos_embed_;
  std::deque<Block> blocks_, blocks_token_only_;
  Norm norm_;
  ClassifierHead head_;
  TrainingOptions training_;
};

}  // namespace vit
