// The weights of Pillow's resampling (Resample.c, precompute_coeffs and normalize_coeffs_8bpc) in the form that the
// passes in resize_passes.h take.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/image/resize.h"

namespace vit::detail {

/// Fractional bits of Pillow's 8-bit weights: 32 - 8 bits of pixel - 2 bits of headroom.
inline constexpr int kWeightBits = 32 - 8 - 2;

/// A weight k is stored as high * 2^15 + low with 0 <= low < 2^15: both halves fit the 16-bit multiply-add that every
/// x86 has, and the sum of the two products is k's to the bit.
inline constexpr int kLowBits = 15;

/// Weights of all outputs of one axis, by pairs of taps.
struct AxisWeights {
  int64_t outputs = 0;
  int64_t pairs = 0;           ///< pairs of taps per output, the same for all; what an output does not need is 0
  std::vector<int64_t> first;  ///< [outputs] first source index; even for the horizontal pass, which reads whole pairs
  std::vector<int32_t> low;    ///< [outputs, pairs] two 16-bit halves each: the even tap in the low 16 bits
  std::vector<int32_t> high;   ///< the same for the high parts
  int64_t source_begin = 0;    ///< all outputs together read [source_begin, source_end)
  int64_t source_end = 0;
};

/// What one axis is resized from and to.
struct Axis {
  int64_t source = 0;   ///< extent of the source
  float box_begin = 0;  ///< region that is scaled, fractional pixels
  float box_end = 0;
  int64_t result = 0;          ///< extent of the whole result
  int64_t begin = 0, end = 0;  ///< outputs that are wanted
};

/// `even_first`: each output's taps begin at an even index (a zero tap in front where necessary).
AxisWeights make_weights(const Axis& axis, Filter filter, bool even_first);

}  // namespace vit::detail
