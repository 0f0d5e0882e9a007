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

uint8_t channel(const std::array<double, kTerms>& terms, double share) {
  double value = 0.0;
  for (size_t i = kTerms; i-- > 0;) value = value * share + terms[i];
  return static_cast<uint8_t>(255.0 * std::clamp(value, 0.0, 1.0) + 0.5);
}

}  // namespace

Color viridis(double share) {
  if (std::isnan(share)) return {160, 160, 160};
  const double inside = std::clamp(share, 0.0, 1.0);
  return {channel(kRed, inside), channel(kGreen, inside), channel(kBlue, inside)};
}

}  // namespace vit
