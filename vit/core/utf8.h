// Well-formed UTF-8 (RFC 3629): no stray or missing continuation, no overlong form, no surrogate, nothing above
// U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vit {

/// Bytes of the character at `at`, 1 to 4; 0 where what stands there is none, or `at` is the end.
size_t utf8_length(std::string_view text, size_t at);

bool is_utf8(std::string_view text);

/// The text with U+FFFD in place of every byte that belongs to no character.
std::string repaired_utf8(std::string_view text);

/// U+FFFD, which stands where bytes were no UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

}  // namespace vit
