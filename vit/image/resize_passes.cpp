#include "vit/image/resize_passes.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vit::detail {

namespace {

constexpr int32_t kRounding = 1 << (kWeightBits - 1);

/// Sum of both parts -> the byte; sums wrap modulo 2^32, the total fits.
uint8_t round_to_byte(uint32_t low, uint32_t high) {
  const int32_t total = static_cast<int32_t>((high << kLowBits) + low + kRounding);
  return static_cast<uint8_t>(std::clamp(total >> kWeightBits, 0, 255));
}

int32_t even_half(int32_t pair) { return static_cast<int16_t>(pair & 0xFFFF); }
int32_t odd_half(int32_t pair) { return static_cast<int16_t>(static_cast<uint32_t>(pair) >> 16); }

#if defined(__SSE2__)

__m128i finish(__m128i low, __m128i high) {
  const __m128i total = _mm_add_epi32(_mm_add_epi32(_mm_slli_epi32(high, kLowBits), low), _mm_set1_epi32(kRounding));
  return _mm_srai_epi32(total, kWeightBits);
}

/// Sixteen adjacent bytes of a result row.
struct Accumulators {
  __m128i low[4] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
  __m128i high[4] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};

  void add(__m128i even_row, __m128i odd_row, __m128i weight_low, __m128i weight_high) {
    const __m128i zero = _mm_setzero_si128();
    const __m128i first = _mm_unpacklo_epi8(even_row, odd_row), second = _mm_unpackhi_epi8(even_row, odd_row);
    const __m128i taps[4] = {_mm_unpacklo_epi8(first, zero), _mm_unpackhi_epi8(first, zero),
                             _mm_unpacklo_epi8(second, zero), _mm_unpackhi_epi8(second, zero)};
    for (int i = 0; i < 4; ++i) {
      low[i] = _mm_add_epi32(low[i], _mm_madd_epi16(taps[i], weight_low));
      high[i] = _mm_add_epi32(high[i], _mm_madd_epi16(taps[i], weight_high));
    }
  }
  // The saturating packs are Pillow's clip8.
  __m128i bytes() const {
    return _mm_packus_epi16(_mm_packs_epi32(finish(low[0], high[0]), finish(low[1], high[1])),
                            _mm_packs_epi32(finish(low[2], high[2]), finish(low[3], high[3])));
  }
};

#endif

}  // namespace

void spread_pairs(int16_t* pairs, const uint8_t* row, int64_t begin, int64_t end, int64_t width) {
  int64_t x = begin;
#if defined(__SSE2__)
  // Eight bytes hold two pixels and two bytes too many: not at the row's end, which may be the end of the memory.
  const int64_t safe_end = std::min(end - 1, width - 2);
  for (; x < safe_end; x += 2, pairs += 8) {
    const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 3 * x));
    const __m128i interleaved = _mm_unpacklo_epi8(both, _mm_srli_epi64(both, 24));
    _mm_store_si128(reinterpret_cast<__m128i*>(pairs), _mm_unpacklo_epi8(interleaved, _mm_setzero_si128()));
  }
#endif
  for (; x < end; x += 2, pairs += 8) {
    for (int c = 0; c < 3; ++c) {
      pairs[2 * c] = row[3 * x + c];
      pairs[2 * c + 1] = x + 1 < width ? row[3 * (x + 1) + c] : int16_t{0};
    }
    pairs[6] = pairs[7] = 0;
  }
}

void horizontal_pass(uint8_t* const* rows, const int16_t* const* pairs, int64_t pairs_begin, int64_t pairs_count,
                     const AxisWeights& weights) {
  for (int64_t x = 0; x < weights.outputs; ++x) {
    const int64_t first = (weights.first[static_cast<size_t>(x)] - pairs_begin) / 2;
    // The last outputs have fewer taps than the common number of pairs; theirs would lie behind the row.
    const int64_t count = std::min(weights.pairs, pairs_count - first);
    const int32_t* low = weights.low.data() + x * weights.pairs;
    const int32_t* high = weights.high.data() + x * weights.pairs;
#if defined(__SSE2__)
    __m128i sum_low[kRowsAtOnce], sum_high[kRowsAtOnce];
    for (int64_t r = 0; r < kRowsAtOnce; ++r) sum_low[r] = sum_high[r] = _mm_setzero_si128();
    for (int64_t p = 0; p < count; ++p) {
      const __m128i weight_low = _mm_set1_epi32(low[p]), weight_high = _mm_set1_epi32(high[p]);
      for (int64_t r = 0; r < kRowsAtOnce; ++r) {
        const __m128i taps = _mm_load_si128(reinterpret_cast<const __m128i*>(pairs[r] + 8 * (first + p)));
        sum_low[r] = _mm_add_epi32(sum_low[r], _mm_madd_epi16(taps, weight_low));
        sum_high[r] = _mm_add_epi32(sum_high[r], _mm_madd_epi16(taps, weight_high));
      }
    }
    // The fourth byte is rubbish: the next pixel, or the byte that the caller allows behind the row, takes it.
    const __m128i words01 = _mm_packs_epi32(finish(sum_low[0], sum_high[0]), finish(sum_low[1], sum_high[1]));
    const __m128i words23 = _mm_packs_epi32(finish(sum_low[2], sum_high[2]), finish(sum_low[3], sum_high[3]));
    alignas(16) uint8_t bytes[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(words01, words23));
    for (int64_t r = 0; r < kRowsAtOnce; ++r) std::memcpy(rows[r] + 3 * x, bytes + 4 * r, 4);
#else
    for (int64_t r = 0; r < kRowsAtOnce; ++r) {
      for (int c = 0; c < 3; ++c) {
        uint32_t sum_low = 0, sum_high = 0;
        for (int64_t p = 0; p < count; ++p) {
          const int16_t* taps = pairs[r] + 8 * (first + p) + 2 * c;
          sum_low += static_cast<uint32_t>(taps[0] * even_half(low[p]) + taps[1] * odd_half(low[p]));
          sum_high += static_cast<uint32_t>(taps[0] * even_half(high[p]) + taps[1] * odd_half(high[p]));
        }
        rows[r][3 * x + c] = round_to_byte(sum_low, sum_high);
      }
    }
#endif
  }
}

void vertical_pass(uint8_t* row, const uint8_t* source, int64_t source_stride, int64_t source_begin,
                   int64_t source_rows, int64_t bytes, const AxisWeights& weights, int64_t output) {
  const int64_t first = weights.first[static_cast<size_t>(output)];
  const int32_t* low = weights.low.data() + output * weights.pairs;
  const int32_t* high = weights.high.data() + output * weights.pairs;
  // Taps beyond the last row have weight 0 and may read any row.
  std::vector<const uint8_t*> taps(static_cast<size_t>(2 * weights.pairs));
  for (size_t i = 0; i < taps.size(); ++i)
    taps[i] = source + std::min(first + static_cast<int64_t>(i) - source_begin, source_rows - 1) * source_stride;
  const auto pairs = static_cast<size_t>(weights.pairs);
  int64_t x = 0;
#if defined(__SSE2__)
  for (; x + 16 <= bytes; x += 16) {
    Accumulators sums;
    for (size_t p = 0; p < pairs; ++p) {
      const auto* even_row = reinterpret_cast<const __m128i*>(taps[2 * p] + x);
      const auto* odd_row = reinterpret_cast<const __m128i*>(taps[2 * p + 1] + x);
      sums.add(_mm_loadu_si128(even_row), _mm_loadu_si128(odd_row), _mm_set1_epi32(low[p]), _mm_set1_epi32(high[p]));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + x), sums.bytes());
  }
#endif
  for (; x < bytes; ++x) {
    uint32_t sum_low = 0, sum_high = 0;
    for (size_t p = 0; p < pairs; ++p) {
      const int32_t even = taps[2 * p][x], odd = taps[2 * p + 1][x];
      sum_low += static_cast<uint32_t>(even * even_half(low[p]) + odd * odd_half(low[p]));
      sum_high += static_cast<uint32_t>(even * even_half(high[p]) + odd * odd_half(high[p]));
    }
    row[x] = round_to_byte(sum_low, sum_high);
  }
}

}  // namespace vit::detail
