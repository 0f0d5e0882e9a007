#include "vit/image/grey_png.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace vit {

namespace {

constexpr std::string_view kSignature{"\x89PNG\r\n\x1a\n", 8};
constexpr int64_t kMaxExtent = int64_t{1} << 20, kMaxPixels = int64_t{1} << 28;

void append_u32(std::string& bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255u);
}

/// Length, type, data and their check sum (section 5.3).
void append_chunk(std::string& file, std::string_view type, std::string_view data) {
  append_u32(file, static_cast<uint32_t>(data.size()));
  std::string chunk(type);
  chunk += data;
  file += chunk;
  append_u32(file, static_cast<uint32_t>(
                       ::crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()))));
}

/// Rows as the file has them: a byte that says "no filter", then the values, the high byte first.
std::string rows_of(const Tensor& values, const GreyRange& range, int bits) {
  const double largest = bits == 16 ? 65'535.0 : 255.0;
  std::string rows;
  rows.reserve(static_cast<size_t>(values.size(0) * (1 + values.size(1) * bits / 8)));
  for (int64_t y = 0; y < values.size(0); ++y) {
    rows += '\0';
    for (int64_t x = 0; x < values.size(1); ++x) {
      const double share = (values.f32()[y * values.size(1) + x] - range.min) / (range.max - range.min);
      const auto grey = static_cast<uint32_t>(std::isnan(share) ? 0.0 : std::clamp(share, 0.0, 1.0) * largest + 0.5);
      if (bits == 16) rows += static_cast<char>(grey >> 8);
      rows += static_cast<char>(grey & 255u);
    }
  }
  return rows;
}

std::string compressed(const std::string& bytes) {
  uLongf size = ::compressBound(static_cast<uLong>(bytes.size()));
  std::string result(size, '\0');
  const int status = ::compress2(reinterpret_cast<Bytef*>(result.data()), &size,
                                 reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uLong>(bytes.size()), 9);
  check(status == Z_OK, "encode grey PNG: zlib gives ", status);
  result.resize(size);
  return result;
}

std::string comment(const GreyRange& range) {
  char text[96];
  std::snprintf(text, sizeof(text), "%.9g is black, %.9g is white", range.min, range.max);
  return std::string("Comment") + '\0' + text;
}

}  // namespace

std::string encode_grey_png(const Tensor& values, const GreyRange& range, int bits) {
  check(values.defined() && values.rank() == 2 && values.dtype() == DType::f32 && values.numel() > 0,
        "encode grey PNG: expected f32 [height, width], got ",
        values.defined() ? str(name_of(values.dtype()), " ", values.shape()) : "nothing");
  check(std::max(values.size(0), values.size(1)) <= kMaxExtent && values.numel() <= kMaxPixels,
        "encode grey PNG: ", values.shape(), ", at most ", kMaxPixels, " values are written");
  check(bits == 8 || bits == 16, "encode grey PNG: expected 8 or 16 bits, got ", bits);
  check(std::isfinite(range.min) && std::isfinite(range.max) && range.min < range.max,
        "encode grey PNG: expected ends in order, got ", range.min, " and ", range.max);
  std::string file(kSignature), header;
  append_u32(header, static_cast<uint32_t>(values.size(1)));
  append_u32(header, static_cast<uint32_t>(values.size(0)));
  header += static_cast<char>(bits);
  header += std::string(4, '\0');  // grey; deflate; filters by row, of which none is used; rows in order
  append_chunk(file, "IHDR", header);
  append_chunk(file, "tEXt", comment(range));
  append_chunk(file, "IDAT", compressed(rows_of(values, range, bits)));
  append_chunk(file, "IEND", {});
  return file;
}

void save_grey_png(const std::filesystem::path& path, const Tensor& values, const GreyRange& range, int bits) {
  std::string bytes;
  try {
    bytes = encode_grey_png(values, range, bits);
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
  write_file_atomically(path, bytes);
}

}  // namespace vit
