// YOLOS (Fang et al. 2021, "You only look at one sequence"): a plain vision transformer with learned detection tokens
// behind its patches, whose outputs two small heads read. yolos_hugging_face.cpp reads it from checkpoints.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detection/model.h"
#include "detection/prediction_head.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/nn/block.h"
#include "vit/nn/patch_embed.h"

namespace detection {

/// Names are those of the toolkit's vision transformers where they have them.
struct YolosConfig {
  std::array<int64_t, 2> img_size{512, 864};
  int64_t patch_size = 16;
  int64_t in_chans = 3;
  int64_t num_classes = 91;
  int64_t num_queries = 100;
  int64_t embed_dim = 384;
  int64_t depth = 12;
  int64_t num_heads = 6;
  double mlp_ratio = 4.0;
  std::optional<int64_t> mlp_hidden{};
  float norm_eps = 1e-12f;
  vit::Activation act = vit::Activation::gelu;
  bool mid_pos_embed = false;
  vit::ConfigNode attention{};

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size,
      "Height and width of the images the position tables are made for; any other size works as well.",
      vit::between(1, 1 << 16));
    v("patch_size", patch_size, "Height and width of a patch.", vit::between(1, 1 << 12));
    v("in_chans", in_chans, "Channels of the images.", vit::between(1, 1024));
    v("num_classes", num_classes, "Kinds of objects.", vit::between(1, 1 << 16));
    v("num_queries", num_queries, "Detection tokens: objects that an image can have at most.",
      vit::between(1, 1 << 14));
    v("embed_dim", embed_dim, "Width of the tokens.", vit::between(1, 1 << 16));
    v("depth", depth, "Number of blocks.", vit::between(1, 1024));
    v("num_heads", num_heads, "Attention heads of each block.", vit::between(1, 1024));
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLP as a multiple of embed_dim.", vit::between(0, 64));
    v("mlp_hidden", mlp_hidden, "Hidden width of the MLP itself; overrides mlp_ratio.", vit::between(1, 1 << 20));
    v("norm_eps", norm_eps, "Epsilon of all norms.", vit::above(0));
    v("act", act, "Activation of the MLP.");
    v("mid_pos_embed", mid_pos_embed, "A position table after every block but the last, too.");
    v("attention", attention,
      "Attention mechanism of the blocks, one that needs no grid: a name, a map with `type` and its options, or a list "
      "of these, one per block.");
  }
  /// Errors (usage): combinations that make no model.
  void validate() const;

  vit::Grid grid() const { return {img_size[0] / patch_size, img_size[1] / patch_size}; }
  int64_t mlp_hidden_width() const;
};

class Yolos : public DetectionModel {
 public:
  /// Errors (usage): widths that make no model, a mechanism that needs a grid.
  Yolos(const YolosConfig& config, const std::string& name);

  /// Any image size of at least one patch; rows and columns that fill no whole patch are ignored. The mask is not read:
  /// padding counts as picture, as in the original.
  DetectionOutput detect(vit::Context& ctx, const DetectionInput& input) const override;
  Scoring scoring() const override { return Scoring::softmax; }
  int64_t num_queries() const override { return config_.num_queries; }
  bool reads_mask() const override { return false; }
  std::string image_processor() const override { return "YolosImageProcessor"; }

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  int64_t attention_layers() const override { return config_.depth; }
  QueryAttention query_attention(int64_t layer) const override;
  vit::ConfigNode describe() const override;
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  const YolosConfig& config() const { return config_; }

 private:
  void add_blocks();
  int64_t table_rows() const { return 1 + config_.grid().count() + config_.num_queries; }
  vit::Var embed(vit::Context& ctx, const vit::Var& images, const vit::Grid& grid) const;
  vit::Var run_block(vit::Context& ctx, size_t index, const vit::Var& x, const vit::Grid& grid) const;
  DetectionLevel predict(vit::Context& ctx, const vit::Var& queries) const;
  /// A table [1, 1 + cells + Q, C] of the native grid for another: the cells' rows are resampled, bicubic without
  /// antialiasing; the table itself where the grid is the same.
  vit::Var table_for(vit::Context& ctx, const vit::Var& table, const vit::Grid& grid) const;
  /// The table that is added after a block.
  vit::Var mid_table(vit::Context& ctx, int64_t block, const vit::Grid& grid) const;

  YolosConfig config_;
  vit::PatchEmbed patch_embed_;
  vit::Parameter cls_token_, det_token_, pos_embed_, mid_pos_embed_;
  std::deque<vit::Block> blocks_;
  vit::Norm norm_;
  std::optional<PredictionHead> class_head_;
  PredictionHead box_head_;
  vit::TrainingOptions training_;
};

}  // namespace detection
