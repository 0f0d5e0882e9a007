// A map over the picture that it is about, with everything that is needed to read it: a legend with its scale, what was
// explained by what, and how far to believe it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/image/canvas.h"
#include "vit/image/cell_map.h"

namespace vit {

/// What the colours stand for. Viridis from `min` to `max`; signed maps blue below zero, grey at it, red above.
struct MapScale {
  double min = 0.0, max = 1.0;
  bool is_signed = false;

  /// What is no number is grey.
  Color color(double value) const;
  /// 0 at min, 1 at max, between them in equal steps.
  double share(double value) const;
};

/// The least (where it is above zero by less than a hundredth of the largest: zero) and the largest number of a map; of
/// a signed one, the largest absolute value on both sides of zero. A map of one value has a scale above it. Errors: not
/// f32; no number in it.
MapScale scale_of(const Tensor& map, bool is_signed = false);

struct OverlayOptions {
  std::string title{};               ///< a line above: "Grad-CAM: tabby cat, 0.93"; ASCII, as all text
  std::vector<std::string> lines{};  ///< below: "deletion 0.12, insertion 0.71"; long ones are wrapped
  std::string unit{};                ///< over the legend: what the numbers are ("share of attention")
  std::optional<MapScale> scale{};   ///< none: scale_of(map, is_signed)
  bool is_signed = false;
  double opacity = 0.6;       ///< of the colours, 0 to 1
  bool smooth = true;         ///< bilinear between the centres of the map's cells; off: a square per cell
  bool with_picture = false;  ///< the picture alone to the left
  /// Pixels of the picture's longer side, about: smaller pictures are enlarged by the whole factor that comes nearest,
  /// pictures above twice this are scaled down to it.
  int64_t side = 480;
};

/// The picture with the map's colours on it. map f32 [rows, columns] lies over the picture as `window` says (none: all
/// of it). What of the picture lies outside of the map, since it was cut off before the model, stays without colour.
/// Errors: an undefined picture, a map that is not f32 [rows, columns], an opacity outside 0 to 1, a side outside 64 to
/// 4096.
Image draw_overlay(const Image& picture, const Tensor& map, const std::optional<CellWindow>& window = {},
                   const OverlayOptions& options = {});

/// The colours alone, without legend and text, at the picture's own size. Errors: as draw_overlay.
Image color_overlay(const Image& picture, const Tensor& map, const std::optional<CellWindow>& window,
                    const MapScale& scale, double opacity = 0.6, bool smooth = true);

}  // namespace vit
