// Counter-based random numbers (Philox 4x32-10; Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). A value depends only on (seed, stream, position): no hidden state is shared between threads, so the
// same seed gives the same bytes whatever the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "vit/core/tensor.h"

namespace vit {

class Rng {
 public:
  /// `stream` separates independent uses of one seed (a parameter's name hash, an image's index, ...).
  explicit Rng(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint32_t next_u32();
  /// Uniform in [0, 1) with 24 bits.
  float uniform();
  /// Standard normal (Box-Muller).
  float normal();
  /// Normal truncated to [-2, 2] standard deviations by rejection, as timm's trunc_normal_ bounds it.
  float truncated_normal();

  /// A stream number from a name (FNV-1a), the same on every machine.
  static uint64_t stream_of(std::string_view name);

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t position_ = 0;
  std::array<uint32_t, 4> block_{};
  int left_ = 0;
  float spare_ = 0.0f;  // Box-Muller makes two normal values at a time
  bool has_spare_ = false;
};

/// Fills an f32 tensor with mean + std * normal.
void fill_normal(Tensor& tensor, Rng& rng, float std, float mean = 0.0f);
/// Fills an f32 tensor with std * truncated normal.
void fill_truncated_normal(Tensor& tensor, Rng& rng, float std);
/// Fills an f32 tensor uniformly in [low, high).
void fill_uniform(Tensor& tensor, Rng& rng, float low, float high);

}  // namespace vit
