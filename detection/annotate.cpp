#include "detection/annotate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "vit/core/check.h"
#include "vit/image/canvas.h"
#include "vit/models/labels.h"

namespace detection {

namespace {

using vit::Canvas;
using vit::Color;
using vit::Corners;

/// Sizes in pixels, from the picture's shorter side: readable when it fills a screen, whatever its resolution.
struct Sizes {
  float line, letters, padding;

  explicit Sizes(const vit::Image& picture) {
    const auto side = static_cast<float>(std::min(picture.height(), picture.width()));
    line = std::clamp(side / 240.0f, 1.0f, 12.0f);
    letters = std::clamp(side / 48.0f, 6.0f, 60.0f);
    padding = std::max(2.0f, 0.3f * letters);
  }
};

Color color_of(const TrackedDetection& found) {
  return vit::palette_color(found.track >= 0 ? found.track : found.detection.index);
}

/// Black or white, whichever differs more (relative luminance of ITU-R BT.709, as it is stored).
Color ink_on(Color plate) {
  const double luminance = 0.2126 * plate.r + 0.7152 * plate.g + 0.0722 * plate.b;
  return luminance > 140.0 ? vit::kBlack : vit::kWhite;
}

struct Label {
  std::string text;
  vit::TextStyle style;
  vit::TextSize size;
  double height = 0.0, width = 0.0;  ///< of its plate
};

Label label_of(const TrackedDetection& found, const vit::ClassLabels& names, const AnnotateOptions& options,
               const Sizes& sizes, int64_t room) {
  Label label;
  if (found.track >= 0) label.text = fmt::format("#{} ", found.track);
  if (options.labels) label.text += names.name(found.detection.index);
  if (options.scores) label.text += fmt::format(" {:.0f}%", 100.0 * found.detection.score);
  label.style = {.height = sizes.letters,
                 .color = ink_on(color_of(found)),
                 .bold = sizes.letters >= 14.0f,
                 .vertical = vit::VerticalAlign::top};
  label.text = vit::fit_text(label.text, room - static_cast<int64_t>(2.0f * sizes.padding), label.style);
  label.size = vit::measure_text(label.text, label.style);
  label.width = static_cast<double>(label.size.width) + 2.0 * sizes.padding;
  label.height = static_cast<double>(label.size.ascent) + 2.0 * sizes.padding;
  return label;
}

/// The plate's place: above the box, inside it at the top, below it, inside at the bottom, the same at the right;
/// of those, moved into the picture, the first that hides least of the labels that lie there already.
Corners place_label(const Label& label, const Corners& box, const std::vector<Corners>& taken, double height,
                    double width) {
  const double right = box[2] - label.width;
  const std::array<std::array<double, 2>, 8> places = {{{box[0], box[1] - label.height},
                                                        {box[0], box[1]},
                                                        {box[0], box[3]},
                                                        {box[0], box[3] - label.height},
                                                        {right, box[1] - label.height},
                                                        {right, box[1]},
                                                        {right, box[3]},
                                                        {right, box[3] - label.height}}};
  Corners best{};
  double least = -1.0;
  for (const auto& [x, y] : places) {
    const double left = std::clamp(x, 0.0, std::max(0.0, width - label.width));
    const double top = std::clamp(y, 0.0, std::max(0.0, height - label.height));
    const Corners plate = {left, top, left + label.width, top + label.height};
    double hidden = 0.0;
    for (const Corners& other : taken) hidden += vit::intersection(plate, other);
    if (least >= 0.0 && hidden >= least) continue;
    best = plate;
    least = hidden;
  }
  return best;
}

std::array<float, 4> in_float(const Corners& box) {
  return {static_cast<float>(box[0]), static_cast<float>(box[1]), static_cast<float>(box[2]),
          static_cast<float>(box[3])};
}

/// The line of `thickness` inside a rectangle's edge: four strips, for a fill's cost is that of its bounding box.
void draw_frame(Canvas& canvas, const std::array<float, 4>& box, Color color, float thickness, float alpha) {
  const auto [x0, y0, x1, y1] = box;
  if (x1 - x0 <= 2.0f * thickness || y1 - y0 <= 2.0f * thickness) return canvas.rectangle(x0, y0, x1, y1, color, alpha);
  canvas.rectangle(x0, y0, x1, y0 + thickness, color, alpha);
  canvas.rectangle(x0, y1 - thickness, x1, y1, color, alpha);
  canvas.rectangle(x0, y0 + thickness, x0 + thickness, y1 - thickness, color, alpha);
  canvas.rectangle(x1 - thickness, y0 + thickness, x1, y1 - thickness, color, alpha);
}

void draw_box(Canvas& canvas, const Corners& box, Color color, const Sizes& sizes) {
  const auto [x0, y0, x1, y1] = in_float(box);
  // A dark seam on both sides keeps the line visible on ground of its colour.
  const float seam = 0.5f * sizes.line;
  draw_frame(canvas, {x0 - seam, y0 - seam, x1 + seam, y1 + seam}, vit::kBlack, sizes.line + 2.0f * seam, 0.4f);
  draw_frame(canvas, {x0, y0, x1, y1}, color, sizes.line, 1.0f);
}

void draw_tail(Canvas& canvas, const vit::Path& tail, Color color, const Sizes& sizes) {
  // It fades towards the past.
  for (size_t i = 1; i < tail.size(); ++i) {
    const float age = static_cast<float>(i) / static_cast<float>(tail.size() - 1);
    canvas.line(tail[i - 1], tail[i], color, sizes.line, 0.25f + 0.75f * age);
  }
  if (!tail.empty()) canvas.circle(tail.back(), 1.5f * sizes.line, color);
}

/// Detections of which the picture shows something, worst score first: what is drawn later lies on top.
std::vector<size_t> drawing_order(const std::vector<TrackedDetection>& detections, double height, double width) {
  std::vector<size_t> order;
  for (size_t i = 0; i < detections.size(); ++i) {
    const Corners& box = detections[i].detection.box;
    const bool finite = std::all_of(box.begin(), box.end(), [](double edge) { return std::isfinite(edge); });
    if (finite && vit::box_area(vit::clip_box(box, width, height)) > 0.0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return detections[a].detection.score < detections[b].detection.score; });
  return order;
}

}  // namespace

std::vector<vit::Path> TrackTails::update(const std::vector<TrackedDetection>& detections) {
  ++frame_;
  std::vector<vit::Path> result(detections.size());
  for (size_t i = 0; i < detections.size(); ++i) {
    if (detections[i].track < 0) continue;
    const vit::CenterBox box = vit::to_center(detections[i].detection.box);
    Tail& tail = tails_[detections[i].track];
    tail.seen = frame_;
    tail.points.push_back({static_cast<float>(box[0]), static_cast<float>(box[1])});
    if (static_cast<int64_t>(tail.points.size()) > length_) tail.points.pop_front();
    result[i].assign(tail.points.begin(), tail.points.end());
  }
  std::erase_if(tails_, [&](const auto& entry) { return frame_ - entry.second.seen >= length_; });
  return result;
}

vit::Image annotate(const vit::Image& picture, const std::vector<TrackedDetection>& detections,
                    const vit::ClassLabels& labels, const std::vector<vit::Path>& tails,
                    const AnnotateOptions& options) {
  vit::check(picture.defined(), "annotate: undefined picture");
  vit::check(tails.empty() || tails.size() == detections.size(), "annotate: ", tails.size(), " tails for ",
             detections.size(), " detections");
  Canvas canvas(vit::Image(picture.pixels.clone()));
  const Sizes sizes(picture);
  const auto height = static_cast<double>(picture.height()), width = static_cast<double>(picture.width());
  const std::vector<size_t> order = drawing_order(detections, height, width);
  for (const size_t i : order)
    if (!tails.empty()) draw_tail(canvas, tails[i], color_of(detections[i]), sizes);
  for (const size_t i : order)
    draw_box(canvas, vit::clip_box(detections[i].detection.box, width, height), color_of(detections[i]), sizes);
  if (!options.labels && !options.scores) return canvas.image();

  // The best score chooses its place first, and is drawn last.
  std::vector<Label> texts;
  std::vector<Corners> plates;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    texts.push_back(label_of(detections[*i], labels, options, sizes, picture.width()));
    const Corners box = vit::clip_box(detections[*i].detection.box, width, height);
    plates.push_back(place_label(texts.back(), box, plates, height, width));
  }
  for (size_t n = texts.size(); n-- > 0;) {
    const auto [x0, y0, x1, y1] = in_float(plates[n]);
    canvas.rectangle(x0, y0, x1, y1, color_of(detections[order[order.size() - 1 - n]]), 0.85f);
    canvas.text({x0 + sizes.padding, y0 + sizes.padding}, texts[n].text, texts[n].style);
  }
  return canvas.image();
}

}  // namespace detection
