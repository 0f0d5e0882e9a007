#include "vit/core/utf8.h"

namespace vit {

size_t utf8_length(std::string_view text, size_t at) {
  const auto byte_at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  if (at >= text.size()) return 0;
  const unsigned lead = byte_at(at);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
  if (length == 4 && (lead < 0xf0 || lead > 0xf4)) return 0;
  for (size_t k = 1; k < length; ++k)
    if ((byte_at(at + k) & 0xc0) != 0x80) return 0;
  const unsigned second = byte_at(at + 1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string repaired_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    repaired += length == 0 ? kReplacementCharacter : text.substr(i, length);
    i += length == 0 ? 1 : length;
  }
  return repaired;
}

}  // namespace vit
