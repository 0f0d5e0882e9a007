// What is done to training pictures with boxes. Names follow DETR, RT-DETR and torchvision where they have one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "datasets/box_transform.h"
#include "vit/core/config.h"
#include "vit/core/rng.h"

namespace datasets {

struct BoxAugmentConfig {
  bool no_aug = false;
  double mosaic = 0.0;
  double zoom_out = 0.0;
  double zoom_out_max = 4.0;
  std::array<double, 2> scale_jitter = {1.0, 1.0};
  double crop = 0.5;
  std::string crop_mode = "size";
  double crop_min = 0.5;
  double min_visible = 0.25;
  double hflip = 0.5;
  double vflip = 0.0;
  double color_jitter = 0.2;
  double hue = 0.0;
  double color_jitter_prob = 1.0;
  double multiscale = 0.0;
  int64_t multiscale_step = 32;

  template <class V>
  void visit_fields(V& v) {
    v("no_aug", no_aug, "No augmentation at all: pictures as the model's pre-processing makes them.");
    v("mosaic", mosaic, "Probability that a picture is put together from four, cut at a random point.",
      vit::between(0, 1));
    v("zoom_out", zoom_out, "Probability that a picture is put into a larger one of one colour.", vit::between(0, 1));
    v("zoom_out_max", zoom_out_max, "How much longer that one's sides are at most.", vit::between(1, 16));
    v("scale_jitter", scale_jitter,
      "Objects become larger by a factor, smallest and largest: above 1 a part of the picture is seen, below 1 one "
      "colour is seen around it.",
      vit::between(0.05, 20));
    v("crop", crop, "Probability of cutting out a part.", vit::between(0, 1));
    v("crop_mode", crop_mode,
      "size: both sides at random (DETR); iou: until a box overlaps as much as was drawn (SSD, RT-DETR).",
      vit::one_of({"size", "iou"}));
    v("crop_min", crop_min, "Smallest sides of such a part, as shares of the picture's.", vit::between(0.05, 1));
    v("min_visible", min_visible, "A box of which a smaller share is left after cutting is dropped.",
      vit::between(0, 1));
    v("hflip", hflip, "Probability of mirroring left and right.", vit::between(0, 1));
    v("vflip", vflip, "Probability of mirroring top and bottom.", vit::between(0, 1));
    v("color_jitter", color_jitter, "Brightness, contrast and saturation vary by factors from 1 - x to 1 + x.",
      vit::between(0, 10));
    v("hue", hue, "Hue varies by up to this share of the circle.", vit::between(0, 0.5));
    v("color_jitter_prob", color_jitter_prob, "Probability of the colour jitter.", vit::between(0, 1));
    v("multiscale", multiscale, "Input sizes vary from batch to batch by up to this share; 0: one size.",
      vit::between(0, 0.9));
    v("multiscale_step", multiscale_step, "Sides under multiscale are multiples of this.", vit::between(1, 1024));
  }
  /// Errors (usage): scale_jitter's bounds are swapped.
  void validate() const;
};

/// Immutable: any number of threads may use one.
class BoxAugment {
 public:
  /// `fill` is the colour around pictures. Errors (usage): what config.validate() refuses.
  BoxAugment(const BoxAugmentConfig& config, const Colour& fill);

  /// For mosaics: another picture of the set, drawn with `rng`; none where it cannot be read.
  using Another = std::function<std::optional<BoxSample>(vit::Rng& rng)>;

  /// Mosaic, zoom-out, scale jitter, crop, flips, colours, in this order. All chance comes from `rng`. The sample's
  /// picture may be shared: it is not changed. `another` may be empty: no mosaics.
  BoxSample operator()(const BoxSample& sample, vit::Rng& rng, const Another& another = {}) const;

 private:
  BoxSample mosaic(const BoxSample& sample, vit::Rng& rng, const Another& another) const;
  vit::Window choose_window(const BoxSample& sample, vit::Rng& rng) const;
  vit::Window random_crop(const BoxSample& sample, const vit::Window& within, vit::Rng& rng) const;
  vit::Window iou_crop(const BoxSample& sample, const vit::Window& within, vit::Rng& rng) const;

  BoxAugmentConfig config_;
  CutRule rule_;
  Colour fill_;
};

}  // namespace datasets
