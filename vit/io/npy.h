// numpy's .npy files, format 1.0 (numpy/lib/format.py, "Format Version 1.0"): magic, version, a padded header in
// Python's notation, the values in C order. What explanations are kept in, for anybody's scripts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "vit/core/file.h"
#include "vit/core/tensor.h"

namespace vit {

/// What stands in front of the values: 10 bytes and the header, padded so that the values begin at a multiple of 64.
/// Errors: a dtype that is not f32, f64, i64 or u8.
std::string npy_header(DType dtype, const Shape& shape);

/// Writes f32, f64, i64 or u8 of any rank, little-endian, whole or not at all. The same tensor makes the same bytes.
/// Errors: an undefined tensor, another dtype; as AtomicFile, naming the path.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// Reads what write_npy, or numpy, wrote: versions 1.0 to 3.0, the four dtypes, little-endian, C order. Errors (usage),
/// naming the file and the field: missing, longer than `max_bytes`, no such file, a header that says something else,
/// more or fewer values than its shape has.
Tensor read_npy(const std::filesystem::path& path, int64_t max_bytes = int64_t{1} << 30);

}  // namespace vit
