#include "datasets/mix.h"

#include <algorithm>
#include <cmath>

#include "datasets/augment_random.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// Uniform in (0, 1): its logarithm is finite.
double open_uniform(vit::Rng& rng) { return (rng.next_u32() + 0.5) * 0x1p-32; }

/// Logarithm of a Gamma(shape, 1) variable. Shapes below 1 are raised by 1 and scaled by u^(1 / shape).
double random_log_gamma(vit::Rng& rng, double shape) {
  double boost = 0.0;
  if (shape < 1.0) {
    boost = std::log(open_uniform(rng)) / shape;
    shape += 1.0;
  }
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = rng.normal();
    const double base = 1.0 + c * x;
    if (base <= 0.0) continue;
    const double v = base * base * base;
    if (std::log(open_uniform(rng)) < 0.5 * x * x + d - d * v + d * std::log(v)) return boost + std::log(d * v);
  }
}

/// numpy's randint(low, high) where `high` is left out; `low` where there is nothing between.
int64_t random_below(vit::Rng& rng, int64_t low, int64_t high) {
  return high > low ? low + random_index(rng, high - low) : low;
}

/// A box of 1 - share of the picture's area around a random centre, cut off at the border.
vit::Window box_of_share(int64_t height, int64_t width, double share, vit::Rng& rng) {
  const double side = std::sqrt(1.0 - share);
  const auto cut_h = static_cast<int64_t>(static_cast<double>(height) * side);
  const auto cut_w = static_cast<int64_t>(static_cast<double>(width) * side);
  const int64_t y = random_index(rng, height), x = random_index(rng, width);
  const int64_t top = std::clamp<int64_t>(y - cut_h / 2, 0, height),
                bottom = std::clamp<int64_t>(y + cut_h / 2, 0, height);
  const int64_t left = std::clamp<int64_t>(x - cut_w / 2, 0, width),
                right = std::clamp<int64_t>(x + cut_w / 2, 0, width);
  return {top, left, bottom - top, right - left};
}

/// A box whose sides are between two shares of the picture's, anywhere inside.
vit::Window box_within(int64_t height, int64_t width, const std::array<double, 2>& minmax, vit::Rng& rng) {
  const auto part = [](int64_t extent, double share) {
    return static_cast<int64_t>(static_cast<double>(extent) * share);
  };
  const int64_t cut_h = random_below(rng, part(height, minmax[0]), part(height, minmax[1]));
  const int64_t cut_w = random_below(rng, part(width, minmax[0]), part(width, minmax[1]));
  const int64_t top = random_below(rng, 0, height - cut_h), left = random_below(rng, 0, width - cut_w);
  return {top, left, cut_h, cut_w};
}

/// Views of a batch that is mixed in place.
struct Planes {
  float* pixels;
  int64_t channels, height, width;
  int64_t size() const { return channels * height * width; }
  float* picture(int64_t b) const { return pixels + b * size(); }
};

/// picture = picture * share + partner * (1 - share)
void blend(float* picture, const float* partner, int64_t count, float share) {
  const float rest = 1.0f - share;
  for (int64_t i = 0; i < count; ++i) picture[i] = picture[i] * share + partner[i] * rest;
}

void paste(const Planes& planes, float* picture, const float* partner, const vit::Window& box) {
  for (int64_t row = 0; row < planes.channels * box.height; ++row) {
    const int64_t c = row / box.height, y = box.top + row % box.height;
    const int64_t at = (c * planes.height + y) * planes.width + box.left;
    std::copy_n(partner + at, box.width, picture + at);
  }
}

/// Mixes a picture and its partner, each as its own draw says, both from the unmixed other.
void mix_two(const Planes& planes, int64_t a, int64_t b, const std::vector<MixDraw>& draws) {
  const auto changes = [&](int64_t i) {
    const MixDraw& draw = draws[static_cast<size_t>(i)];
    return draw.box || draw.share != 1.0f;
  };
  if (!changes(a) && !changes(b)) return;
  float *first = planes.picture(a), *second = planes.picture(b);
  const std::vector<float> original(first, first + planes.size());
  const auto mix = [&](float* picture, const float* partner, const MixDraw& draw) {
    if (draw.box)
      paste(planes, picture, partner, *draw.box);
    else if (draw.share != 1.0f)
      blend(picture, partner, planes.size(), draw.share);
  };
  mix(first, second, draws[static_cast<size_t>(a)]);
  mix(second, original.data(), draws[static_cast<size_t>(b)]);
}

}  // namespace

double random_beta(vit::Rng& rng, double a, double b) {
  const double x = random_log_gamma(rng, a), y = random_log_gamma(rng, b);
  return 1.0 / (1.0 + std::exp(y - x));
}

Mixer::Mixer(const AugmentConfig& config, int64_t num_classes) : config_(config), num_classes_(num_classes) {
  if (num_classes < 1) vit::fail_usage("mix: expected at least 1 class, got ", num_classes);
  config_.validate();
}

bool Mixer::mixes(int64_t epoch) const {
  return config_.mixes() && (config_.mixup_off_epoch == 0 || epoch < config_.mixup_off_epoch);
}

MixDraw Mixer::draw(int64_t height, int64_t width, vit::Rng& rng) const {
  MixDraw draw;
  if (!random_chance(rng, config_.mixup_prob)) return draw;
  // As in timm, a given cutmix_minmax is CutMix with alpha 1 whose draw the box then replaces.
  const double cutmix = config_.cutmix_minmax ? 1.0 : config_.cutmix;
  const bool cuts = cutmix > 0 && (config_.mixup <= 0 || random_chance(rng, config_.mixup_switch_prob));
  const double alpha = cuts ? cutmix : config_.mixup;
  const double share = random_beta(rng, alpha, alpha);
  draw.share = static_cast<float>(share);
  if (!cuts) return draw;
  draw.box = config_.cutmix_minmax ? box_within(height, width, *config_.cutmix_minmax, rng)
                                   : box_of_share(height, width, share, rng);
  // The share that is really left, which the border may have enlarged.
  const auto cut = static_cast<double>(draw.box->height * draw.box->width);
  draw.share = static_cast<float>(1.0 - cut / static_cast<double>(height * width));
  return draw;
}

vit::Tensor Mixer::apply(vit::Tensor& images, const std::vector<int64_t>& labels, int64_t epoch, vit::Rng& rng) const {
  const auto count = static_cast<int64_t>(labels.size());
  vit::check(images.defined() && images.rank() == 4 && images.size(0) == count, "mix: expected images [", count,
             ", C, height, width]");
  for (const int64_t label : labels)
    vit::check(label >= 0 && label < num_classes_, "mix: a label of ", label, ", but there are ", num_classes_,
               " classes");
  if (!soft_targets()) return vit::Tensor::from(labels, {count});

  const Planes planes{images.f32(), images.size(1), images.size(2), images.size(3)};
  std::vector<MixDraw> draws(labels.size());
  if (mixes(epoch)) {
    const auto draw_one = [&] { return draw(planes.height, planes.width, rng); };
    if (config_.mixup_mode == "batch") std::fill(draws.begin(), draws.end(), draw_one());
    if (config_.mixup_mode == "elem") std::generate(draws.begin(), draws.end(), draw_one);
    if (config_.mixup_mode == "pair")
      for (int64_t i = 0; i < count / 2; ++i)
        draws[static_cast<size_t>(i)] = draws[static_cast<size_t>(count - 1 - i)] = draw_one();
    for (int64_t i = 0; i < count / 2; ++i) mix_two(planes, i, count - 1 - i, draws);
  }

  const auto smoothing = static_cast<float>(config_.smoothing);
  const float off = smoothing / static_cast<float>(num_classes_), on = 1.0f - smoothing;
  vit::Tensor targets = vit::Tensor::full({count, num_classes_}, off);
  for (size_t i = 0; i < labels.size(); ++i) {
    float* row = targets.f32() + static_cast<int64_t>(i) * num_classes_;
    row[labels[i]] += on * draws[i].share;
    row[labels[labels.size() - 1 - i]] += on * (1.0f - draws[i].share);
  }
  return targets;
}

}  // namespace datasets
