#include "vit/image/encode.h"

#include <algorithm>
#include <cctype>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/codec_module.h"

namespace vit {

namespace {

/// libjpeg's limit.
constexpr int64_t kMaxJpegExtent = 65'500;
/// OpenCV counts in int, three bytes a pixel.
constexpr int64_t kMaxPixels = int64_t{1} << 29;

uint8_t* allocate_bytes(void* owner, size_t size) {
  try {
    auto& bytes = *static_cast<std::string*>(owner);
    bytes.resize(size);
    return reinterpret_cast<uint8_t*>(bytes.data());
  } catch (...) {
    return nullptr;  // the caller is C
  }
}

std::string encode(const Image& image, VitkitFileFormat format, int quality) {
  const char* name = format == kVitkitPng ? "PNG" : "JPEG";
  check(image.defined(), "encode ", name, ": an undefined picture");
  check(image.height() <= kMaxPixels / image.width(), "encode ", name, ": ", image.width(), " x ", image.height(),
        " pixels, at most ", kMaxPixels, " can be written");
  const VitkitPicture picture{image.row(0), image.height(), image.width()};
  std::string bytes;
  const VitkitByteSink sink{&bytes, allocate_bytes};
  char message[256] = "";
  const int failed = detail::codecs().encode(&picture, format, quality, &sink, message, sizeof(message));
  check(!failed, "encode ", name, ": ", message);
  return bytes;
}

std::string extension_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return extension;
}

}  // namespace

std::string encode_png(const Image& image) { return encode(image, kVitkitPng, 0); }

std::string encode_jpeg(const Image& image, int quality) {
  check(quality >= 1 && quality <= 100, "encode JPEG: expected a quality from 1 to 100, got ", quality);
  check(image.defined(), "encode JPEG: an undefined picture");
  check(std::max(image.height(), image.width()) <= kMaxJpegExtent, "encode JPEG: ", image.width(), " x ",
        image.height(), " pixels, at most ", kMaxJpegExtent, " in a row or column; write PNG instead");
  return encode(image, kVitkitJpeg, quality);
}

void check_image_extension(const std::filesystem::path& path) {
  const std::string extension = extension_of(path);
  if (extension != ".png" && extension != ".jpg" && extension != ".jpeg")
    fail_usage(path.string(), ": pictures are written as .png, .jpg or .jpeg, not as '", extension, "'");
}

void save_image(const std::filesystem::path& path, const Image& image, int jpeg_quality) {
  check_image_extension(path);
  std::string bytes;
  try {
    bytes = extension_of(path) == ".png" ? encode_png(image) : encode_jpeg(image, jpeg_quality);
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
  write_file_atomically(path, bytes);
}

}  // namespace vit
