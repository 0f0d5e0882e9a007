// Weights in the form that kernels read. A Linear owns one handle that says its precision; activations between ops stay
// f32, so a precision is a property of weights and kernels, never of models.
#pragma once

#include <cstdint>
#include <functional>

#include "vit/autograd/var.h"

namespace vit {

enum class Precision { f32 };

/// Where temporaries come from: an arena, a tape, or new memory.
using MemorySource = std::function<Tensor(const Shape& shape)>;

/// A weight matrix [F, K] packed in panels of columns for the active instruction set (docs/kernels.md has the layout).
class PackedWeight {
 public:
  PackedWeight() = default;
  /// Packs `weight`, row-major, f32, seen as [F, K] with F its first extent. In parallel over panels.
  static PackedWeight pack(const Tensor& weight);
  /// The same into memory given by the caller, of packed_elements(F, K) floats.
  static PackedWeight pack_into(const Tensor& weight, Tensor memory);
  static int64_t packed_elements(int64_t outputs, int64_t inputs);
  /// A convolution's weight [F, taps, c / groups] in `groups` groups of outputs: each group's matrix in panels of its
  /// own. A depthwise one (every channel its own group, with one output) lies transposed, [taps, F].
  /// Errors: groups does not divide F.
  static PackedWeight pack_convolution(const Tensor& weight, int64_t groups, int64_t taps);
  /// The same into memory given by the caller, of convolution_elements floats.
  static PackedWeight pack_convolution_into(const Tensor& weight, int64_t groups, int64_t taps, Tensor memory);
  static int64_t convolution_elements(const Tensor& weight, int64_t groups, int64_t taps);
  /// A convolution's weight [F, 9 * c] of 3 x 3 taps for Winograd's algorithm: 16 matrices [c, F] in panels, in memory
  /// from the source.
  static PackedWeight pack_winograd(const Tensor& weight, const MemorySource& memory);

  bool defined() const { return panels_.defined(); }
  int64_t outputs() const { return outputs_; }  ///< F
  int64_t inputs() const { return inputs_; }    ///< K, of one group
  Precision precision() const { return Precision::f32; }
  int64_t groups() const { return groups_; }
  bool depthwise() const { return depthwise_; }  ///< panels() is the matrix [taps, F]
  bool winograd() const { return winograd_; }    ///< panels() are those of pack_winograd
  const float* panels() const { return panels_.f32(); }
  const float* panels(int64_t group) const {
    return panels_.f32() + group * packed_elements(outputs_ / groups_, inputs_);
  }

 private:
  Tensor panels_;
  int64_t outputs_ = 0, inputs_ = 0, groups_ = 1;
  bool depthwise_ = false, winograd_ = false;
};

/// What an op reads: the packed form when there is one (inference), else the plain matrix, which it packs for the call.
struct Weight {
  const Var& plain;
  const PackedWeight& packed;
};

}  // namespace vit
