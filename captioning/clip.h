// CLIP (Radford et al. 2021, "Learning transferable visual models from natural language supervision"): a tower for
// pictures and one for texts, whose vectors are compared. Told what its classes are called, it is a classifier.
// clip_hugging_face.cpp reads it from checkpoints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "captioning/text_decoder.h"
#include "captioning/tokenizer.h"
#include "vit/core/config.h"
#include "vit/models/vit.h"

namespace captioning {

struct ClipConfig {
  vit::ConfigNode vision{};
  TextDecoderConfig text{};
  int64_t projection_dim = 512;
  int64_t eos = 49407;
  bool pool_largest = false;

  template <class V>
  void visit_fields(V& v) {
    v("vision", vision, "The picture's tower: type `vit` and its options.");
    v("text", text, "The text's tower; it looks at no picture and has no head.");
    v("projection_dim", projection_dim, "Width of the vectors that are compared.", vit::between(1, 1 << 16));
    v("eos", eos, "Id of the token whose first place stands for the text.", vit::at_least(0));
    v("pool_largest", pool_largest, "The place of the largest id stands for it instead (the first CLIP models).");
  }
  /// Errors (usage): a text tower with a head or a memory.
  void validate() const;
};

class Clip : public vit::ImageModel {
 public:
  Clip(const ClipConfig& config, const std::string& name);

  /// images [B, channels, height, width] -> unit vectors [B, P].
  vit::Var encode_images(vit::Context& ctx, const vit::Var& images) const;
  /// ids i64 [L, T], mask i64 [L, T] (0: padding) or undefined -> unit vectors [L, P]. Errors: as
  /// TextDecoder::features; a text without its end.
  vit::Var encode_texts(vit::Context& ctx, const vit::Tensor& ids, const vit::Tensor& mask) const;
  /// How alike they are, images [B, P] and texts [L, P] -> exp(logit_scale) * images texts^T, [B, L].
  vit::Var logits(vit::Context& ctx, const vit::Var& images, const vit::Var& texts) const;

  /// From now on forward() answers with the logits of these texts. Errors (usage): no text, one that is too long.
  void set_labels(const Tokenizer& tokenizer, const std::vector<std::string>& texts);

  /// images -> logits [B, L] of the labels; without labels the pictures' vectors [B, P].
  vit::Var forward(vit::Context& ctx, const vit::Var& images) const override;

  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  /// Observes "image_embeds", "text_embeds", "logits_per_image", "logits_per_text", "probs" of `input`, `input_ids` and
  /// `attention_mask`.
  void run_reference(vit::Context& ctx, const vit::ReferenceRun& run) const override;
  std::vector<std::string> reference_inputs() const override { return {"input_ids", "attention_mask", "case.json"}; }
  vit::ConfigNode describe() const override;
  void set_training(const vit::TrainingOptions& options) override;
  std::vector<std::string> replace_head(int64_t num_classes) override;
  void set_input_size(int64_t height, int64_t width) override;
  vit::Tensor adapt_parameter(const std::string& name, const vit::Shape& expected, vit::Tensor found) const override;
  const ClipConfig& config() const { return config_; }

 private:
  /// Where in a row of ids the text's vector is.
  int64_t pooled_place(const int64_t* ids, int64_t length) const;

  ClipConfig config_;
  std::unique_ptr<vit::Vit> vision_;
  TextDecoder text_;
  vit::Linear visual_projection_, text_projection_;
  vit::Parameter logit_scale_;
  vit::Tensor labels_;  ///< unit vectors [L, P]
};

}  // namespace captioning
