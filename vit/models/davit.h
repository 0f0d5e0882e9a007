// DaViT (Ding et al. 2022, "DaViT: dual attention vision transformers"): four stages, in which attention within windows
// of tokens and attention between channels take turns.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/heads/norm_mlp.h"
#include "vit/models/backbone.h"
#include "vit/models/davit_block.h"

namespace vit {

struct DavitConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  std::vector<int64_t> depths = {1, 1, 3, 1};
  std::vector<int64_t> embed_dims = {96, 192, 384, 768};
  std::vector<int64_t> num_heads = {3, 6, 12, 24};
  int64_t window_size = 7;
  double mlp_ratio = 4.0;
  bool qkv_bias = true;
  bool channel_attn_v2 = false;
  ConfigNode attention{};
  bool named_blocks = false;
  bool ffn = true;
  bool cpe_act = false;
  int64_t down_kernel_size = 2;
  float norm_eps = 1e-5f;
  Pool global_pool = Pool::avg;
  bool head_norm_first = false;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images that grids are planned for; any other works, too.",
      between(1, 1 << 16));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("depths", depths, "Layers of each stage; a layer is one block per mechanism.", between(0, 1024));
    v("embed_dims", embed_dims, "Channels of each stage.", between(1, 1 << 16));
    v("num_heads", num_heads, "Attention heads, and groups of channels, of each stage.", between(1, 1024));
    v("window_size", window_size, "Side of the windows of `spatial`.", between(1, 1 << 10));
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLP as a multiple of the channels.", between(0, 64));
    v("qkv_bias", qkv_bias, "Bias of the packed projections of `spatial` and `channel`.");
    v("channel_attn_v2", channel_attn_v2, "`channel` has the second form of the roles, see channel_group.");
    v("attention", attention,
      "Mechanisms that take turns within a layer (default [spatial, channel]): spatial (windows without bias or "
      "shift), channel (channel_group), another's name, or a map with `type` and its options.");
    v("named_blocks", named_blocks, "Blocks of a layer are called spatial_block and channel_block, not 0 and 1.");
    v("ffn", ffn, "Blocks have an MLP.");
    v("cpe_act", cpe_act, "GELU after the convolutions that encode positions.");
    v("down_kernel_size", down_kernel_size, "Kernel of the convolutions between stages.", between(1, 16));
    v("norm_eps", norm_eps, "Epsilon of all norms.", above(0));
    v("global_pool", global_pool, "How the last map becomes a vector: avg, max or avgmax.");
    v("head_norm_first", head_norm_first, "The last norm comes before the pooling instead of after it.");
  }
  /// Errors (usage): combinations that make no model, such as lists of different lengths.
  void validate() const;
  /// The mechanisms of a layer, in turn, as build_attention reads them, and the names of their blocks.
  std::vector<std::pair<std::string, ConfigNode>> mechanisms() const;
};

class Davit : public Backbone {
 public:
  Davit(const DavitConfig& config, const std::string& name);

  /// Any image size.
  Var forward(Context& ctx, const Var& images) const override;
  /// The map of each stage.
  std::vector<FeatureInfo> features() const override;

  const DavitConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  void set_input_size(int64_t height, int64_t width) override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  /// A norm and a strided convolution, in the order of the stem or of the steps between stages.
  struct Reduce : Module {
    Reduce(const Conv2d::Options& conv_options, int64_t norm_channels, float eps, bool norm_is_first);
    /// x [B, height, width, c], padded at the bottom and on the right to a multiple of `multiple`.
    Var forward(Context& ctx, const Var& x, int64_t multiple) const;
    Conv2d conv;
    Norm norm;
    bool norm_first;
  };
  struct Stage {
    std::optional<Reduce> downsample{};
    std::deque<DavitBlock> blocks{};
  };
  void add_stage(size_t index, Grid grid);
  /// The grids of the stages for images of img_size.
  std::vector<Grid> grids() const;
  /// The first `count` stages: their maps.
  std::vector<Var> run(Context& ctx, const Var& images, size_t count) const;

  DavitConfig config_;
  Reduce stem_;
  std::deque<Stage> stages_;
  Norm norm_pre_;
  NormMlpHead head_;
  TrainingOptions training_;
};

}  // namespace vit
