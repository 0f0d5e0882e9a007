#include "datasets/box_transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "datasets/transform_crop.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

vit::Corners corners_of(const vit::Window& window) {
  return {static_cast<double>(window.left), static_cast<double>(window.top),
          static_cast<double>(window.left + window.width), static_cast<double>(window.top + window.height)};
}

/// A line: pixels [from, from + count) of the source become [to, to + scaled) of the canvas.
struct Span {
  int64_t from = 0, count = 0, to = 0, scaled = 0;
  double scale() const { return static_cast<double>(scaled) / static_cast<double>(count); }
};

/// The part of [from, from + from_count) that lies within a picture of `extent`, and where it comes to lie when all of
/// it fills [to, to + to_count). Without pixels where nothing lies within.
Span visible_span(int64_t from, int64_t from_count, int64_t to, int64_t to_count, int64_t extent) {
  const int64_t begin = std::max<int64_t>(from, 0), end = std::min(from + from_count, extent);
  if (end <= begin) return {};
  const double scale = static_cast<double>(to_count) / static_cast<double>(from_count);
  const auto at = [&](int64_t position) {
    return std::clamp<int64_t>(std::llround(static_cast<double>(position - from) * scale), 0, to_count);
  };
  return {begin, end - begin, to + at(begin), at(end) - at(begin)};
}

/// What `rule` keeps of a box that is cut to `window`.
std::optional<BoxAnnotation> cut(const BoxAnnotation& annotation, const vit::Corners& window, const CutRule& rule) {
  const vit::Corners& whole = annotation.box;
  BoxAnnotation part = annotation;
  for (size_t i = 0; i < 2; ++i) {
    part.box[i] = std::max(whole[i], window[i]);
    part.box[i + 2] = std::min(whole[i + 2], window[i + 2]);
    if (part.box[i + 2] - part.box[i] < std::min(1.0, whole[i + 2] - whole[i])) return std::nullopt;
  }
  const double area = vit::box_area(whole), visible = area > 0.0 ? vit::box_area(part.box) / area : 0.0;
  if (visible <= 0.0 || visible < rule.min_visible) return std::nullopt;
  part.area *= visible;
  return part;
}

}  // namespace

void place(const BoxSample& sample, const Placement& placement, const CutRule& rule, vit::Image& canvas,
           std::vector<BoxAnnotation>& boxes) {
  const vit::Window &from = placement.from, &to = placement.to;
  vit::check(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0 && to.top >= 0 && to.left >= 0 &&
                 to.top + to.height <= canvas.height() && to.left + to.width <= canvas.width(),
             "place: windows that are empty or reach outside of the canvas");
  const Span y = visible_span(from.top, from.height, to.top, to.height, sample.image.height());
  const Span x = visible_span(from.left, from.width, to.left, to.width, sample.image.width());
  if (y.scaled < 1 || x.scaled < 1) return;
  const vit::Window part{y.from, x.from, y.count, x.count};
  vit::Image pixels = crop(sample.image, part);
  if (y.scaled != y.count || x.scaled != x.count)
    pixels = vit::resize(pixels, {.height = y.scaled, .width = x.scaled, .filter = vit::Filter::kBilinear});
  for (int64_t row = 0; row < y.scaled; ++row)
    std::memcpy(canvas.row(y.to + row) + 3 * x.to, pixels.row(row), static_cast<size_t>(3 * x.scaled));

  for (BoxAnnotation& moved : boxes_within(sample.boxes, part, rule)) {
    for (const size_t i : {size_t{0}, size_t{2}}) {
      moved.box[i] = static_cast<double>(x.to) + (moved.box[i] - static_cast<double>(x.from)) * x.scale();
      moved.box[i + 1] = static_cast<double>(y.to) + (moved.box[i + 1] - static_cast<double>(y.from)) * y.scale();
    }
    moved.area *= x.scale() * y.scale();
    boxes.push_back(moved);
  }
}

std::vector<BoxAnnotation> boxes_within(const std::vector<BoxAnnotation>& boxes, const vit::Window& window,
                                        const CutRule& rule) {
  std::vector<BoxAnnotation> kept;
  const vit::Corners corners = corners_of(window);
  for (const BoxAnnotation& box : boxes)
    if (const std::optional<BoxAnnotation> part = cut(box, corners, rule)) kept.push_back(*part);
  return kept;
}

BoxSample window_of(const BoxSample& sample, const vit::Window& window, const CutRule& rule, const Colour& fill) {
  const auto pixels = [](int64_t height, int64_t width) {
    return static_cast<double>(height) * static_cast<double>(width);
  };
  const double scale = std::min(
      1.0, std::sqrt(pixels(sample.image.height(), sample.image.width()) / pixels(window.height, window.width)));
  const auto scaled = [&](int64_t extent) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(extent) * scale));
  };
  BoxSample result{filled_image(scaled(window.height), scaled(window.width), fill)};
  place(sample, {window, {0, 0, result.image.height(), result.image.width()}}, rule, result.image, result.boxes);
  return result;
}

void flip_horizontal(BoxSample& sample) {
  flip_horizontal(sample.image);
  const auto width = static_cast<double>(sample.image.width());
  for (BoxAnnotation& box : sample.boxes) box.box = {width - box.box[2], box.box[1], width - box.box[0], box.box[3]};
}

void flip_vertical(BoxSample& sample) {
  flip_vertical(sample.image);
  const auto height = static_cast<double>(sample.image.height());
  for (BoxAnnotation& box : sample.boxes) box.box = {box.box[0], height - box.box[3], box.box[2], height - box.box[1]};
}

vit::Image filled_image(int64_t height, int64_t width, const Colour& fill) {
  vit::Image image(height, width);
  for (int64_t x = 0; x < width; ++x) std::copy(fill.begin(), fill.end(), image.row(0) + 3 * x);
  for (int64_t y = 1; y < height; ++y) std::memcpy(image.row(y), image.row(0), static_cast<size_t>(3 * width));
  return image;
}

vit::BoxTargets targets_of(const std::vector<BoxAnnotation>& boxes, int64_t height, int64_t width) {
  std::vector<float> shares;
  std::vector<int64_t> labels;
  for (const BoxAnnotation& annotation : boxes) {
    if (annotation.crowd || annotation.difficult) continue;
    const vit::CenterBox box = vit::to_center(annotation.box);
    for (size_t i = 0; i < box.size(); ++i)
      shares.push_back(static_cast<float>(box[i] / static_cast<double>(i % 2 == 0 ? width : height)));
    labels.push_back(annotation.label);
  }
  const auto count = static_cast<int64_t>(labels.size());
  return {vit::Tensor::from(shares, {count, 4}), vit::Tensor::from(labels, {count})};
}

}  // namespace datasets
