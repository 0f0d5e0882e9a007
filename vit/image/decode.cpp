#include "vit/image/decode.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "vit/image/codec_module.h"
#include "vit/image/header.h"
#include "vit/image/jpeg.h"
#include "vit/image/orientation.h"
#include "vit/image/pnm.h"

namespace vit {

namespace {

/// Files above this are not pictures within any sensible pixel limit; bounds what is read into memory.
constexpr int64_t kMaxFileBytes = int64_t{1} << 31;

uint8_t* allocate_image(void* owner, int64_t height, int64_t width) {
  try {
    auto& image = *static_cast<Image*>(owner);
    image = Image(height, width);
    return image.row(0);
  } catch (...) {
    return nullptr;  // the caller is C
  }
}

Image decode_by_module(std::span<const std::byte> bytes, const ImageHeader& header, const std::string& name) {
  std::vector<std::byte> patched;
  if (header.straight_alpha_at > 0) {
    // Alpha is to be dropped, but libtiff multiplies the colours with it. Said to be multiplied already (ExtraSamples 1
    // instead of 2), they come out as they are stored.
    patched.assign(bytes.begin(), bytes.end());
    for (size_t i = 0; i < 2; ++i)
      if (patched[header.straight_alpha_at + i] == std::byte{2}) patched[header.straight_alpha_at + i] = std::byte{1};
    bytes = patched;
  }
  Image image;
  const VitkitPixelSink sink{&image, allocate_image};
  char message[256] = "";
  const int failed = detail::codecs().decode(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &sink,
                                             message, sizeof(message));
  check(!failed, name, ": damaged ", name_of(header.format), ": ", message);
  return image;
}

Image decode_pixels(std::span<const std::byte> bytes, const ImageHeader& header, const std::string& name) {
  if (header.format == ImageFormat::kJpeg) return detail::decode_jpeg(bytes, name);
  if (header.format == ImageFormat::kPnm) return detail::decode_pnm(bytes, name);
  return decode_by_module(bytes, header, name);
}

struct FileBytes {
  std::unique_ptr<std::byte[]> data;
  size_t size = 0;
};

/// The whole file, without clearing the memory first.
FileBytes read_bytes(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  check(std::filesystem::exists(status), path, ": no such file");
  check(!std::filesystem::is_directory(status), path, ": a folder, expected a picture");
  check(std::filesystem::is_regular_file(status), path, ": not a regular file");
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  check(in.good(), path, ": cannot be opened: ", std::strerror(errno));
  const int64_t size = static_cast<int64_t>(in.tellg());
  check(size >= 0 && size <= kMaxFileBytes, path, ": a file of ", size, " bytes, at most ", kMaxFileBytes, " are read");
  FileBytes bytes{std::unique_ptr<std::byte[]>(new std::byte[static_cast<size_t>(size)]), static_cast<size_t>(size)};
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes.data.get()), size);
  check(in.gcount() == size, path, ": cannot be read: ", std::strerror(errno));
  return bytes;
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeOptions& options) {
  const ImageHeader header = read_image_header(bytes, name);
  // Divided, not multiplied: extents of 2^62 must not overflow.
  check(header.height <= options.max_pixels / header.width, name, ": ", header.width, " x ", header.height,
        " pixels, more than the limit of ", options.max_pixels, " pixels");
  check_complete(bytes, header, name);
  const Image image = decode_pixels(bytes, header, name);
  // TIFF's decoder has turned the picture already, and so does Pillow's, which is why the option does not ask here.
  const bool upright = header.format == ImageFormat::kTiff;
  const bool swapped = upright && header.orientation >= 5;
  check(image.height() == (swapped ? header.width : header.height) &&
            image.width() == (swapped ? header.height : header.width),
        name, ": damaged ", name_of(header.format), ": the header says ", header.width, " x ", header.height,
        " pixels, the data have ", image.width(), " x ", image.height());
  return options.honour_orientation && !upright ? apply_orientation(image, header.orientation) : image;
}

Image load_image(const std::string& path, const DecodeOptions& options) {
  const FileBytes bytes = read_bytes(path);
  return decode_image({bytes.data.get(), bytes.size}, path, options);
}

void preload_codecs() noexcept {
  try {
    detail::codecs();
  } catch (...) {  // reported, with the reason, by the first decode that needs the module
  }
}

std::string known_image_formats() {
  std::string names;
  for (int format = 1; format <= static_cast<int>(ImageFormat::kSunRaster); ++format)
    names += str(format > 1 ? ", " : "", name_of(static_cast<ImageFormat>(format)));
  return names;
}

}  // namespace vit
