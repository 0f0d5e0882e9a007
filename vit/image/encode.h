// Pictures to files: PNG and JPEG, through the codec module.
#pragma once

#include <filesystem>
#include <string>

#include "vit/image/image.h"

namespace vit {

/// [height, width, 3] -> a PNG file's bytes. Errors: undefined picture; no memory; the module cannot be loaded.
std::string encode_png(const Image& image);
/// The same for JPEG (4:2:0). Errors: as above; a quality outside 1 to 100; an extent above 65,500.
std::string encode_jpeg(const Image& image, int quality = 90);

/// Writes a file, whole or not at all, in the format of its extension: .png, .jpg or .jpeg.
/// Errors: another extension (usage); as the encoders and AtomicFile, naming the path.
void save_image(const std::filesystem::path& path, const Image& image, int jpeg_quality = 90);

/// What save_image would refuse the path for, so that work need not be done in vain. Errors (usage): the extension.
void check_image_extension(const std::filesystem::path& path);

}  // namespace vit
