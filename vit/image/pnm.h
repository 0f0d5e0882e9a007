// Netpbm's PBM, PGM and PPM (P1 to P6). Read here because OpenCV neither scales samples whose maximum is not 255 nor
// rounds 16 bits as Pillow does.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vit/image/image.h"

namespace vit::detail {

/// bytes (of a header that read_image_header accepts) -> [height, width, 3]. Samples become
/// round(sample / maximum * 255). Errors: truncated; a maximum outside 1 to 65535; a sample that is no number.
Image decode_pnm(std::span<const std::byte> bytes, const std::string& name);

/// Reads an unsigned decimal after white space and `#` comments, at most INT32_MAX; -1 when there is none. Advances
/// `at`.
int64_t read_pnm_number(std::span<const std::byte> bytes, size_t& at);

}  // namespace vit::detail
