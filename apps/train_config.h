// The configuration of a training run: one flat file under the names that timm's users know.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "captioning/caption_task.h"
#include "captioning/run_tokenizer.h"
#include "datasets/box_augment.h"
#include "datasets/caption_loader.h"
#include "datasets/data_config.h"
#include "datasets/loader.h"
#include "vit/core/config.h"
#include "vit/train/classification.h"
#include "vit/train/lora.h"
#include "vit/train/trainer.h"

namespace apps {

/// How a captioner writes captions, in validation and as --model; none: as the checkpoint has it, else one beam of up
/// to 30 tokens. Meanings as in captioning::GenerationConfig.
struct GenerationKeys {
  std::optional<int64_t> num_beams{};
  std::optional<double> length_penalty{};
  std::optional<int64_t> max_new_tokens{};
  std::optional<int64_t> min_new_tokens{};
  std::optional<int64_t> no_repeat_ngram_size{};
  std::optional<double> repetition_penalty{};

  template <class V>
  void visit_fields(V& v) {
    v("num_beams", num_beams, "Beams; 1: the likeliest word each time.", vit::between(1, 1024));
    v("length_penalty", length_penalty, "Above 0 favours longer captions among beams, below 0 shorter ones.");
    v("max_new_tokens", max_new_tokens, "Longest caption, in tokens.", vit::between(1, 1 << 16));
    v("min_new_tokens", min_new_tokens, "Shortest caption, in tokens.", vit::between(0, 1 << 16));
    v("no_repeat_ngram_size", no_repeat_ngram_size, "Above 0: no sequence of so many tokens stands twice.",
      vit::between(0, 1024));
    v("repetition_penalty", repetition_penalty, "Above 1 makes words that were said less likely.", vit::above(0));
  }
};

struct TrainConfig {
  vit::ConfigNode model{};
  std::string init_from{};
  int64_t img_size = 0;
  std::string output = "runs/train";
  datasets::DataConfig data;
  datasets::LoaderConfig loader;
  datasets::SamplerConfig sampler;
  datasets::AugmentConfig augment;
  datasets::BoxAugmentConfig box_augment;
  vit::ClassificationLossConfig loss;
  vit::ConfigNode criterion{};
  datasets::CaptionAugmentConfig caption_augment;
  captioning::CaptionLossConfig caption;
  captioning::TokenizerConfig tokenizer;
  GenerationKeys generation;
  vit::TrainerConfig trainer;
  double drop = 0.0;
  double pos_drop = 0.0;
  double patch_drop = 0.0;
  double proj_drop = 0.0;
  double drop_path = 0.0;
  bool grad_checkpointing = false;
  bool linear_probe = false;
  std::optional<vit::LoraConfig> lora{};
  std::optional<vit::AdversarialConfig> adversarial{};
  std::optional<std::array<double, 3>> mean{};
  std::optional<std::array<double, 3>> std{};
  std::optional<std::string> interpolation{};
  std::optional<double> crop_pct{};
  bool keep_ratio = false;
  double max_memory_gb = 0.0;

  template <class V>
  void visit_fields(V& v) {
    v("model", model, "What --model takes (a checkpoint is fine-tuned), or a map with `type`: a model from nothing.");
    v("init_from", init_from,
      "With a `model` from nothing: a checkpoint whose weights it begins with wherever names and shapes fit; an image "
      "model's become a detector's or captioner's backbone.");
    v("img_size", img_size, "Height and width of the model's input; 0: the model's own.", vit::between(0, 1 << 14));
    v("output", output, "Folder of the run.");
    data.visit_fields(v);
    loader.visit_fields(v);
    sampler.visit_fields(v);
    augment.visit_fields(v);
    v("augment", box_augment, "What is done to a detector's training pictures and their boxes.");
    loss.visit_fields(v);
    v("adversarial", adversarial,
      "A classifier learns from pictures changed to fool it, within `eps`; none: from the pictures as they are.");
    v("criterion", criterion, "What a detector is trained to; what it does not say is as the model's authors have it.");
    v("caption_augment", caption_augment, "What is done to a captioner's training pictures.");
    v("caption", caption, "What a captioner is trained to.");
    v("tokenizer", tokenizer, "The vocabulary that a captioner from nothing learns from its captions.");
    v("generation", generation, "How a captioner writes captions; what is not said is as the checkpoint has it.");
    trainer.visit_fields(v);
    v("drop", drop, "Dropout before the classifier.", vit::between(0, 0.99));
    v("pos_drop", pos_drop, "Dropout of the tokens after the position table.", vit::between(0, 0.99));
    v("patch_drop", patch_drop, "Share of the patches left out of each image, at random: faster steps.",
      vit::between(0, 0.99));
    v("proj_drop", proj_drop, "Dropout after the projections of each block.", vit::between(0, 0.99));
    v("drop_path", drop_path, "Stochastic depth of the last block; it grows from zero at the first.",
      vit::between(0, 0.99));
    v("grad_checkpointing", grad_checkpointing, "Recompute blocks in the backward pass: less memory, a third slower.");
    v("linear_probe", linear_probe, "Train the head only.");
    v("lora", lora, "Train low-rank adapters and the head only; none: all weights (or what `freeze` leaves).");
    v("mean", mean, "Mean of the pixels, per channel, 0 to 1; none: the checkpoint's, or 0.5.");
    v("std", std, "Standard deviation of the pixels; none: the checkpoint's, or 0.5.");
    v("interpolation", interpolation, "Filter of evaluation's resizing; none: the checkpoint's, or bicubic.");
    v("crop_pct", crop_pct, "Share of the resized picture that evaluation sees; none: the checkpoint's, or 0.9.",
      vit::between(0.01, 1));
    v("keep_ratio", keep_ratio,
      "Detectors: pictures keep their ratio within the input and are padded, instead of being stretched to it.");
    v("max_memory_gb", max_memory_gb, "Refuse to start when more would be needed; 0: what the machine has free.",
      vit::at_least(0));
  }
  /// Errors (usage): no model, or what a part refuses.
  void validate() const;
};

}  // namespace apps
