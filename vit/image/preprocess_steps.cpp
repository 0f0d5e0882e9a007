#include "vit/image/preprocess_steps.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vit::detail {

namespace {

/// Python's int(a * b / c): the product of integers is exact, the division one rounding, the rest truncation.
int64_t scaled(int64_t a, int64_t b, int64_t c) {
  return static_cast<int64_t>(static_cast<double>(a * b) / static_cast<double>(c));
}

Extent apply(const ResizeTo& step, const Extent&) { return step.to; }

Extent apply(const ResizeShortest& step, const Extent& source) {
  if (source.width <= source.height) return {scaled(step.size, source.height, source.width), step.size};
  return {step.size, scaled(step.size, source.width, source.height)};
}

Extent apply(const ResizeKeepRatio& step, const Extent& source) {
  const double ratio_h = static_cast<double>(source.height) / static_cast<double>(step.to.height);
  const double ratio_w = static_cast<double>(source.width) / static_cast<double>(step.to.width);
  // timm: ratio = max * longest + min * (1 - longest), then round(side / ratio), Python's rounding of halves to even.
  const double ratio = step.longest ? std::max(ratio_h, ratio_w) : std::min(ratio_h, ratio_w);
  return {static_cast<int64_t>(std::nearbyint(static_cast<double>(source.height) / ratio)),
          static_cast<int64_t>(std::nearbyint(static_cast<double>(source.width) / ratio))};
}

Extent apply(const ResizeShortestLongest& step, const Extent& source) {
  // transformers get_size_with_aspect_ratio, with its names.
  const auto height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  int64_t size = step.shortest;
  double raw_size = static_cast<double>(size);
  if (step.longest > 0) {
    const double shorter = std::min(height, width), longer = std::max(height, width);
    if (longer / shorter * static_cast<double>(size) > static_cast<double>(step.longest)) {
      raw_size = static_cast<double>(step.longest) * shorter / longer;
      size = static_cast<int64_t>(std::nearbyint(raw_size));
    }
  }
  const bool fits = (source.height <= source.width && source.height == size) ||
                    (source.width <= source.height && source.width == size);
  Extent result;
  if (fits && (step.size_check_first || source.width >= source.height)) {
    result = source;
  } else if (source.width < source.height) {
    result = {static_cast<int64_t>(raw_size * height / width), size};
  } else {
    result = {size, static_cast<int64_t>(raw_size * width / height)};
  }
  return {result.height - result.height % step.multiple, result.width - result.width % step.multiple};
}

Extent apply(const ResizeWithin& step, const Extent& source) {
  const double scale_h = static_cast<double>(step.limit.height) / static_cast<double>(source.height);
  const double scale_w = static_cast<double>(step.limit.width) / static_cast<double>(source.width);
  const double scale = std::min(scale_h, scale_w);
  return {static_cast<int64_t>(static_cast<double>(source.height) * scale),
          static_cast<int64_t>(static_cast<double>(source.width) * scale)};
}

Extent apply(const CenterCrop& step, const Extent&) { return step.to; }

int64_t crop_offset(CenterCrop::Rounding rounding, int64_t source, int64_t crop) {
  const int64_t margin = source - crop;
  if (margin < 0) {
    // Padding in front: torchvision floor, transformers ceil of half of what is missing.
    return rounding == CenterCrop::Rounding::kTorchvision ? -(-margin / 2) : -((-margin + 1) / 2);
  }
  if (rounding == CenterCrop::Rounding::kTransformers) return margin / 2;
  return static_cast<int64_t>(std::nearbyint(static_cast<double>(margin) / 2.0));
}

std::string text(const Extent& extent) { return str(extent.height, " x ", extent.width); }

std::string describe_size(const ResizeTo& step) { return "resize to " + text(step.to); }
std::string describe_size(const ResizeShortest& step) { return str("resize shorter side to ", step.size); }
std::string describe_size(const ResizeKeepRatio& step) {
  return str("resize keeping the ratio to ", step.longest ? "fit in " : "cover ", text(step.to));
}
std::string describe_size(const ResizeShortestLongest& step) {
  return str("resize shorter side to ", step.shortest,
             step.longest > 0 ? str(", longer at most ", step.longest) : std::string(),
             step.multiple > 1 ? str(", down to multiples of ", step.multiple) : std::string());
}
std::string describe_size(const ResizeWithin& step) { return "resize keeping the ratio to fit in " + text(step.limit); }

}  // namespace

Extent extent_after(const ImageStep& step, const Extent& source) {
  const Extent result = std::visit([&](const auto& kind) { return apply(kind, source); }, step);
  check(result.height >= 1 && result.width >= 1, "preprocess: a picture of ", text(source), " pixels would become ",
        text(result), " (", describe(step), ")");
  return result;
}

std::optional<Filter> filter_of(const ImageStep& step) {
  return std::visit(
      [](const auto& kind) -> std::optional<Filter> {
        if constexpr (std::is_same_v<std::decay_t<decltype(kind)>, CenterCrop>)
          return std::nullopt;
        else
          return kind.filter;
      },
      step);
}

Corner crop_corner(const CenterCrop& crop, const Extent& source) {
  return {crop_offset(crop.rounding, source.height, crop.to.height),
          crop_offset(crop.rounding, source.width, crop.to.width)};
}

Image crop_or_pad(const Image& image, const CenterCrop& crop) {
  const Corner corner = crop_corner(crop, {image.height(), image.width()});
  Image result(crop.to.height, crop.to.width);
  uint8_t* pixel = result.row(0);
  for (int64_t i = 0; i < crop.to.height * crop.to.width; ++i, pixel += 3)
    std::copy(crop.fill.begin(), crop.fill.end(), pixel);
  const int64_t left = std::max<int64_t>(0, -corner.left);
  const int64_t from = std::max<int64_t>(0, corner.left);
  const int64_t columns = std::min(crop.to.width - left, image.width() - from);
  for (int64_t y = 0; y < crop.to.height; ++y) {
    const int64_t source_y = y + corner.top;
    if (source_y < 0 || source_y >= image.height()) continue;
    std::memcpy(result.row(y) + 3 * left, image.row(source_y) + 3 * from, static_cast<size_t>(3 * columns));
  }
  return result;
}

std::string describe(const ImageStep& step) {
  return std::visit(
      [](const auto& kind) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(kind)>, CenterCrop>) {
          const auto [r, g, b] = kind.fill;
          return str("centre crop ", text(kind.to),
                     r || g || b ? str(" on (", int{r}, ", ", int{g}, ", ", int{b}, ")") : "");
        } else {
          return str(describe_size(kind), " (", name_of(kind.filter), ")");
        }
      },
      step);
}

}  // namespace vit::detail
