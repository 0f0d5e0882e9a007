// Lines of text in figures: wrapped, or cut, to the room that they have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/image/canvas.h"

namespace vit::detail {

/// Each line in as many as it needs to be at most `width` pixels wide, broken at spaces; a word that is wider by itself
/// is cut.
std::vector<std::string> wrapped_text(const std::vector<std::string>& lines, int64_t width, const TextStyle& style);

}  // namespace vit::detail
