// What is done to training pictures, under the names that timm's train.py gives the options.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "datasets/corruption_augment.h"
#include "vit/core/config.h"

namespace datasets {

/// Augmentation of single pictures, and mixing of the pictures of a batch. The fields are flat in files: a bigger
/// struct calls visit_fields and validate from its own.
struct AugmentConfig {
  bool no_aug = false;
  std::string train_crop_mode = "rrc";
  std::optional<std::array<double, 2>> scale;
  std::optional<std::array<double, 2>> ratio;
  int64_t crop_padding = 0;
  std::string train_interpolation = "random";
  double hflip = 0.5;
  double vflip = 0.0;
  double color_jitter = 0.4;
  double hue = 0.0;
  std::optional<double> color_jitter_prob;
  bool force_color_jitter = false;
  double grayscale_prob = 0.0;
  std::optional<std::string> aa;
  std::optional<CorruptionAugmentConfig> corruptions;
  double reprob = 0.0;
  std::string remode = "pixel";
  int64_t recount = 1;

  double mixup = 0.0;
  double cutmix = 0.0;
  std::optional<std::array<double, 2>> cutmix_minmax;
  double mixup_prob = 1.0;
  double mixup_switch_prob = 0.5;
  std::string mixup_mode = "batch";
  int64_t mixup_off_epoch = 0;
  double smoothing = 0.1;

  /// Whether batches are mixed in the epochs before mixup_off_epoch.
  bool mixes() const { return mixup > 0 || cutmix > 0 || cutmix_minmax; }

  template <class V>
  void visit_fields(V& v) {
    v("no_aug", no_aug, "No augmentation of pictures: shorter side to the input size, centre crop.");
    v("train_crop_mode", train_crop_mode,
      "rrc: random resized crop; rkrc, rkrr: resize with ratio kept up to jitter, then centre or random crop.",
      vit::one_of({"rrc", "rkrc", "rkrr"}));
    v("scale", scale,
      "Share of the picture's area that a crop has, smallest and largest; none: 0.08, 1 (rkr*: 0.8, 1).",
      vit::above(0));
    v("ratio", ratio, "Width / height of a crop, smallest and largest; none: 3/4, 4/3 (rkr*: 0.9, 1/0.9).",
      vit::above(0));
    v("crop_padding", crop_padding,
      "Above 0: instead of train_crop_mode, shorter side to the input size, this many black pixels around, random "
      "crop.",
      vit::between(0, 4096));
    v("train_interpolation", train_interpolation, "Filter of resizing; random: bilinear or bicubic for each picture.",
      vit::one_of({"random", "nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}));
    v("hflip", hflip, "Probability of mirroring left and right.", vit::between(0, 1));
    v("vflip", vflip, "Probability of mirroring top and bottom.", vit::between(0, 1));
    v("color_jitter", color_jitter,
      "Brightness, contrast and saturation vary by factors from 1 - x to 1 + x; off under aa unless forced.",
      vit::between(0, 10));
    v("hue", hue, "Hue varies by up to this share of the circle, with color_jitter.", vit::between(0, 0.5));
    v("color_jitter_prob", color_jitter_prob, "Probability of the colour jitter; none: always.", vit::between(0, 1));
    v("force_color_jitter", force_color_jitter, "Colour jitter under aa too.");
    v("grayscale_prob", grayscale_prob, "Probability of taking the colour out.", vit::between(0, 1));
    v("aa", aa, "Policy: rand-m9-mstd0.5-inc1 and the like (RandAugment), ta_wide (TrivialAugment); none: no policy.");
    v("corruptions", corruptions,
      "Pictures are spoilt as those of ImageNet-C are: noise, blur, weather, digital; none: they are not.");
    v("reprob", reprob, "Probability of erasing rectangles after normalising.", vit::between(0, 1));
    v("remode", remode, "What fills them: const 0, rand: one normal colour, pixel: normal noise.",
      vit::one_of({"const", "rand", "pixel"}));
    v("recount", recount, "Rectangles per picture at most.", vit::between(1, 100));
    v("mixup", mixup, "Alpha of mixup's Beta distribution; 0: off.", vit::between(0, 1000));
    v("cutmix", cutmix, "Alpha of CutMix's Beta distribution; 0: off.", vit::between(0, 1000));
    v("cutmix_minmax", cutmix_minmax, "Sides of CutMix's box as shares of the picture's, smallest and largest.",
      vit::between(0, 1));
    v("mixup_prob", mixup_prob, "Probability of mixing a batch, pair or picture.", vit::between(0, 1));
    v("mixup_switch_prob", mixup_switch_prob, "Probability of CutMix where both are on.", vit::between(0, 1));
    v("mixup_mode", mixup_mode, "What shares one draw: batch, pair or elem.", vit::one_of({"batch", "pair", "elem"}));
    v("mixup_off_epoch", mixup_off_epoch, "No mixing from this epoch on; 0: to the end.", vit::at_least(0));
    v("smoothing", smoothing, "Label smoothing.", vit::between(0, 0.999));
  }

  /// Errors (usage): a range whose bounds are swapped, scale above 1, an aa that does not parse or does not go with
  /// train_interpolation.
  void validate() const;
};

}  // namespace datasets
