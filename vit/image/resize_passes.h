// The two inner loops of resizing. Integer arithmetic, the same bits on every machine: SSE2, which every x86-64 has,
// multiplies and adds pairs of 16-bit numbers; elsewhere a plain loop does the same.
#pragma once

#include <cstdint>

#include "vit/image/resize_weights.h"

namespace vit::detail {

/// Bytes of one pair of pixels as the horizontal pass reads it: 16-bit r0 r1 g0 g1 b0 b1 and two more that do not
/// count.
inline constexpr int64_t kPairBytes = 16;
/// Rows that horizontal_pass takes at once.
inline constexpr int64_t kRowsAtOnce = 4;

/// Spreads pixels [begin, end) of an RGB row of `width` pixels into pairs. begin is even; pairs [(end - begin + 1) / 2]
/// of kPairBytes; a missing last pixel is 0.
void spread_pairs(int16_t* pairs, const uint8_t* row, int64_t begin, int64_t end, int64_t width);

/// rows [kRowsAtOnce][weights.outputs * 3 bytes] from spread pairs, one buffer per row, whose first pair is source
/// pixel `pairs_begin` (even). Writes up to one byte behind each row.
void horizontal_pass(uint8_t* const* rows, const int16_t* const* pairs, int64_t pairs_begin, int64_t pairs_count,
                     const AxisWeights& weights);

/// One result row of `bytes` bytes from the source rows first, first + 1, ... of `source`, whose row 0 is source row
/// `source_begin` and which has `source_rows` rows.
void vertical_pass(uint8_t* row, const uint8_t* source, int64_t source_stride, int64_t source_begin,
                   int64_t source_rows, int64_t bytes, const AxisWeights& weights, int64_t output);

}  // namespace vit::detail
