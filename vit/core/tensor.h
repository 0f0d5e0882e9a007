// Tensor: a reference-counted, 64-byte-aligned, row-major buffer with a shape and a dtype. Copying a Tensor shares the
// buffer. Non-goals: strides and lazy expressions (ops that need a stride take it as an argument; core/xt.h adapts a
// tensor for xtensor without a copy).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/shape.h"

namespace vit {

enum class DType : uint8_t { f32, f64, bf16, f16, i64, i32, i16, i8, u8, boolean };

/// Bytes of one element.
int64_t size_of(DType dtype);
/// "f32", "bf16", ...
const char* name_of(DType dtype);

/// Storage of the 16-bit formats: bits only, arithmetic is done in f32.
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, BFloat16>) return DType::bf16;
  if constexpr (std::is_same_v<T, Float16>) return DType::f16;
  if constexpr (std::is_same_v<T, int64_t>) return DType::i64;
  if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  if constexpr (std::is_same_v<T, int16_t>) return DType::i16;
  if constexpr (std::is_same_v<T, int8_t>) return DType::i8;
  if constexpr (std::is_same_v<T, uint8_t>) return DType::u8;
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
}

/// Bytes for `count` bytes of tensor data, 64-byte aligned; large blocks ask the system for huge pages.
/// Errors: out of memory, naming the size.
std::shared_ptr<std::byte> allocate_aligned(int64_t bytes);

class Tensor {
 public:
  /// An undefined tensor: defined() is false and it holds nothing.
  Tensor() = default;

  /// Uninitialised memory.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, float value);
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape);
  /// A view of memory that somebody else owns (a mapped file, an arena); `owner` is kept alive as long as the tensor
  /// is.
  static Tensor wrap(const void* data, const Shape& shape, DType dtype, std::shared_ptr<const void> owner);

  bool defined() const { return data_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  int64_t numel() const { return shape_.numel(); }
  int64_t nbytes() const { return numel() * size_of(dtype_); }
  DType dtype() const { return dtype_; }

  /// Elements as T. Errors: T is not this tensor's dtype.
  template <class T>
  T* data() const {
    check(dtype_of<T>() == dtype_, "tensor: asked for ", name_of(dtype_of<T>()), " of a tensor of ", name_of(dtype_));
    return static_cast<T*>(data_);
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  float* f32() const { return data<float>(); }
  void* raw() const { return data_; }

  /// The same elements under another shape of equal size.
  Tensor view(const Shape& shape) const;
  /// Entries [begin, end) of the first axis, sharing the buffer.
  Tensor slice(int64_t begin, int64_t end) const;
  /// A deep copy in memory of its own.
  Tensor clone() const;
  /// No other Tensor shares the buffer: it may be changed in place without anybody noticing.
  bool unique() const { return owner_.use_count() == 1; }

 private:
  Tensor(void* data, const Shape& shape, DType dtype, std::shared_ptr<const void> owner)
      : data_(data), owner_(std::move(owner)), shape_(shape), dtype_(dtype) {}

  void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  Shape shape_;
  DType dtype_ = DType::f32;
};

template <class T>
Tensor Tensor::from(const std::vector<T>& values, const Shape& shape) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "tensor: ", values.size(), " values do not fill ", shape);
  Tensor tensor = empty(shape, dtype_of<T>());
  for (size_t i = 0; i < values.size(); ++i) tensor.template data<T>()[i] = values[i];
  return tensor;
}

}  // namespace vit
