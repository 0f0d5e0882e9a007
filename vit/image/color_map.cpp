#include "vit/image/color_map.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace vit {

namespace {

/// Polynomials in the share, constant first, that are within a hundredth of matplotlib's table.
constexpr size_t kTerms = 7;
constexpr std::array<double, kTerms> kRed = {0.27772733, 0.10509304, -0.33086183, -4.6342305,
                                             6.2282699,  4.776385,   -5.4354559};
constexpr std::array<double, kTerms> kGreen = {0.00540734, 1.4046135,  0.21484756, -5.799101,
                                               14.179933,  -13.745145, 4.6458526};
constexpr std::array<double, kTerms> kBlue = {0.33409981, 1.3845902,  0.09509516, -19.332441,
                                              56.690553,  -65.353033, 26.312435};

constexpr Color kNoNumber{160, 160, 160};

uint8_t channel(const std::array<double, kTerms>& terms, double share) {
  double value = 0.0;
  for (size_t i = kTerms; i-- > 0;) value = value * share + terms[i];
  return static_cast<uint8_t>(255.0 * std::clamp(value, 0.0, 1.0) + 0.5);
}

/// CIELAB's inverse function of lightness (CIE 15:2004, section 8.2.1).
double from_lab(double t) { return t > 6.0 / 29.0 ? t * t * t : 3.0 * 36.0 / 841.0 * (t - 4.0 / 29.0); }

/// A linear share of light as sRGB stores it (IEC 61966-2-1).
uint8_t encoded(double light) {
  const double inside = std::clamp(light, 0.0, 1.0);
  const double value = inside <= 0.0031308 ? 12.92 * inside : 1.055 * std::pow(inside, 1.0 / 2.4) - 0.055;
  return static_cast<uint8_t>(255.0 * value + 0.5);
}

/// CIELAB under D65 -> sRGB.
Color from_lab(double lightness, double a, double b) {
  const double middle = (lightness + 16.0) / 116.0;
  const double x = 0.95047 * from_lab(middle + a / 500.0), y = from_lab(middle),
               z = 1.08883 * from_lab(middle - b / 200.0);
  return {encoded(3.2404542 * x - 1.5371385 * y - 0.4985314 * z),
          encoded(-0.9692660 * x + 1.8760108 * y + 0.0415560 * z),
          encoded(0.0556434 * x - 0.2040259 * y + 1.0572252 * z)};
}

}  // namespace

Color viridis(double share) {
  if (std::isnan(share)) return kNoNumber;
  const double inside = std::clamp(share, 0.0, 1.0);
  return {channel(kRed, inside), channel(kGreen, inside), channel(kBlue, inside)};
}

Color diverging(double value) {
  constexpr double kMiddle = 92.0, kEnd = 38.0, kChroma = 54.0, kDegree = 3.14159265358979323846 / 180.0;
  if (std::isnan(value)) return kNoNumber;
  const double share = std::min(std::abs(value), 1.0), hue = (value < 0.0 ? 285.0 : 32.0) * kDegree;
  return from_lab(kMiddle + (kEnd - kMiddle) * share, kChroma * share * std::cos(hue), kChroma * share * std::sin(hue));
}

}  // namespace vit
