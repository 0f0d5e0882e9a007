// Residual networks (He et al. 2016) in the shapes that timm and Hugging Face have of them: deep stems and averaged
// shortcuts (He et al. 2019, "Bag of tricks", models c, d, s and t), groups (ResNeXt), wide bottlenecks, dilation in
// place of stride, and any attention mechanism in the blocks (squeeze-excite, ECA, CBAM, ...). One configuration
// describes them; resnet_timm.cpp and resnet_hugging_face.cpp read it from checkpoints. Detectors use them as
// backbones, with frozen batch norms.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/heads/norm_mlp.h"
#include "vit/models/backbone.h"
#include "vit/models/load.h"
#include "vit/models/resnet_block.h"
#include "vit/models/vit.h"  // Dialect

namespace vit {

class JsonObject;

/// The convolutions in front of the first pooling.
enum class ResNetStem {
  plain,        ///< one of 7 x 7
  deep,         ///< three of 3 x 3: stem_width, stem_width, twice stem_width
  deep_tiered,  ///< the same with three quarters of stem_width at first
};
/// "plain", "deep", "deep_tiered".
const std::vector<std::pair<ResNetStem, std::string>>& enum_names(ResNetStem);

struct ResNetConfig {
  std::array<int64_t, 2> img_size{224, 224};
  int64_t in_chans = 3;
  int64_t num_classes = 1000;
  ResNetBlockKind block = ResNetBlockKind::bottleneck;
  std::vector<int64_t> layers{3, 4, 6, 3};
  std::vector<int64_t> channels{64, 128, 256, 512};
  int64_t cardinality = 1;
  int64_t base_width = 64;
  ResNetStem stem_type = ResNetStem::plain;
  int64_t stem_width = 64;
  std::optional<int64_t> stem_channels{};
  bool replace_stem_pool = false;
  int64_t block_reduce_first = 1;
  int64_t down_kernel_size = 1;
  bool avg_down = false;
  bool project_first = false;
  bool aa = false;
  int64_t output_stride = 32;
  bool downsample_in_first_stage = false;
  bool downsample_in_bottleneck = false;
  Activation act = Activation::relu;
  float norm_eps = 1e-5f;
  bool frozen_norm = false;
  bool zero_init_last = true;
  Pool global_pool = Pool::avg;
  ConfigNode attention{};
  Dialect dialect = Dialect::timm;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images; any other size works as well.", between(1, 1 << 16));
    v("in_chans", in_chans, "Channels of the images.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("block", block, "Kind of the residual blocks.");
    v("layers", layers, "Blocks of each stage.", between(1, 1024));
    v("channels", channels, "Planes of each stage; a bottleneck's output is four times as wide.", between(1, 1 << 16));
    v("cardinality", cardinality, "Groups of the bottleneck's 3 x 3 convolution (ResNeXt).", between(1, 1 << 12));
    v("base_width", base_width, "Width of a bottleneck: planes * base_width / 64 * cardinality.", between(1, 1 << 12));
    v("stem_type", stem_type, "The convolutions in front of the first pooling.");
    v("stem_width", stem_width, "Width of a deep stem's first convolutions.", between(1, 1 << 12));
    v("stem_channels", stem_channels, "Outputs of the stem; none: 64, or twice stem_width of a deep one.",
      between(1, 1 << 16));
    v("replace_stem_pool", replace_stem_pool, "A strided 3 x 3 convolution in place of the max pooling.");
    v("block_reduce_first", block_reduce_first, "Divisor of the first convolution's width (SENet: 2).", between(1, 64));
    v("down_kernel_size", down_kernel_size, "Kernel of the shortcuts' convolutions (SENet: 3).", between(1, 3));
    v("avg_down", avg_down, "Shortcuts pool by means before their convolution (models d and t).");
    v("project_first", project_first,
      "The first block of each stage has a convolution in its shortcut even where shapes agree, and a mean only where "
      "widths differ (RT-DETR's ResNet-18 and 34).");
    v("aa", aa, "Strides are means over cells after an unstrided convolution.");
    v("output_stride", output_stride, "Stages dilate in place of striding once this many pixels make a cell.",
      between(4, 1 << 12));
    v("downsample_in_first_stage", downsample_in_first_stage, "The first stage has a stride of 2 as well.");
    v("downsample_in_bottleneck", downsample_in_bottleneck, "A bottleneck's first convolution has the stride.");
    v("act", act, "Activation.");
    v("norm_eps", norm_eps, "Epsilon of the batch norms.", above(0));
    v("frozen_norm", frozen_norm, "Batch norms keep their statistics and weights in training (detectors).");
    v("zero_init_last", zero_init_last, "The last norm of each block starts as zeros.");
    v("global_pool", global_pool, "How the last map becomes the vector that the head reads.");
    v("attention", attention,
      "Attention mechanism in each block's branch: none, a name, a map with `type` and its options, or a list of "
      "these, one per stage.");
    v("dialect", dialect, "Which library's names reference outputs have.");
  }
  /// Errors (usage): combinations that make no model, such as layers and channels of different lengths.
  void validate() const;

  /// Channels that enter the first stage.
  int64_t stem_outputs() const;
  /// Channels that leave a stage.
  int64_t stage_outputs(size_t stage) const { return channels[stage] * expansion_of(block); }
  /// Channels within the blocks of a stage, as their 3 x 3 convolutions have them.
  int64_t stage_width(size_t stage) const;
  /// The mechanism of a stage's blocks; null: none.
  ConfigNode stage_attention(size_t stage) const;
  /// Whether the shortcut of a stage's first block has a mean in front of its convolution.
  bool averages_shortcut(size_t stage) const;
};

class ResNet : public Backbone {
 public:
  ResNet(const ResNetConfig& config, const std::string& name);

  /// Any image size.
  Var forward(Context& ctx, const Var& images) const override;
  std::vector<FeatureInfo> features() const override;

  const std::map<std::string, ReferenceOutput>& reference_names() const override { return reference_names_; }
  void set_input_size(int64_t height, int64_t width) override;
  const ResNetConfig& config() const { return config_; }
  ConfigNode describe() const override;
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;

 protected:
  void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const override;

 private:
  /// Where a stage strides, dilates, and what its cells are.
  struct Stage {
    int64_t stride = 1, dilation = 1, first_dilation = 1, reduction = 4;
    Grid grid{};
    std::deque<ResNetBlock> blocks{};
  };
  void add_stem();
  void plan_stages();
  void add_stage(size_t index, int64_t inputs);
  /// Grids of the stages, for mechanisms that depend on them.
  void measure_grids();
  void name_references();
  Var embed(Context& ctx, const Var& images) const;
  Var run_stage(Context& ctx, size_t index, Var x) const;

  ResNetConfig config_;
  std::deque<ConvNorm> stem_;
  std::optional<ConvNorm> stem_pool_;
  std::deque<Stage> stages_;
  NormMlpHead head_;
  TrainingOptions training_;
  std::map<std::string, ReferenceOutput> reference_names_;
};

/// The configuration whose dimensions are those of tensors under timm's (and torchvision's) names behind a prefix, for
/// checkpoints that say "resnet50" and no more. `config` has what tensors do not tell: strides, the activation, the
/// mechanism. Errors (usage): there is no ResNet under the prefix.
ResNetConfig resnet_config_from_weights(const Weights& weights, const std::string& prefix, ResNetConfig config = {});

/// The configuration of a Hugging Face `resnet` or `rt_detr_resnet`, without a head. `json` is its own config.json, or
/// the `backbone_config` of a detector. Errors (usage): values that make no model.
ResNetConfig resnet_config_from_hugging_face(const JsonObject& json);

/// How Hugging Face names a ResNet's tensors ("{p}embedder.embedder.convolution.weight"), with rules for the head.
KeyMap resnet_hugging_face_keys(const ResNetConfig& config, const std::string& prefix);

}  // namespace vit
