#include "datasets/transform.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "datasets/augment_random.h"
#include "datasets/color_jitter.h"
#include "datasets/color_ops.h"
#include "datasets/transform_crop.h"
#include "vit/core/check.h"
#include "vit/image/preprocess_steps.h"

namespace datasets {

namespace {

constexpr std::array<double, 2> kCropScale = {0.08, 1.0}, kCropRatio = {3.0 / 4.0, 4.0 / 3.0};
constexpr std::array<double, 2> kKeepScale = {0.8, 1.0}, kKeepRatio = {0.9, 1.0 / 0.9};

vit::Extent fixed_size_of(const vit::Preprocessor& preprocessor) {
  const std::optional<vit::Extent> size = preprocessor.fixed_size();
  if (!size)
    vit::fail_usage("transform: the model's pre-processing gives every picture a size of its own (",
                    preprocessor.description(), "); batches need one size: set img_size");
  return *size;
}

std::optional<vit::Filter> filter_of(const std::string& name) {
  if (name == "random") return std::nullopt;
  return vit::filter_from_name(name);
}

/// The normalisation's mean as a colour, which it turns into 0.
Colour mean_colour(const vit::ToFloat& to_float) {
  Colour colour{};
  for (size_t c = 0; c < 3; ++c)
    colour[c] = static_cast<uint8_t>(std::clamp(std::nearbyint(255.0 * to_float.mean[c]), 0.0, 255.0));
  return colour;
}

/// Scaled so that it just covers `size`: torchvision's Resize(size), timm's ResizeKeepRatio where that is no square.
vit::Image resized_to_cover(const vit::Image& image, const vit::Extent& size, vit::Filter filter) {
  const vit::Extent source = {image.height(), image.width()};
  const vit::Extent to = size.height == size.width
                             ? vit::detail::extent_after(vit::ResizeShortest{.size = size.height}, source)
                             : vit::detail::extent_after(vit::ResizeKeepRatio{.to = size}, source);
  if (to == source) return image;
  return vit::resize(image, {.height = to.height, .width = to.width, .filter = filter});
}

}  // namespace

EvalTransform::EvalTransform(const vit::Preprocessor& preprocessor)
    : preprocessor_(preprocessor), size_(fixed_size_of(preprocessor)) {}

void EvalTransform::run(const vit::Image& image, vit::Rng&, float* output) const { preprocessor_.run(image, output); }

TrainTransform::TrainTransform(const AugmentConfig& config, const vit::Preprocessor& preprocessor)
    : config_(config), size_(fixed_size_of(preprocessor)), filter_(filter_of(config.train_interpolation)) {
  config_.validate();
  const bool keeps = config_.train_crop_mode != "rrc";
  scale_ = config_.scale.value_or(keeps ? kKeepScale : kCropScale);
  ratio_ = config_.ratio.value_or(keeps ? kKeepRatio : kCropRatio);
  if (const std::optional<AugmentPolicy> policy = parse_policy(config_.aa.value_or("")))
    policy_.emplace(*policy, mean_colour(preprocessor.to_float()), filter_);
  if (config_.corruptions) corruptions_.emplace(*config_.corruptions);
  erase_.probability = config_.no_aug ? 0.0 : config_.reprob;
  erase_.count = config_.recount;
  if (config_.remode == "const") erase_.fill = EraseFill::kConst;
  if (config_.remode == "rand") erase_.fill = EraseFill::kRand;
  normalise_ = vit::Preprocessor({}, preprocessor.to_float());
}

vit::Filter TrainTransform::pick_filter(vit::Rng& rng) const {
  if (filter_) return *filter_;
  return random_chance(rng, 0.5) ? vit::Filter::kBilinear : vit::Filter::kBicubic;
}

vit::Image TrainTransform::crop_with_padding(const vit::Image& image, vit::Rng& rng) const {
  const vit::Image covering = resized_to_cover(image, size_, pick_filter(rng));
  const int64_t padding = config_.crop_padding;
  const int64_t top = random_index(rng, covering.height() + 2 * padding - size_.height + 1) - padding;
  const int64_t left = random_index(rng, covering.width() + 2 * padding - size_.width + 1) - padding;
  return crop_padded(covering, {top, left, size_.height, size_.width});
}

vit::Image TrainTransform::crop_keeping_ratio(const vit::Image& image, vit::Rng& rng) const {
  const vit::Extent to = random_keep_ratio({image.height(), image.width()}, size_, scale_, ratio_, rng);
  const vit::Image resized = vit::resize(image, {.height = to.height, .width = to.width, .filter = pick_filter(rng)});
  const auto corner = [&](int64_t extent, int64_t wanted) {
    const int64_t margin = extent - wanted;
    if (config_.train_crop_mode == "rkrr") {
      const int64_t offset = random_index(rng, std::abs(margin) + 1);
      return margin < 0 ? -offset : offset;
    }
    return margin < 0 ? -(-margin / 2) : static_cast<int64_t>(std::nearbyint(static_cast<double>(margin) / 2.0));
  };
  const int64_t top = corner(to.height, size_.height), left = corner(to.width, size_.width);
  return crop_reflected(resized, {top, left, size_.height, size_.width});
}

vit::Image TrainTransform::cropped(const vit::Image& image, vit::Rng& rng) const {
  if (config_.no_aug) {
    const vit::Filter filter = filter_.value_or(vit::Filter::kBilinear);
    const vit::Image covering = resized_to_cover(image, size_, filter);
    const auto middle = [](int64_t extent, int64_t wanted) {
      return static_cast<int64_t>(std::nearbyint(static_cast<double>(extent - wanted) / 2.0));
    };
    return crop(covering, {middle(covering.height(), size_.height), middle(covering.width(), size_.width), size_.height,
                           size_.width});
  }
  if (config_.crop_padding > 0) return crop_with_padding(image, rng);
  if (config_.train_crop_mode != "rrc") return crop_keeping_ratio(image, rng);
  const vit::Window window = random_resized_crop({image.height(), image.width()}, scale_, ratio_, rng);
  const vit::Filter filter = pick_filter(rng);
  return vit::resize(crop(image, window), {.height = size_.height, .width = size_.width, .filter = filter});
}

vit::Image TrainTransform::augmented(const vit::Image& image, vit::Rng& rng) const {
  vit::check(image.defined(), "transform: the picture is undefined");
  vit::Image picture = cropped(image, rng);
  if (config_.no_aug) return picture;
  if (random_chance(rng, config_.hflip)) flip_horizontal(picture);
  if (random_chance(rng, config_.vflip)) flip_vertical(picture);
  if (policy_) (*policy_)(picture, rng);
  const bool jitters = config_.color_jitter > 0 || config_.hue > 0;
  if (jitters && (!policy_ || config_.force_color_jitter)) {
    if (!config_.color_jitter_prob || random_chance(rng, *config_.color_jitter_prob))
      jitter_color(picture, config_.color_jitter, config_.hue, rng);
  }
  if (random_chance(rng, config_.grayscale_prob)) to_grayscale(picture);
  if (corruptions_) (*corruptions_)(picture, rng);
  return picture;
}

void TrainTransform::run(const vit::Image& image, vit::Rng& rng, float* output) const {
  normalise_.run(augmented(image, rng), output);
  random_erase(output, size_, erase_, rng);
}

}  // namespace datasets
