// DETR (Carion et al. 2020, "End-to-end object detection with transformers"): a backbone's last map, an encoder among
// its cells, and a decoder from a fixed number of learned queries to their classes and boxes, all at once.
// detr_hugging_face.cpp and detr_facebook.cpp read it from checkpoints; configs/model has it in YAML, on any backbone.
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

#include "detection/detr_layers.h"
#include "detection/map_positions.h"
#include "detection/model.h"
#include "detection/prediction_head.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/models/backbone.h"
#include "vit/nn/attention.h"
#include "vit/nn/conv2d.h"

namespace detection {

/// How the cells of the map know where they are.
enum class PositionEmbedding {
  sine,     ///< sines and cosines over the part that is picture
  learned,  ///< a vector per row and one per column, of maps of 50 x 50 at most
};
const std::vector<std::pair<PositionEmbedding, std::string>>& enum_names(PositionEmbedding);

/// Names and defaults are those of Hugging Face's DetrConfig where it has them.
struct DetrConfig {
  std::array<int64_t, 2> img_size{640, 640};
  int64_t num_classes = 91;
  vit::ConfigNode backbone{};
  std::optional<int64_t> backbone_map{};
  int64_t num_queries = 100;
  int64_t d_model = 256;
  int64_t encoder_layers = 6;
  int64_t encoder_attention_heads = 8;
  int64_t encoder_ffn_dim = 2048;
  int64_t decoder_layers = 6;
  int64_t decoder_attention_heads = 8;
  int64_t decoder_ffn_dim = 2048;
  vit::Activation activation_function = vit::Activation::relu;
  PositionEmbedding position_embedding_type = PositionEmbedding::sine;
  bool pre_norm = false;
  bool norm_between_layers = false;
  float dropout = 0.1f;
  float attention_dropout = 0.0f;
  float activation_dropout = 0.0f;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images; any other size works as well.", vit::between(1, 1 << 16));
    v("num_classes", num_classes, "Kinds of objects.", vit::between(1, 1 << 16));
    v("backbone", backbone, "The backbone: any model of the toolkit that has feature maps, as configs/model has it.");
    v("backbone_map", backbone_map, "Which of the backbone's maps is used, counted from 0; none: the last.",
      vit::between(0, 64));
    v("num_queries", num_queries, "Objects that an image can have at most.", vit::between(1, 1 << 14));
    v("d_model", d_model, "Width of cells and queries.", vit::between(4, 1 << 14));
    v("encoder_layers", encoder_layers, "Layers of attention among the cells.", vit::between(0, 256));
    v("encoder_attention_heads", encoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("encoder_ffn_dim", encoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 18));
    v("decoder_layers", decoder_layers, "Layers that refine the queries.", vit::between(1, 256));
    v("decoder_attention_heads", decoder_attention_heads, "Their heads.", vit::between(1, 1024));
    v("decoder_ffn_dim", decoder_ffn_dim, "Width of their MLPs.", vit::between(1, 1 << 18));
    v("activation_function", activation_function, "Activation of the MLPs.");
    v("position_embedding_type", position_embedding_type, "How the cells know where they are.");
    v("pre_norm", pre_norm, "Each part normalises what it reads, and a norm ends the encoder.");
    v("norm_between_layers", norm_between_layers,
      "The norm behind the decoder stands after each of its layers, too: transformers under auxiliary_loss.");
    v("dropout", dropout, "Dropout of what each part of a layer adds, in training.", vit::between(0, 0.99));
    v("attention_dropout", attention_dropout, "Dropout of the attention's probabilities.", vit::between(0, 0.99));
    v("activation_dropout", activation_dropout, "Dropout of the MLPs' hidden values.", vit::between(0, 0.99));
  }
};

class Detr : public DetectionModel {
 public:
  /// Errors (usage): no backbone, a map that it does not have, widths that do not divide into heads or positions.
  Detr(const DetrConfig& config, const std::string& name);

  DetectionOutput detect(vit::Context& ctx, const DetectionInput& input) const override;
  Scoring scoring() const override { return Scoring::softmax; }
  int64_t num_queries() const override { return config_.num_queries; }

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  vit::ConfigNode describe() const override;
  int64_t attention_layers() const override { return config_.decoder_layers; }
  QueryAttention query_attention(int64_t layer) const override;
  /// Stochastic depth and checkpointing of the backbone; the transformer's dropout is the configuration's.
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  const DetrConfig& config() const { return config_; }

 private:
  void add_positions();
  void add_layers();
  DetrMemory encode(vit::Context& ctx, const DetectionInput& input) const;
  vit::Var cell_positions(vit::Context& ctx, const vit::Grid& grid, const vit::Tensor& picture) const;
  std::vector<DetectionLevel> decode(vit::Context& ctx, const DetrMemory& memory, bool all_levels) const;
  DetectionLevel predict(vit::Context& ctx, const vit::Var& queries) const;

  DetrConfig config_;
  std::unique_ptr<vit::Backbone> backbone_;
  size_t map_;  ///< of the backbone's
  vit::Conv2d input_projection_;
  std::optional<LearnedPositions> learned_positions_;
  vit::Parameter query_position_embeddings_;
  std::deque<DetrEncoderLayer> encoder_layers_;
  std::optional<vit::Norm> encoder_norm_;
  std::deque<DetrDecoderLayer> decoder_layers_;
  vit::Norm decoder_norm_;
  ClassHead class_head_;
  PredictionHead box_head_;
};

}  // namespace detection
