// CoAtNet (Dai et al. 2021, "CoAtNet: marrying convolution and attention for all data sizes") and MaxViT (Tu et al.
// 2022, "MaxViT: multi-axis vision transformer") in all the shapes that timm's MaxxVit has of them: stages of inverted
// bottlenecks or ConvNeXt blocks ("C"), of transformer blocks over the whole map ("T"), and of MaxViT's blocks, which
// are a convolution, attention within windows and attention across them ("M", or in parallel "PM"). One configuration
// describes them, with timm's names; maxxvit_timm.cpp reads it from checkpoints.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/heads/norm_mlp.h"
#include "vit/models/backbone.h"
#include "vit/models/maxxvit_blocks.h"

namespace vit {

struct MaxxvitConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  std::vector<int64_t> embed_dim{96, 192, 384, 768};
  std::vector<int64_t> depths{2, 3, 5, 2};
  std::vector<std::string> block_type{"C", "C", "T", "T"};
  std::array<int64_t, 2> stem_width{64, 64};
  bool stem_bias = false;
  MaxxvitConvConfig conv{};
  MaxxvitTransformerConfig transformer{};
  std::optional<int64_t> head_hidden_size{};
  Pool global_pool = Pool::avg;
  ConfigNode attention{};

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images; windows and position biases follow.", between(1, 1 << 16));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of each stage.", between(1, 1 << 14));
    v("depths", depths, "Blocks of each stage.", between(1, 1024));
    v("block_type", block_type,
      "Blocks of each stage: C, T, M or PM; or several with spaces between, the last of which is repeated.");
    v("stem_width", stem_width, "Outputs of the stem's two convolutions.", between(1, 1 << 14));
    v("stem_bias", stem_bias, "Biases of the stem's convolutions.");
    v("conv", conv, "Convolutional blocks.");
    v("transformer", transformer, "Transformer blocks.");
    v("head_hidden_size", head_hidden_size, "Width of a layer before the classifier; none: no such layer.",
      between(1, 1 << 16));
    v("global_pool", global_pool, "How maps become the vector that the head reads: avg, max or avgmax.");
    v("attention", attention,
      "Mechanism of the transformer blocks, or a list of one per stage; none: the family's own.");
  }
  /// Errors (usage): lists of different lengths, maps that cannot be halved or are smaller than a window's share of
  /// them, kernels that change a map. A map that windows do not divide is padded by the mechanism, which is ours: timm
  /// asserts there.
  void validate() const;

  /// Kinds of a stage's blocks, one for each.
  std::vector<std::string> stage_blocks(size_t stage) const;
  /// The map of a stage at the native size; stage -1 is the stem.
  Grid map_of(int64_t stage) const;
  /// Windows at the native size: block and grid.
  std::array<int64_t, 2> window_size() const;
  std::array<int64_t, 2> grid_size() const;
};

class Maxxvit : public Backbone {
 public:
  Maxxvit(const MaxxvitConfig& config, const std::string& name);

  Var forward(Context& ctx, const Var& images) const override;
  std::vector<FeatureInfo> features() const override;

  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  const MaxxvitConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  Tensor adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  struct Stage : Module {
    std::deque<std::unique_ptr<MapBlock>> blocks;
    void add(std::unique_ptr<MapBlock> block);
  };
  std::unique_ptr<MapBlock> make_block(const std::string& type, size_t stage, int64_t index) const;
  /// The stem's map for stage -1, else that of a stage from the one before.
  Var run_stage(Context& ctx, const Var& x, int64_t stage) const;

  MaxxvitConfig config_;
  MapStem stem_;
  std::deque<Stage> stages_;
  std::optional<MapNorm> norm_;  // in the head, where that has a hidden layer
  NormMlpHead head_;
  TrainingOptions training_;
};

}  // namespace vit
