#include "tests/support/image_encode.h"

#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace vit::test {

namespace {

uint32_t crc32(const std::string& text) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char letter : text) {
    crc ^= static_cast<uint8_t>(letter);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? 0xEDB88320u ^ crc >> 1 : crc >> 1;
  }
  return ~crc;
}

uint32_t adler32(const std::string& text) {
  uint32_t a = 1, b = 0;
  for (const char letter : text) {
    a = (a + static_cast<uint8_t>(letter)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

/// zlib with stored blocks.
std::string store(const std::string& data) {
  std::string stream = "\x78\x01";
  size_t at = 0;
  do {
    const size_t count = std::min<size_t>(65535, data.size() - at);
    const bool last = at + count == data.size();
    stream += le(last, 1) + le(count, 2) + le(~count & 0xFFFF, 2) + data.substr(at, count);
    at += count;
  } while (at < data.size());
  return stream + be(adler32(data), 4);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace

std::string be(uint64_t value, int count) {
  std::string bytes;
  for (int i = count - 1; i >= 0; --i) bytes += static_cast<char>(value >> 8 * i);
  return bytes;
}

std::string le(uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i);
  return bytes;
}

Image pattern(int64_t height, int64_t width) {
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* rgb = image.row(y) + 3 * x;
      rgb[0] = static_cast<uint8_t>(7 * x + 31 * y);
      rgb[1] = static_cast<uint8_t>(40 + 11 * y);
      rgb[2] = static_cast<uint8_t>(x * y + 5 * x);
    }
  return image;
}

Image picture(int64_t height, int64_t width, const std::vector<uint8_t>& rgb) {
  return Image(Tensor::from(rgb, {height, width, 3}));
}

std::vector<uint8_t> pixels_of(const Image& image) {
  const auto span = image.pixels.span<uint8_t>();
  return {span.begin(), span.end()};
}

std::string raw_rgb(const Image& image) {
  return {reinterpret_cast<const char*>(image.row(0)), static_cast<size_t>(image.pixels.numel())};
}

std::string exif_block(int orientation, bool big_endian) {
  const auto number = [&](uint64_t value, int count) { return big_endian ? be(value, count) : le(value, count); };
  return std::string(big_endian ? "MM" : "II") + number(42, 2) + number(8, 4) + number(1, 2) + number(274, 2) +
         number(3, 2) + number(1, 4) + number(static_cast<uint64_t>(orientation), 2) + number(0, 2) + number(0, 4);
}

std::string encode_jpeg(const Image& image, const JpegOptions& options) {
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &buffer, &size);
  codec.image_width = static_cast<JDIMENSION>(image.width());
  codec.image_height = static_cast<JDIMENSION>(image.height());
  codec.input_components = options.components;
  codec.in_color_space = options.components == 1 ? JCS_GRAYSCALE : options.components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&codec);
  jpeg_start_compress(&codec, TRUE);
  if (options.orientation > 0) {
    std::string block = std::string("Exif\0\0", 6) + exif_block(options.orientation, options.orientation % 2 == 0);
    if (options.damaged_exif) block.resize(18);
    jpeg_write_marker(&codec, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(block.data()),
                      static_cast<unsigned>(block.size()));
  }
  std::vector<uint8_t> row(static_cast<size_t>(image.width()) * 4);
  for (int64_t y = 0; y < image.height(); ++y) {
    for (int64_t x = 0; x < image.width(); ++x)
      for (int c = 0; c < options.components; ++c)
        row[static_cast<size_t>(x * options.components + c)] = c == 3 ? uint8_t{255} : image.row(y)[3 * x + c];
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&codec, &rows, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  return be(data.size(), 4) + type + data + be(crc32(type + data), 4);
}

std::string encode_png(int64_t height, int64_t width, const std::string& raw, const PngOptions& options) {
  constexpr std::array<int, 7> kChannels = {1, 0, 3, 1, 2, 0, 4};
  const auto bits = static_cast<size_t>(width * options.depth * kChannels.at(static_cast<size_t>(options.colour_type)));
  const size_t row_bytes = (bits + 7) / 8;
  std::string rows;
  for (int64_t y = 0; y < height; ++y)
    rows += std::string(1, 0) + raw.substr(static_cast<size_t>(y) * row_bytes, row_bytes);
  const std::string header = be(static_cast<uint64_t>(width), 4) + be(static_cast<uint64_t>(height), 4) +
                             be(static_cast<uint64_t>(options.depth), 1) +
                             be(static_cast<uint64_t>(options.colour_type), 1) + be(0, 3);
  return "\x89PNG\r\n\x1A\n" + png_chunk("IHDR", header) + options.before_data + png_chunk("IDAT", store(rows)) +
         png_chunk("IEND", "");
}

std::string encode_tiff(int64_t height, int64_t width, const std::string& raw, const TiffOptions& options) {
  const auto samples = static_cast<uint64_t>(options.samples), bits = static_cast<uint64_t>(options.bits);
  struct Entry {
    uint64_t tag, type, count, value;
  };
  std::vector<Entry> entries = {{256, 4, 1, static_cast<uint64_t>(width)},
                                {257, 4, 1, static_cast<uint64_t>(height)},
                                {258, 3, samples, bits},
                                {259, 3, 1, 1},
                                {262, 3, 1, options.samples == 1 ? 1u : 2u},
                                {273, 4, 1, 8},
                                {274, 3, 1, static_cast<uint64_t>(options.orientation)},
                                {277, 3, 1, samples},
                                {278, 4, 1, static_cast<uint64_t>(height)},
                                {279, 4, 1, raw.size()},
                                {284, 3, 1, 1}};
  if (options.samples == 4) entries.push_back({338, 3, 1, 2});
  const uint64_t directory = 8 + raw.size(), behind = directory + 2 + 12 * entries.size() + 4;
  if (samples > 2) entries[2].value = behind;
  std::string bytes = "II" + le(42, 2) + le(directory, 4) + raw + le(entries.size(), 2);
  for (const Entry& entry : entries)
    bytes += le(entry.tag, 2) + le(entry.type, 2) + le(entry.count, 4) + le(entry.value, 4);
  bytes += le(0, 4);
  for (uint64_t i = 0; i < samples; ++i) bytes += le(bits, 2);
  return bytes;
}

std::string encode_bmp(const Image& image) {
  const auto height = static_cast<uint64_t>(image.height()), width = static_cast<uint64_t>(image.width());
  std::string rows;
  for (int64_t y = image.height() - 1; y >= 0; --y) {
    for (int64_t x = 0; x < image.width(); ++x)
      for (int c = 2; c >= 0; --c) rows += static_cast<char>(image.row(y)[3 * x + c]);
    while (rows.size() % 4 != 0) rows += '\0';
  }
  return "BM" + le(54 + rows.size(), 4) + le(0, 4) + le(54, 4) + le(40, 4) + le(width, 4) + le(height, 4) + le(1, 2) +
         le(24, 2) + le(0, 4) + le(rows.size(), 4) + le(2835, 4) + le(2835, 4) + le(0, 8) + rows;
}

std::string encode_ppm(const Image& image) {
  return "P6\n# made by a test\n" + std::to_string(image.width()) + " " + std::to_string(image.height()) + "\n255\n" +
         raw_rgb(image);
}

std::string encode_sun_raster(const Image& image) {
  std::string rows;
  for (int64_t y = 0; y < image.height(); ++y) {
    for (int64_t x = 0; x < image.width(); ++x)
      for (int c = 2; c >= 0; --c) rows += static_cast<char>(image.row(y)[3 * x + c]);
    if (rows.size() % 2 != 0) rows += '\0';
  }
  return be(0x59A66A95, 4) + be(static_cast<uint64_t>(image.width()), 4) +
         be(static_cast<uint64_t>(image.height()), 4) + be(24, 4) + be(rows.size(), 4) + be(1, 4) + be(0, 8) + rows;
}

std::string tiny_webp() {
  return from_hex(
      "5249464642000000574542505650384c360000002f024000002f40906db341dcebfe32d32093b6c95fff76666d64d236ad87"
      "fdf3afb2f31f68e491acfb06040294b1e2816d22fa1fe305");
}

std::string tiny_webp_rotated() {
  return from_hex(
      "524946467600000057454250565038580a000000080000000200000100005650384c360000002f024000002f40906db341dc"
      "ebfe32d32093b6c95fff76666d64d236ad87fdf3afb2f31f68e491acfb06040294b1e2816d22fa1fe305455849461a000000"
      "4d4d002a00000008000101120003000000010006000000000000");
}

std::string tiny_jpeg2000() {
  return from_hex(
      "0000000c6a5020200d0a870a00000014667479706a703220000000006a7032200000002d6a70326800000016696864720000"
      "0002000000030003070700000000000f636f6c7201000000000010000000ca6a703263ff4fff51002f000000000003000000"
      "020000000000000000000000030000000200000000000000000003070101070101070101ff52000c00000001000104040001"
      "ff5c00074040484850ff640025000143726561746564206279204f70656e4a5045472076657273696f6e20322e352e30ff90"
      "000a00000000004f0001ff93c1f20208c3c7d40609873fdf8018059205c1f382bf3038fc008009bf0a7d1e01f3c7da051f68"
      "1cfcc080015f0986e70713c7da050fa80e0fa808082f031f7f0473ffd9");
}

std::string tiny_jpeg2000_codestream() {
  return from_hex(
      "ff4fff51002f0000000000030000000200000000000000000000000300000002000000000000000000030701010701010701"
      "01ff52000c00000001000104040001ff5c00074040484850ff640025000143726561746564206279204f70656e4a50454720"
      "76657273696f6e20322e352e30ff90000a00000000004f0001ff93c1f20208c3c7d40609873fdf8018059205c1f382bf3038"
      "fc008009bf0a7d1e01f3c7da051f681cfcc080015f0986e70713c7da050fa80e0fa808082f031f7f0473ffd9");
}

std::vector<uint8_t> tiny_pixels() {
  return {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255};
}

}  // namespace vit::test
