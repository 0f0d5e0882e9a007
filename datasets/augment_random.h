// Random choices of training data. Every use has a stream of its own that is made of what it is for, the epoch and the
// position in it, so that a value depends neither on threads nor on where a run was resumed.
#pragma once

#include <cstdint>

#include "vit/core/rng.h"

namespace datasets {

/// What a stream of random numbers is for.
enum class RandomUse : uint8_t { kOrder = 0xA1, kPicture = 0xA2, kMix = 0xA3, kCaption = 0xA4 };

/// The stream of a use at a place: for kOrder position 0, for kPicture the picture's position in the epoch, for kMix
/// the batch's, for kCaption the picture's number in its data set. Places differ below 2^24 epochs and 2^32 positions.
inline uint64_t stream_at(RandomUse use, int64_t epoch, int64_t position) {
  return static_cast<uint64_t>(use) << 56 | (static_cast<uint64_t>(epoch) & 0xFFFFFF) << 32 |
         (static_cast<uint64_t>(position) & 0xFFFFFFFF);
}

/// Uniform in [low, high).
inline double random_between(vit::Rng& rng, double low, double high) { return low + (high - low) * rng.uniform(); }

/// True with this probability: never at 0, always at 1.
inline bool random_chance(vit::Rng& rng, double probability) { return rng.uniform() < probability; }

/// Uniform in 0 .. count - 1; count is 1 to 2^32. Without bias (Lemire, "Fast random integer generation in an
/// interval", 2019).
inline int64_t random_index(vit::Rng& rng, int64_t count) {
  const auto range = static_cast<uint64_t>(count);
  const uint64_t unfair = (uint64_t{1} << 32) % range;
  for (;;) {
    const uint64_t product = rng.next_u32() * range;
    if ((product & 0xFFFFFFFF) >= unfair) return static_cast<int64_t>(product >> 32);
  }
}

}  // namespace datasets
