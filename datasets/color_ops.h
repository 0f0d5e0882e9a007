// Pillow's colour operations on 8-bit RGB, to the byte: ImageOps, ImageEnhance and the conversion to HSV, from which
// timm's and torchvision's policies are made. All work in place: the picture's buffer must not be shared.
// Source of the definitions: Pillow 9.4, ImageOps.py, ImageEnhance.py, src/libImaging (Blend.c, Convert.c, Filter.c).
#pragma once

#include <cstdint>

#include "vit/image/image.h"

namespace datasets {

/// ImageOps.autocontrast: each channel's smallest value becomes 0, its largest 255.
void auto_contrast(vit::Image& image);
/// ImageOps.equalize: each channel's histogram is made flat.
void equalize(vit::Image& image);
/// ImageOps.invert
void invert(vit::Image& image);
/// ImageOps.posterize: keeps the `bits` highest bits, 0 to 8. Errors: another number.
void posterize(vit::Image& image, int bits);
/// ImageOps.solarize: inverts the values that are not below the threshold.
void solarize(vit::Image& image, double threshold);
/// timm's solarize_add: adds `amount` to values below 128, up to 255.
void solarize_add(vit::Image& image, int amount);

/// ImageEnhance: factor 0 gives the degenerate picture, 1 the same, above 1 more than the same.
void adjust_brightness(vit::Image& image, double factor);  ///< degenerate: black
void adjust_contrast(vit::Image& image, double factor);    ///< degenerate: the mean of the luma
void adjust_color(vit::Image& image, double factor);       ///< degenerate: the luma; torchvision's saturation
void adjust_sharpness(vit::Image& image, double factor);   ///< degenerate: smoothed by 3 x 3

/// torchvision's adjust_hue on Pillow pictures: shifts H of HSV (8 bits each) by `shift` of the circle, -0.5 to 0.5.
void adjust_hue(vit::Image& image, double shift);
/// All channels become the luma (ITU-R 601-2): convert("L").convert("RGB").
void to_grayscale(vit::Image& image);

}  // namespace datasets
