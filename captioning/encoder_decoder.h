// A vision transformer whose tokens a text decoder looks at. Configurations make it ViT-GPT2 (VisionEncoderDecoder: Li
// et al. 2021, "TrOCR", section 2, and its captioning kin) or BLIP (Li et al. 2022, "BLIP", section 3.1);
// vision_encoder_decoder_hugging_face.cpp and blip_hugging_face.cpp read them from checkpoints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "captioning/model.h"
#include "captioning/text_decoder.h"
#include "vit/core/config.h"
#include "vit/models/vit.h"

namespace captioning {

struct EncoderDecoderConfig {
  vit::ConfigNode encoder{};
  TextDecoderConfig decoder{};
  bool project = false;
  int64_t start = 0;
  std::vector<int64_t> ends{};
  int64_t pad = 0;
  bool prompt_replaces_first = false;
  float label_smoothing = 0.0f;

  template <class V>
  void visit_fields(V& v) {
    v("encoder", encoder, "The picture's model, as a file of configs/model/ has it: type `vit` and its options.");
    v("decoder", decoder, "The words' model.");
    v("project", project, "A linear layer takes the picture's tokens to the decoder's width.");
    v("start", start, "Id in front of every caption.", vit::at_least(0));
    v("ends", ends, "Ids that end a caption.", vit::at_least(0));
    v("pad", pad, "Id behind the end.", vit::at_least(0));
    v("prompt_replaces_first", prompt_replaces_first,
      "The first token of an encoded prompt (BERT's [CLS]) gives way to the start; off: it follows the start.");
    v("label_smoothing", label_smoothing, "Of the loss that the authors train with.", vit::between(0, 0.99));
  }
  /// Errors (usage): special ids outside the vocabulary.
  void validate() const;
};

class EncoderDecoder : public CaptionModel {
 public:
  /// Errors (usage): an encoder that is no vision transformer, widths that do not match.
  EncoderDecoder(const EncoderDecoderConfig& config, const std::string& name);

  vit::Var encode(vit::Context& ctx, const vit::Var& images) const override;
  vit::Var logits(vit::Context& ctx, const vit::Var& encoded, const vit::Tensor& ids,
                  const vit::Tensor& mask) const override;
  std::unique_ptr<DecoderState> begin(vit::Context& ctx, const vit::Tensor& encoded,
                                      int64_t rows_per_picture) const override;
  vit::Tensor step(vit::Context& ctx, DecoderState& state, const vit::Tensor& ids) const override;

  int64_t vocab_size() const override { return config_.decoder.vocab_size; }
  int64_t max_positions() const override { return config_.decoder.positions; }
  StartAndEnd start_and_end() const override { return {config_.start, config_.ends, config_.pad}; }
  std::vector<int64_t> prompt_ids(std::vector<int64_t> encoded) const override;
  int64_t attention_layers() const override { return config_.decoder.depth; }
  WordAttention word_attention(int64_t layer) const override;

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  vit::ConfigNode describe() const override;
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  vit::Tensor adapt_parameter(const std::string& name, const vit::Shape& expected, vit::Tensor found) const override;
  const EncoderDecoderConfig& config() const { return config_; }

 private:
  EncoderDecoderConfig config_;
  std::unique_ptr<vit::Vit> encoder_;
  std::optional<vit::Linear> projection_;
  TextDecoder decoder_;
};

}  // namespace captioning
