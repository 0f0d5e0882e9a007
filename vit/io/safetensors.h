// safetensors files (https://github.com/huggingface/safetensors, "Format"): 8 bytes little-endian header length, a JSON
// header, the tensors' bytes. Files are memory mapped: a tensor is a view of the page cache, nothing is read until it
// is used. Validation is as strict as the reference implementation's: a file that it refuses is refused here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

/// What the header says of one tensor.
struct TensorInfo {
  std::string name;
  std::string dtype;  ///< As in the file: "F32", "BF16", "I64", "U32", ...
  Shape shape;
  int64_t offset = 0;  ///< First byte, from the beginning of the file.
  int64_t nbytes = 0;
};

/// An open file. Copies share the mapping, which lives as long as any copy or any tensor from view() does. Thread-safe.
/// The file must not be shortened while it is mapped; replacing it by rename (as write_safetensors does) is safe.
class SafetensorsFile {
 public:
  /// Maps and validates. Errors (kUsage), naming file and tensor: too short, a header longer than 100 MB or than the
  /// file, no JSON object, duplicate names, unknown dtype, a shape whose size overflows or is not the size of its
  /// bytes, offsets out of range, overlapping tensors, bytes that belong to no tensor, more than Shape::kMaxRank
  /// dimensions.
  static SafetensorsFile open(const std::filesystem::path& path);

  /// In the order of their bytes in the file.
  const std::vector<TensorInfo>& tensors() const;
  /// Null pointer when there is none of that name.
  const TensorInfo* find(const std::string& name) const;
  /// The header's "__metadata__".
  const std::map<std::string, std::string>& metadata() const;
  const std::filesystem::path& path() const;

  /// The tensor, read-only, without a copy; it keeps the mapping alive. Copied only where the file forces it: bytes
  /// that are not aligned to the element's size, and the unsigned types that Tensor lacks (U16, U32, U64 become I64).
  /// Errors (kUsage): no such tensor, an 8-bit float type, a U64 value above the range of I64.
  Tensor view(const std::string& name) const;

  /// Gives the mapped pages of a tensor from view() back to the system: after packing, weights need not be resident
  /// twice. The tensor stays valid; using it reads the pages again. Without effect on tensors that were copied.
  void release(const Tensor& tensor) const;

 private:
  struct Mapping;
  explicit SafetensorsFile(std::shared_ptr<const Mapping> mapping) : mapping_(std::move(mapping)) {}
  std::shared_ptr<const Mapping> mapping_;
};

/// One tensor to write.
struct SafetensorsEntry {
  std::string name;
  Tensor tensor;
};

/// Writes a file whole or not at all. The bytes depend only on the arguments; tensors are ordered by descending element
/// size, then by name, as the reference implementation does, so that all are aligned; the data begin at a multiple
/// of 64. Errors: an undefined tensor, a name twice or "__metadata__", and as AtomicFile.
void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& entries,
                       const std::map<std::string, std::string>& metadata = {});

/// Values as f32, rounded to nearest where they do not fit; an f32 tensor is returned as it is, sharing its buffer.
/// Half-precision subnormals, infinities and NaNs are exact. One thread: callers parallelise over tensors.
Tensor to_f32(const Tensor& tensor);

/// The bits of one 16-bit number as f32, exactly; does not depend on the processor's denormal mode.
float f32_from_f16(uint16_t bits);
float f32_from_bf16(uint16_t bits);

}  // namespace vit
