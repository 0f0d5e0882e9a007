#include "vit/image/pnm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vit::detail {

namespace {

bool is_space(std::byte byte) {
  const char letter = static_cast<char>(byte);
  return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

/// The samples of a file one after the other, whatever their form.
class Samples {
 public:
  Samples(std::span<const std::byte> bytes, size_t at, char kind, int64_t maximum, const std::string& name)
      : bytes_(bytes), at_(at), kind_(kind), maximum_(maximum), name_(name) {}

  int64_t next() {
    if (kind_ == '1') return next_plain_bit();
    if (kind_ < '4') return next_number();
    int64_t value = next_byte();
    if (maximum_ > 255) value = value << 8 | next_byte();
    return value;
  }
  /// Eight pixels of a P4 row.
  int64_t next_byte() {
    check(at_ < bytes_.size(), name_, ": truncated PNM: the data end before the picture is complete");
    return std::to_integer<int64_t>(bytes_[at_++]);
  }

 private:
  int64_t next_number() {
    const int64_t value = read_pnm_number(bytes_, at_);
    if (value >= 0) return value;
    check(at_ < bytes_.size(), name_, ": truncated PNM: the data end before the picture is complete");
    fail(name_, ": damaged PNM: a sample is not a number (byte ", at_, ")");
  }
  /// P1's digits need no space between them.
  int64_t next_plain_bit() {
    while (at_ < bytes_.size() && is_space(bytes_[at_])) ++at_;
    const int64_t digit = next_byte() - '0';
    check(digit == 0 || digit == 1, name_, ": damaged PNM: a bit is neither 0 nor 1 (byte ", at_ - 1, ")");
    return digit;
  }

  std::span<const std::byte> bytes_;
  size_t at_;
  char kind_;
  int64_t maximum_;
  const std::string& name_;
};

void read_bit_rows(Image& image, Samples& samples) {
  for (int64_t y = 0; y < image.height(); ++y) {
    int64_t bits = 0;
    for (int64_t x = 0; x < image.width(); ++x) {
      if (x % 8 == 0) bits = samples.next_byte();
      std::fill_n(image.row(y) + 3 * x, 3, (bits >> (7 - x % 8) & 1) != 0 ? uint8_t{0} : uint8_t{255});
    }
  }
}

}  // namespace

int64_t read_pnm_number(std::span<const std::byte> bytes, size_t& at) {
  while (at < bytes.size() && (is_space(bytes[at]) || bytes[at] == std::byte{'#'})) {
    if (bytes[at] == std::byte{'#'})
      while (at < bytes.size() && bytes[at] != std::byte{'\n'}) ++at;
    else
      ++at;
  }
  int64_t value = -1;
  for (; at < bytes.size() && bytes[at] >= std::byte{'0'} && bytes[at] <= std::byte{'9'}; ++at)
    value = std::min<int64_t>((value < 0 ? 0 : value) * 10 + (std::to_integer<int64_t>(bytes[at]) - '0'), INT32_MAX);
  return value;
}

Image decode_pnm(std::span<const std::byte> bytes, const std::string& name) {
  const char kind = static_cast<char>(bytes[1]);
  const bool is_bitmap = kind == '1' || kind == '4', is_grey = kind == '2' || kind == '5';
  size_t at = 2;
  const int64_t width = read_pnm_number(bytes, at);
  const int64_t height = read_pnm_number(bytes, at);
  const int64_t maximum = is_bitmap ? 1 : read_pnm_number(bytes, at);
  check(maximum >= 1 && maximum <= 65535, name, ": damaged PNM: expected a maximum of 1 to 65535, got ", maximum);
  // One byte per sample is the least; a plain bit needs one as well, a packed one an eighth.
  const int64_t least = kind == '4' ? (width + 7) / 8 * height : width * height * (is_bitmap || is_grey ? 1 : 3);
  check(static_cast<int64_t>(bytes.size()) - static_cast<int64_t>(at) > least, name, ": truncated PNM: ", bytes.size(),
        " bytes do not hold ", width, " x ", height, " pixels");
  Image image(height, width);
  Samples samples(bytes, at + 1, kind, maximum, name);  // one white space ends the header
  if (kind == '4') {
    read_bit_rows(image, samples);
    return image;
  }
  std::vector<uint8_t> scaled(static_cast<size_t>(maximum) + 1);
  for (int64_t i = 0; i <= maximum; ++i)
    scaled[static_cast<size_t>(i)] =
        static_cast<uint8_t>(std::nearbyint(static_cast<double>(i) / static_cast<double>(maximum) * 255));
  if (is_bitmap) scaled = {255, 0};  // 1 is black
  uint8_t* rgb = image.row(0);
  for (int64_t i = 0; i < width * height; ++i, rgb += 3) {
    for (int c = 0; c < 3; ++c)
      rgb[c] =
          c > 0 && (is_bitmap || is_grey) ? rgb[0] : scaled[static_cast<size_t>(std::min(samples.next(), maximum))];
  }
  return image;
}

}  // namespace vit::detail
