// TimeSformer (Bertasius, Wang, Torresani 2021, "Is space-time attention all you need for video understanding?"): a
// vision transformer over the frames of a clip. Each block attends along time and then within each frame
// (docs/video_attention.md).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/heads/classifier.h"
#include "vit/models/clip_model.h"
#include "vit/models/timesformer_block.h"
#include "vit/nn/conv_stem.h"
#include "vit/nn/patch_embed.h"

namespace vit {

/// Who looks at whom (the paper's figure 2).
enum class ClipAttention {
  divided_space_time,  ///< along time at each place, then within each frame
  space_only,          ///< within each frame; the frames' tokens are averaged before the last norm
  joint_space_time,    ///< every token at every other
};
const std::vector<std::pair<ClipAttention, std::string>>& enum_names(ClipAttention);

struct TimesformerConfig {
  int64_t num_frames = 8;
  std::array<int64_t, 2> img_size{224, 224};
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 400;
  int64_t embed_dim = 768;
  int64_t depth = 12;
  int64_t num_heads = 12;
  int64_t mlp_hidden = 3072;
  ClipAttention attention_type = ClipAttention::divided_space_time;
  Activation act = Activation::gelu;
  float norm_eps = 1e-6f;
  std::optional<ConvStemOptions> stem{};
  Pool global_pool = Pool::token;
  bool sincos = false;
  ConfigNode attention{};
  ConfigNode temporal_attention{};

  template <class V>
  void visit_fields(V& v) {
    v("num_frames", num_frames, "Frames of a clip.", between(1, 1024));
    v("img_size", img_size, "Height and width of a frame.", between(1, 1 << 14));
    v("patch_size", patch_size, "Height and width of a patch.", between(1, 1 << 12));
    v("in_chans", in_chans, "Channels of the frames.", between(1, 1024));
    v("num_classes", num_classes, "Classes of the head; 0: no head, the output is features.", between(0, 1 << 24));
    v("embed_dim", embed_dim, "Width of the tokens.", between(1, 1 << 16));
    v("depth", depth, "Number of blocks.", between(0, 1024));
    v("num_heads", num_heads, "Attention heads of each block.", between(1, 1024));
    v("mlp_hidden", mlp_hidden, "Hidden width of the MLP.", between(1, 1 << 20));
    v("attention_type", attention_type, "Who looks at whom: along time and within frames, within frames only, or all.");
    v("act", act, "Activation of the MLP.");
    v("norm_eps", norm_eps, "Epsilon of all norms.", above(0));
    v("stem", stem, "Convolutions over each frame in place of the patch projection; none: the projection.");
    v("global_pool", global_pool, "The vector that the head reads: token, or avg, the mean of the patches.");
    v("sincos", sincos,
      "Fixed sines and cosines of place and time are added to the learned tables. From nothing, place and order are "
      "then "
      "seen from the first step; the authors begin with weights that know pictures.");
    v("attention", attention,
      "Attention mechanism within frames (of joint_space_time: among all tokens): a name, a map with `type` and its "
      "options, or a list of these, one per block.");
    v("temporal_attention", temporal_attention, "Attention mechanism along time, likewise.");
  }
  /// Errors (usage): combinations that make no model: patches that do not fill a frame, a stem of other patches,
  /// num_heads that does not divide embed_dim, a temporal_attention where nothing attends along time.
  void validate() const;
  /// The fixed codes: f32 [1, T * N, embed_dim].
  Tensor codes() const;
  ClipGrid clip() const { return {num_frames, {img_size[0] / patch_size, img_size[1] / patch_size}}; }
};

class Timesformer : public ClipModel {
 public:
  Timesformer(const TimesformerConfig& config, const std::string& name);

  /// clips [B, channels, T * height, width] -> [B, K]. Errors: another shape.
  Var forward(Context& ctx, const Var& clips) const override;
  /// -> tokens [B, 1 + T * N, C] after the last norm; of space_only [B, 1 + N, C].
  Var forward_features(Context& ctx, const Var& clips) const;

  int64_t frames() const override { return config_.num_frames; }
  const TimesformerConfig& config() const { return config_; }
  ConfigNode describe() const override;
  /// Errors (usage): patch dropout, which leaves places without some of their frames.
  void set_training(const TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  const std::map<std::string, ReferenceOutput>& reference_names() const override;
  /// Position and time tables of another grid or number of frames are resampled to the nearest entry, as the authors
  /// do.
  Tensor adapt_parameter(const std::string& name, const Shape& expected, Tensor found) const override;

 protected:
  void set_frame_size(int64_t height, int64_t width) override;

 private:
  void add_block(int64_t index);
  /// [B, T * N, C], frame after frame.
  Var embed_patches(Context& ctx, const Var& clips) const;
  Var embed(Context& ctx, const Var& clips) const;
  Var run_block(Context& ctx, size_t index, const Var& x) const;

  TimesformerConfig config_;
  std::optional<PatchEmbed> patch_embed_;
  std::optional<ConvStem> stem_;
  Parameter cls_token_, pos_embed_, time_embed_;
  Tensor codes_;                       // where config_.sincos
  std::deque<SpaceTimeBlock> blocks_;  // of divided_space_time
  std::deque<Block> plain_blocks_;     // of the others
  Norm norm_;
  ClassifierHead head_;
  TrainingOptions training_;
};

}  // namespace vit
