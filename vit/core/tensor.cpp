#include "vit/core/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace vit {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;

struct DTypeInfo {
  const char* name;
  int64_t size;
};

DTypeInfo info(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {"f32", 4};
    case DType::f64:
      return {"f64", 8};
    case DType::bf16:
      return {"bf16", 2};
    case DType::f16:
      return {"f16", 2};
    case DType::i64:
      return {"i64", 8};
    case DType::i32:
      return {"i32", 4};
    case DType::i16:
      return {"i16", 2};
    case DType::i8:
      return {"i8", 1};
    case DType::u8:
      return {"u8", 1};
    case DType::boolean:
      return {"bool", 1};
  }
  fail("tensor: unknown dtype ", static_cast<int>(dtype));
}

}  // namespace

int64_t size_of(DType dtype) { return info(dtype).size; }
const char* name_of(DType dtype) { return info(dtype).name; }

std::shared_ptr<std::byte> allocate_aligned(int64_t bytes) {
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const int64_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, static_cast<size_t>(alignment), static_cast<size_t>(rounded)) != 0)
    fail("out of memory: ", bytes / 1048576.0, " MiB could not be allocated");
  // Weights and activations are walked in panels: with 4 KiB pages the walk is bound by address translation.
  if (bytes >= kHugePage) madvise(memory, static_cast<size_t>(rounded), MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [](std::byte* pointer) { std::free(pointer); }};
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  auto memory = allocate_aligned(shape.numel() * size_of(dtype));
  void* data = memory.get();
  return {data, shape, dtype, std::move(memory)};
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor tensor = empty(shape, dtype);
  std::memset(tensor.data_, 0, static_cast<size_t>(tensor.nbytes()));
  return tensor;
}

Tensor Tensor::full(const Shape& shape, float value) {
  Tensor tensor = empty(shape);
  std::fill_n(tensor.f32(), tensor.numel(), value);
  return tensor;
}

Tensor Tensor::wrap(const void* data, const Shape& shape, DType dtype, std::shared_ptr<const void> owner) {
  check(data != nullptr || shape.numel() == 0, "tensor: wrapped a null pointer as ", shape);
  return {const_cast<void*>(data), shape, dtype, std::move(owner)};
}

Tensor Tensor::view(const Shape& shape) const {
  check(shape.numel() == numel(), "tensor: ", shape_, " cannot be viewed as ", shape);
  return {data_, shape, dtype_, owner_};
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check(rank() > 0 && 0 <= begin && begin <= end && end <= shape_[0], "tensor: slice [", begin, ", ", end, ") of ",
        shape_);
  std::vector<int64_t> extents(shape_.begin(), shape_.end());
  const int64_t row_bytes = shape_[0] == 0 ? 0 : nbytes() / shape_[0];
  extents[0] = end - begin;
  return {static_cast<std::byte*>(data_) + begin * row_bytes, Shape(extents), dtype_, owner_};
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy = empty(shape_, dtype_);
  std::memcpy(copy.data_, data_, static_cast<size_t>(nbytes()));
  return copy;
}

}  // namespace vit
