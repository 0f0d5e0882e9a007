// What every detector offers: boxes and classes for a fixed number of queries, and how these become detections.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/models/model.h"
#include "vit/train/batch.h"

namespace detection {

/// How a detector's logits are read.
enum class Scoring {
  softmax,  ///< [B, Q, K + 1], the last is "no object": one class per query (DETR, YOLOS)
  sigmoid,  ///< [B, Q, K], every pair of query and class for itself (Deformable DETR, RT-DETR)
};

/// How a detector's classes are learnt.
enum class ClassLoss {
  cross_entropy,  ///< softmax with "no object" as a class of its own (DETR, YOLOS)
  focal,          ///< sigmoid focal loss (Deformable DETR)
  varifocal,      ///< sigmoid towards the IoU of the matched box (RT-DETR)
};
/// "cross_entropy", "focal", "varifocal".
const std::vector<std::pair<ClassLoss, std::string>>& enum_names(ClassLoss);

struct DetectionInput {
  vit::Var images;  ///< [B, channels, height, width], normalised
  vit::Tensor
      pixel_mask{};  ///< i64 [B, height, width], 1: picture, 0: padding at the bottom and right; undefined: none
  /// Every decoder layer's answer is wanted, for auxiliary losses; else only the last one's.
  bool all_levels = false;
  /// What denoising queries are made from, where the model trains with them; null: none are made.
  const std::vector<vit::BoxTargets>* targets = nullptr;
};

/// One decoder layer's answer.
struct DetectionLevel {
  vit::Var logits;  ///< [B, Q, K] or [B, Q, K + 1], see Scoring
  vit::Var boxes;   ///< [B, Q, 4]: centre x, centre y, width, height, as shares of the picture (without its padding)
};

/// Queries that were made from the targets with noise (Zhang et al. 2022, "DINO", section 3.3): their match is known.
struct DenoisingLevels {
  std::vector<DetectionLevel> levels;  ///< as DetectionOutput::levels
  /// Per picture: (query, target) pairs. Queries without one are to say "no object".
  std::vector<std::vector<std::pair<int64_t, int64_t>>> matches;
  int64_t groups = 1;  ///< copies of the targets: the losses are divided by targets times groups
};

struct DetectionOutput {
  std::vector<DetectionLevel> levels;  ///< the last one is the answer
  /// What the encoder of a two-stage detector proposes, one per cell or per chosen cell; trained with the same losses.
  std::optional<DetectionLevel> proposals{};
  /// The encoder's boxes tell objects from background only: targets count as class 0 (Deformable DETR).
  bool proposals_without_class = false;
  std::optional<DenoisingLevels> denoising{};
};

/// Where observers see what the queries looked at, in one layer.
struct QueryAttention {
  std::string module;    ///< scope of the attention: "decoder.layers.5.encoder_attn"
  bool sampled = false;  ///< it observes "sampling_locations" and "sampling_weights"; else "probs", where the queries'
                         ///< rows are the last
  std::string layout{};  ///< name of the keys' layout as observe_layout() has it, for "probs"
};

class DetectionModel : public vit::ImageModel {
 public:
  /// Errors: images or a mask of other shapes than the model takes. Thread-safe with contexts of their own.
  virtual DetectionOutput detect(vit::Context& ctx, const DetectionInput& input) const = 0;

  /// The logits of the last layer: [B, Q, K or K + 1].
  vit::Var forward(vit::Context& ctx, const vit::Var& images) const override;

  virtual Scoring scoring() const = 0;
  /// What the family's authors train its classes with.
  virtual ClassLoss class_loss() const {
    return scoring() == Scoring::softmax ? ClassLoss::cross_entropy : ClassLoss::focal;
  }
  /// The image processor of transformers that goes with the family, where a checkpoint does not say.
  virtual std::string image_processor() const { return "DetrImageProcessor"; }
  virtual int64_t num_queries() const = 0;
  /// How many pairs of query and class the original's post-processing keeps, where scoring() is sigmoid.
  virtual int64_t top_k() const { return num_queries(); }
  /// False: padding counts as picture, as in the original (YOLOS); a batch then has pictures of one size.
  virtual bool reads_mask() const { return true; }

  /// Layers in which queries look at the picture; 0: nobody has said where to see them.
  virtual int64_t attention_layers() const { return 0; }
  /// Of one of these layers, counted from 0.
  virtual QueryAttention query_attention(int64_t) const { return {}; }

  std::string verb() const override { return "detect"; }

  /// Observes what the family's detect() does, and of its outputs "logits", "boxes", "levels.{i}.logits",
  /// "levels.{i}.boxes" and, post-processed, "post.thr{t}.{i}.{scores,labels,boxes}" and "post.{i}..." (no threshold):
  /// see detection/reference.h. Sizes of the pictures are `post.target_sizes` [B, 2] (height, width) or, where a file
  /// has none, those that its own boxes have.
  void run_reference(vit::Context& ctx, const vit::ReferenceRun& run) const override;
  /// `pixel_mask`, `post.target_sizes`.
  std::vector<std::string> reference_inputs() const override;
};

}  // namespace detection
