// RT-DETR (Zhao et al. 2024, "DETRs beat YOLOs on real-time object detection"; Hugging Face's
// RTDetrForObjectDetection): a backbone's maps, the hybrid encoder, the best cells as queries, and decoder layers that
// refine their boxes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detection/deformable_layers.h"
#include "detection/denoising.h"
#include "detection/hybrid_encoder.h"
#include "detection/model.h"
#include "detection/prediction_head.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/models/backbone.h"

namespace detection {

/// Names and defaults are those of Hugging Face's RTDetrConfig where it has them.
struct RtDetrConfig {
  std::array<int64_t, 2> img_size{640, 640};
  int64_t num_classes = 80;
  vit::ConfigNode backbone{};
  std::vector<int64_t> backbone_maps{1, 2, 3};
  int64_t encoder_hidden_dim = 256;
  int64_t encoder_layers = 1;
  int64_t encoder_ffn_dim = 1024;
  int64_t encoder_attention_heads = 8;
  std::vector<int64_t> encode_proj_layers{2};
  double positional_encoding_temperature = 10000.0;
  bool row_major_positions = true;
  vit::Activation encoder_activation_function = vit::Activation::gelu;
  vit::Activation activation_function = vit::Activation::silu;
  bool normalize_before = false;
  double hidden_expansion = 1.0;
  int64_t csp_blocks = 3;
  int64_t d_model = 256;
  int64_t num_queries = 300;
  int64_t num_feature_levels = 3;
  int64_t decoder_layers = 6;
  int64_t decoder_ffn_dim = 1024;
  int64_t decoder_attention_heads = 8;
  int64_t decoder_n_points = 4;
  vit::Activation decoder_activation_function = vit::Activation::relu;
  bool learn_initial_query = false;
  int64_t num_denoising = 100;
  float label_noise_ratio = 0.5f;
  float box_noise_scale = 1.0f;
  float dropout = 0.0f;
  float attention_dropout = 0.0f;
  float activation_dropout = 0.0f;
  float layer_norm_eps = 1e-5f;
  float batch_norm_eps = 1e-5f;
  double initializer_bias_prior_prob = 0.01;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images; any other size works as well.", vit::between(1, 1 << 16));
    v("num_classes", num_classes, "Kinds of objects.", vit::between(1, 1 << 16));
    v("backbone", backbone, "The backbone: any model of the toolkit that has feature maps, as configs/model has it.");
    v("backbone_maps", backbone_maps, "Which of the backbone's maps are used, finest first, counted from 0.",
      vit::between(0, 64));
    v("encoder_hidden_dim", encoder_hidden_dim, "Channels of the maps in the encoder.", vit::between(4, 1 << 14));
    v("encoder_layers", encoder_layers, "Attention layers among the cells of a map; 0: none.", vit::between(0, 64));
    v("encoder_ffn_dim", encoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 16));
    v("encoder_attention_heads", encoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("encode_proj_layers", encode_proj_layers, "Which maps have them, counted from 0.", vit::between(0, 64));
    v("positional_encoding_temperature", positional_encoding_temperature, "Longest wave of the cells' positions.",
      vit::above(0));
    v("row_major_positions", row_major_positions,
      "Positions follow the rows; false: as published, where they are transposed and fit square maps only.");
    v("encoder_activation_function", encoder_activation_function, "Activation of these MLPs.");
    v("activation_function", activation_function, "Activation of the encoder's convolutions.");
    v("normalize_before", normalize_before, "The attention layers normalise in front of each part.");
    v("hidden_expansion", hidden_expansion, "Width of the encoder's fusions as a share of encoder_hidden_dim.",
      vit::above(0));
    v("csp_blocks", csp_blocks, "Convolutions in a row in each fusion.", vit::between(1, 64));
    v("d_model", d_model, "Width of the queries.", vit::between(1, 1 << 14));
    v("num_queries", num_queries, "Objects that an image can have at most.", vit::between(1, 1 << 14));
    v("num_feature_levels", num_feature_levels,
      "Maps that queries look at; those beyond the encoder's are made of its last by strides.", vit::between(1, 64));
    v("decoder_layers", decoder_layers, "Layers that refine the queries.", vit::between(1, 64));
    v("decoder_ffn_dim", decoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 16));
    v("decoder_attention_heads", decoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("decoder_n_points", decoder_n_points, "Points of each head in each map.", vit::between(1, 1024));
    v("decoder_activation_function", decoder_activation_function, "Activation of their MLPs.");
    v("learn_initial_query", learn_initial_query, "Queries start as learned vectors, not as the cells they come from.");
    v("num_denoising", num_denoising, "Queries that training makes from an image's targets with noise; 0: none.",
      vit::between(0, 1 << 14));
    v("label_noise_ratio", label_noise_ratio, "Half of this share of them has another class.", vit::between(0, 2));
    v("box_noise_scale", box_noise_scale, "How far the corners of their boxes move, in halves of the extent.",
      vit::between(0, 2));
    v("dropout", dropout, "Dropout of what each part of a layer adds, in training.", vit::between(0, 0.99));
    v("attention_dropout", attention_dropout, "Dropout of the probabilities of attention among queries.",
      vit::between(0, 0.99));
    v("activation_dropout", activation_dropout, "Dropout of the MLPs' hidden values.", vit::between(0, 0.99));
    v("layer_norm_eps", layer_norm_eps, "Epsilon of the layer norms.", vit::above(0));
    v("batch_norm_eps", batch_norm_eps, "Epsilon of the batch norms behind the backbone.", vit::above(0));
    v("initializer_bias_prior_prob", initializer_bias_prior_prob, "Probability of every class before training.",
      vit::above(0));
  }
  /// Errors (usage): combinations that make no model.
  void validate() const;
};

class RtDetr : public DetectionModel {
 public:
  /// `backbone` may be null: then it is built from the configuration. Errors (usage): no backbone, maps it does not
  /// have.
  RtDetr(const RtDetrConfig& config, const std::string& name, std::unique_ptr<vit::Backbone> backbone = nullptr);

  /// Padding is no part of the original: with a mask, boxes are shares of the picture and not of the padded image, and
  /// nothing else changes.
  DetectionOutput detect(vit::Context& ctx, const DetectionInput& input) const override;
  Scoring scoring() const override { return Scoring::sigmoid; }
  ClassLoss class_loss() const override { return ClassLoss::varifocal; }
  std::string image_processor() const override { return "RTDetrImageProcessor"; }
  int64_t attention_layers() const override { return config_.decoder_layers; }
  QueryAttention query_attention(int64_t layer) const override {
    return {.module = vit::str("decoder.layers.", layer, ".encoder_attn"), .sampled = true};
  }
  int64_t num_queries() const override { return config_.num_queries; }

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  vit::ConfigNode describe() const override;
  /// Stochastic depth and checkpointing of the backbone; the transformer's dropout is the configuration's.
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  const RtDetrConfig& config() const { return config_; }
  vit::Backbone& backbone() { return *backbone_; }

 private:
  /// The queries that the decoder starts from, and what they see of each other.
  struct Queries {
    vit::Var content;         ///< [B, T, C]
    vit::Tensor boxes;        ///< [B, T, 4], shares
    vit::Tensor mask{};       ///< f32 [T, T]; undefined: all of each other
    DetectionLevel proposal;  ///< of those chosen among the cells
  };

  void add_projections();
  void add_heads();
  Memory encode(vit::Context& ctx, const vit::Var& images) const;
  Queries choose_queries(vit::Context& ctx, const Memory& memory) const;
  /// Puts noisy targets in front of the queries.
  std::optional<DenoisingQueries> add_denoising(vit::Context& ctx, const DetectionInput& input, Queries& queries) const;
  std::vector<DetectionLevel> decode(vit::Context& ctx, const Memory& memory, const Queries& queries,
                                     bool all_levels) const;
  void observe_proposals(vit::Context& ctx, const vit::Var& output, const vit::Var& logits,
                         const vit::Tensor& anchors) const;

  RtDetrConfig config_;
  std::unique_ptr<vit::Backbone> backbone_;
  std::vector<size_t> wanted_maps_;
  std::deque<vit::ConvNorm> encoder_input_proj_, decoder_input_proj_;
  HybridEncoder encoder_;
  std::optional<DenoisingEmbedding> denoising_class_embed_;
  vit::Parameter weight_embedding_;
  vit::Linear enc_output_;
  vit::Norm enc_output_norm_;
  ClassHead enc_score_head_;
  PredictionHead enc_bbox_head_, query_pos_head_;
  std::deque<DeformableDecoderLayer> decoder_layers_;
  std::deque<ClassHead> class_heads_;
  std::deque<PredictionHead> box_heads_;
};

}  // namespace detection
