#include "datasets/box_augment.h"

#include <algorithm>
#include <cmath>

#include "datasets/augment_random.h"
#include "datasets/color_jitter.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// Tries for a window that keeps a box, as long as the picture has one.
constexpr int kCropTries = 10;
/// torchvision's RandomIoUCrop: overlaps to choose from (above 1: no crop), tries for each, ratios of the sides.
constexpr std::array<double, 7> kOverlaps = {0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 2.0};
constexpr int kIouTries = 40;
constexpr double kMaxAspect = 2.0;
/// Where a mosaic is cut, as a share of its sides.
constexpr double kMosaicMin = 0.25, kMosaicMax = 0.75;
/// Pictures of a mosaic whose scales differ by less are not scaled.
constexpr double kSameScale = 0.05;

int64_t rounded(double value) { return std::llround(value); }

/// Uniform in low .. high, both included, where they are in order; else low.
int64_t random_offset(vit::Rng& rng, int64_t low, int64_t high) {
  return high > low ? low + random_index(rng, high - low + 1) : low;
}

/// A window of these extents at a random place: within `within`, or around it where it is larger.
vit::Window random_window(vit::Rng& rng, const vit::Window& within, int64_t height, int64_t width) {
  const auto start = [&](int64_t begin, int64_t extent, int64_t wanted) {
    const int64_t slack = extent - wanted;
    return begin + (slack >= 0 ? random_offset(rng, 0, slack) : random_offset(rng, slack, 0));
  };
  const int64_t top = start(within.top, within.height, height), left = start(within.left, within.width, width);
  return {top, left, height, width};
}

int64_t scaled_extent(int64_t extent, double factor) {
  return std::max<int64_t>(1, rounded(static_cast<double>(extent) * factor));
}

vit::Corners corners_of(const vit::Window& w) {
  return {static_cast<double>(w.left), static_cast<double>(w.top), static_cast<double>(w.left + w.width),
          static_cast<double>(w.top + w.height)};
}

bool is_whole(const vit::Window& window, const vit::Image& image) {
  return window.top == 0 && window.left == 0 && window.height == image.height() && window.width == image.width();
}

/// The largest overlap of the window with a box whose centre lies in it; negative where there is none.
double best_overlap(const std::vector<BoxAnnotation>& boxes, const vit::Window& window) {
  const vit::Corners corners = corners_of(window);
  double best = -1.0;
  for (const BoxAnnotation& box : boxes) {
    const vit::CenterBox center = vit::to_center(box.box);
    const bool inside =
        center[0] > corners[0] && center[0] < corners[2] && center[1] > corners[1] && center[1] < corners[3];
    if (inside) best = std::max(best, vit::box_iou(box.box, corners));
  }
  return best;
}

}  // namespace

void BoxAugmentConfig::validate() const {
  if (scale_jitter[0] > scale_jitter[1])
    vit::fail_usage("scale_jitter: expected smallest, largest; got ", scale_jitter[0], ", ", scale_jitter[1]);
}

BoxAugment::BoxAugment(const BoxAugmentConfig& config, const Colour& fill)
    : config_(config), rule_{config.min_visible}, fill_(fill) {
  config_.validate();
}

BoxSample BoxAugment::operator()(const BoxSample& sample, vit::Rng& rng, const Another& another) const {
  if (config_.no_aug) return sample;
  const bool combines = another && random_chance(rng, config_.mosaic);
  BoxSample picture = combines ? mosaic(sample, rng, another) : sample;
  const vit::Window window = choose_window(picture, rng);
  if (!is_whole(window, picture.image))
    picture = window_of(picture, window, rule_, fill_);
  else if (!combines)
    picture.image = vit::Image(picture.image.pixels.clone());
  if (random_chance(rng, config_.hflip)) flip_horizontal(picture);
  if (random_chance(rng, config_.vflip)) flip_vertical(picture);
  const bool jitters = config_.color_jitter > 0 || config_.hue > 0;
  if (jitters && random_chance(rng, config_.color_jitter_prob))
    jitter_color(picture.image, config_.color_jitter, config_.hue, rng);
  return picture;
}

/// Four pictures at about the first one's scale meet at a point; of each, a random part is seen.
BoxSample BoxAugment::mosaic(const BoxSample& sample, vit::Rng& rng, const Another& another) const {
  const int64_t height = sample.image.height(), width = sample.image.width();
  BoxSample result{filled_image(height, width, fill_)};
  const int64_t y =
      std::clamp<int64_t>(rounded(static_cast<double>(height) * random_between(rng, kMosaicMin, kMosaicMax)), 1,
                          std::max<int64_t>(1, height - 1));
  const int64_t x =
      std::clamp<int64_t>(rounded(static_cast<double>(width) * random_between(rng, kMosaicMin, kMosaicMax)), 1,
                          std::max<int64_t>(1, width - 1));
  const auto own = random_index(rng, 4);
  for (int64_t quarter = 0; quarter < 4; ++quarter) {
    const bool lower = quarter / 2 == 1, right = quarter % 2 == 1;
    const vit::Window to{lower ? y : 0, right ? x : 0, lower ? height - y : y, right ? width - x : x};
    const std::optional<BoxSample> part = quarter == own ? sample : another(rng);
    if (!part || to.height < 1 || to.width < 1) continue;
    const vit::Image& image = part->image;
    const double scale = std::min(static_cast<double>(image.height()) / static_cast<double>(height),
                                  static_cast<double>(image.width()) / static_cast<double>(width));
    const double step = std::abs(scale - 1.0) < kSameScale ? 1.0 : scale;
    // Where the picture is the smaller one, it touches the point.
    const auto start = [&](int64_t extent, int64_t wanted, bool beyond) {
      if (extent >= wanted) return random_offset(rng, 0, extent - wanted);
      return beyond ? int64_t{0} : extent - wanted;
    };
    const int64_t part_height = scaled_extent(to.height, step), part_width = scaled_extent(to.width, step);
    const int64_t top = start(image.height(), part_height, lower), left = start(image.width(), part_width, right);
    place(*part, {{top, left, part_height, part_width}, to}, rule_, result.image, result.boxes);
  }
  return result;
}

vit::Window BoxAugment::choose_window(const BoxSample& sample, vit::Rng& rng) const {
  vit::Window window{0, 0, sample.image.height(), sample.image.width()};
  if (random_chance(rng, config_.zoom_out)) {
    const double factor = random_between(rng, 1.0, config_.zoom_out_max);
    window = random_window(rng, window, scaled_extent(window.height, factor), scaled_extent(window.width, factor));
  }
  if (config_.scale_jitter[0] != 1.0 || config_.scale_jitter[1] != 1.0) {
    const double factor =
        std::exp(random_between(rng, std::log(config_.scale_jitter[0]), std::log(config_.scale_jitter[1])));
    window = random_window(rng, window, scaled_extent(window.height, 1.0 / factor),
                           scaled_extent(window.width, 1.0 / factor));
  }
  if (!random_chance(rng, config_.crop)) return window;
  return config_.crop_mode == "iou" ? iou_crop(sample, window, rng) : random_crop(sample, window, rng);
}

/// DETR's RandomSizeCrop, in shares: sides are drawn independently.
vit::Window BoxAugment::random_crop(const BoxSample& sample, const vit::Window& within, vit::Rng& rng) const {
  const bool has_boxes = !boxes_within(sample.boxes, within, rule_).empty();
  for (int attempt = 0; attempt < kCropTries; ++attempt) {
    const int64_t height = scaled_extent(within.height, random_between(rng, config_.crop_min, 1.0));
    const int64_t width = scaled_extent(within.width, random_between(rng, config_.crop_min, 1.0));
    const vit::Window window = random_window(rng, within, height, width);
    if (!has_boxes || !boxes_within(sample.boxes, window, rule_).empty()) return window;
  }
  return within;
}

/// torchvision's RandomIoUCrop (Liu et al., "SSD: Single Shot MultiBox Detector", 2016, section 2.2).
vit::Window BoxAugment::iou_crop(const BoxSample& sample, const vit::Window& within, vit::Rng& rng) const {
  for (int attempt = 0; attempt < kCropTries; ++attempt) {
    const double wanted = kOverlaps[static_cast<size_t>(random_index(rng, kOverlaps.size()))];
    if (wanted > 1.0) return within;
    for (int trial = 0; trial < kIouTries; ++trial) {
      const double share_h = random_between(rng, config_.crop_min, 1.0);
      const double share_w = random_between(rng, config_.crop_min, 1.0);
      if (share_w > kMaxAspect * share_h || share_h > kMaxAspect * share_w) continue;
      const vit::Window window =
          random_window(rng, within, scaled_extent(within.height, share_h), scaled_extent(within.width, share_w));
      if (const double overlap = best_overlap(sample.boxes, window); overlap >= wanted) return window;
    }
  }
  return within;
}

}  // namespace datasets
