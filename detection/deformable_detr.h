// Deformable DETR (Zhu et al. 2021, "Deformable DETR: deformable transformers for end-to-end object detection"; Hugging
// Face's DeformableDetrForObjectDetection): encoder and decoder look at a few points of several maps. Plain, with
// iterative refinement of the boxes, and in two stages, where the encoder proposes what the decoder refines.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection/deformable_layers.h"
#include "detection/map_positions.h"
#include "detection/model.h"
#include "detection/prediction_head.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/models/backbone.h"
#include "vit/nn/batch_norm.h"
#include "vit/nn/conv2d.h"

namespace detection {

/// How cells know where they are.
enum class PositionKind { sine, learned };
/// "sine", "learned".
const std::vector<std::pair<PositionKind, std::string>>& enum_names(PositionKind);

/// Names and defaults are those of Hugging Face's DeformableDetrConfig where it has them.
struct DeformableDetrConfig {
  std::array<int64_t, 2> img_size{800, 800};
  int64_t num_classes = 91;
  vit::ConfigNode backbone{};
  std::vector<int64_t> backbone_maps{1, 2, 3};
  int64_t d_model = 256;
  int64_t num_feature_levels = 4;
  int64_t encoder_layers = 6;
  int64_t encoder_ffn_dim = 1024;
  int64_t encoder_attention_heads = 8;
  int64_t encoder_n_points = 4;
  int64_t decoder_layers = 6;
  int64_t decoder_ffn_dim = 1024;
  int64_t decoder_attention_heads = 8;
  int64_t decoder_n_points = 4;
  vit::Activation activation_function = vit::Activation::relu;
  PositionKind position_embedding_type = PositionKind::sine;
  int64_t num_queries = 300;
  bool with_box_refine = false;
  bool two_stage = false;
  int64_t two_stage_num_proposals = 300;
  float dropout = 0.1f;
  float attention_dropout = 0.0f;
  float activation_dropout = 0.0f;
  double initializer_bias_prior_prob = 0.01;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images; any other size works as well.", vit::between(1, 1 << 16));
    v("num_classes", num_classes, "Kinds of objects.", vit::between(1, 1 << 16));
    v("backbone", backbone, "The backbone: any model of the toolkit that has feature maps, as configs/model has it.");
    v("backbone_maps", backbone_maps, "Which of the backbone's maps are used, finest first, counted from 0.",
      vit::between(0, 64));
    v("d_model", d_model, "Channels of the maps and width of the queries: a multiple of 32.", vit::between(4, 1 << 14));
    v("num_feature_levels", num_feature_levels,
      "Maps that are looked at; those beyond the backbone's are made of its last by strides.", vit::between(1, 64));
    v("encoder_layers", encoder_layers, "Layers of the encoder.", vit::between(1, 64));
    v("encoder_ffn_dim", encoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 16));
    v("encoder_attention_heads", encoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("encoder_n_points", encoder_n_points, "Points of each of these heads in each map.", vit::between(1, 1024));
    v("decoder_layers", decoder_layers, "Layers of the decoder.", vit::between(1, 64));
    v("decoder_ffn_dim", decoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 16));
    v("decoder_attention_heads", decoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("decoder_n_points", decoder_n_points, "Points of each of these heads in each map.", vit::between(1, 1024));
    v("activation_function", activation_function, "Activation of the MLPs.");
    v("position_embedding_type", position_embedding_type, "How cells know where they are.");
    v("num_queries", num_queries, "Objects that an image can have at most, in one stage.", vit::between(1, 1 << 14));
    v("with_box_refine", with_box_refine, "Every decoder layer refines the boxes of the one before.");
    v("two_stage", two_stage, "The encoder proposes the boxes that the decoder starts from; needs with_box_refine.");
    v("two_stage_num_proposals", two_stage_num_proposals, "How many of its proposals are taken.",
      vit::between(1, 1 << 14));
    v("dropout", dropout, "Dropout of what each part of a layer adds, in training.", vit::between(0, 0.99));
    v("attention_dropout", attention_dropout, "Dropout of the probabilities of attention among queries.",
      vit::between(0, 0.99));
    v("activation_dropout", activation_dropout, "Dropout of the MLPs' hidden values.", vit::between(0, 0.99));
    v("initializer_bias_prior_prob", initializer_bias_prior_prob, "Probability of every class before training.",
      vit::above(0));
  }
  /// Errors (usage): combinations that make no model.
  void validate() const;
  /// Pairs of heads: one for all layers, or one per layer and one for the proposals.
  int64_t heads() const { return with_box_refine ? decoder_layers + (two_stage ? 1 : 0) : 1; }
};

class DeformableDetr : public DetectionModel {
 public:
  /// `backbone` may be null: then it is built from the configuration. Errors (usage): no backbone, maps it does not
  /// have.
  DeformableDetr(const DeformableDetrConfig& config, const std::string& name,
                 std::unique_ptr<vit::Backbone> backbone = nullptr);

  DetectionOutput detect(vit::Context& ctx, const DetectionInput& input) const override;
  Scoring scoring() const override { return Scoring::sigmoid; }
  int64_t attention_layers() const override { return config_.decoder_layers; }
  QueryAttention query_attention(int64_t layer) const override {
    return {.module = vit::str("decoder.layers.", layer, ".encoder_attn"), .sampled = true};
  }
  int64_t num_queries() const override;
  /// transformers' DeformableDetrImageProcessor.
  int64_t top_k() const override { return 100; }

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  vit::ConfigNode describe() const override;
  /// Stochastic depth and checkpointing of the backbone; the transformer's dropout is the configuration's.
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  const DeformableDetrConfig& config() const { return config_; }

 private:
  /// A map brought to d_model channels: convolution and group norm, named "0" and "1".
  struct InputProjection : vit::Module {
    InputProjection(int64_t inputs, int64_t outputs, bool halve);
    vit::Var forward(vit::Context& ctx, const vit::Var& map) const;
    vit::Conv2d conv;
    vit::GroupNorm norm;
  };
  /// The parts of two-stage detection that plain detection lacks, and the other way round.
  struct TwoStage : vit::Module {
    explicit TwoStage(int64_t dim);
    vit::Linear enc_output, pos_trans;
    vit::Norm enc_output_norm, pos_trans_norm;
  };
  struct LearnedQueries : vit::Module {
    LearnedQueries(int64_t queries, int64_t dim);
    vit::Parameter embeddings;
    vit::Linear reference_points;
  };
  /// The maps as the encoder takes them.
  struct Scene {
    Memory memory;
    vit::Tensor pixel_mask;  ///< undefined: no padding
    vit::Tensor ratios;      ///< [B, L, 2]; undefined: ones
    vit::Var positions;      ///< [B or 1, M, C]
  };
  struct Queries {
    vit::Var content, positions;  ///< [B, Q, C]
    vit::Var start;               ///< [B, Q, 2 or 4], before the sigmoid
  };

  Scene look_at(vit::Context& ctx, const DetectionInput& input) const;
  vit::Var positions_of(vit::Context& ctx, const std::vector<vit::Grid>& grids, const vit::Tensor& pixel_mask) const;
  void encode(vit::Context& ctx, Scene& scene) const;
  Queries learned_queries(vit::Context& ctx, int64_t batch) const;
  Queries proposed_queries(vit::Context& ctx, const Scene& scene, bool all_proposals, DetectionOutput& output) const;
  void decode(vit::Context& ctx, const Scene& scene, const Queries& queries, bool all_levels,
              DetectionOutput& output) const;
  size_t head_of(size_t layer) const { return config_.with_box_refine ? layer : 0; }

  DeformableDetrConfig config_;
  std::unique_ptr<vit::Backbone> backbone_;
  std::vector<size_t> wanted_maps_;
  std::optional<LearnedPositions> learned_positions_;
  std::deque<InputProjection> input_proj_;
  vit::Parameter level_embed_;
  std::deque<DeformableEncoderLayer> encoder_layers_;
  std::optional<TwoStage> two_stage_;  // one of the two
  std::optional<LearnedQueries> learned_;
  std::deque<DeformableDecoderLayer> decoder_layers_;
  std::deque<ClassHead> class_heads_;
  std::deque<PredictionHead> box_heads_;
};

}  // namespace detection
