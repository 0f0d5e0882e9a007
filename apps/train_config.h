// The configuration of a training run: one flat file under the names that timm's users know.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "datasets/box_augment.h"
#include "datasets/data_config.h"
#include "datasets/loader.h"
#include "vit/core/config.h"
#include "vit/train/classification.h"
#include "vit/train/lora.h"
#include "vit/train/trainer.h"

namespace apps {

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
  vit::TrainerConfig trainer;
  double drop = 0.0;
  double pos_drop = 0.0;
  double patch_drop = 0.0;
  double proj_drop = 0.0;
  double drop_path = 0.0;
  bool grad_checkpointing = false;
  bool linear_probe = false;
  std::optional<vit::LoraConfig> lora{};
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
      "model's become a detector's backbone.");
    v("img_size", img_size, "Height and width of the model's input; 0: the model's own.", vit::between(0, 1 << 14));
    v("output", output, "Folder of the run.");
    data.visit_fields(v);
    loader.visit_fields(v);
    sampler.visit_fields(v);
    augment.visit_fields(v);
    v("augment", box_augment, "What is done to a detector's training pictures and their boxes.");
    loss.visit_fields(v);
    v("criterion", criterion, "What a detector is trained to; what it does not say is as the model's authors have it.");
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
