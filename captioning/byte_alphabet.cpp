#include "captioning/byte_alphabet.h"

#include "captioning/unicode.h"

namespace captioning {

namespace {

/// Codes of characters: what Latin-1 shows is itself, the rest follows from 256 on.
std::array<char32_t, 256> characters() {
  std::array<char32_t, 256> result{};
  char32_t next = 256;
  for (size_t byte = 0; byte < result.size(); ++byte) {
    const bool shown = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    result[byte] = shown ? static_cast<char32_t>(byte) : next++;
  }
  return result;
}

/// Byte of each character, -1 for none.
const std::array<int16_t, 512>& bytes_of() {
  static const std::array<int16_t, 512> table = [] {
    std::array<int16_t, 512> result{};
    result.fill(-1);
    const std::array<char32_t, 256> codes = characters();
    for (size_t byte = 0; byte < codes.size(); ++byte) result[codes[byte]] = static_cast<int16_t>(byte);
    return result;
  }();
  return table;
}

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const std::array<std::string, 256> alphabet = [] {
    std::array<std::string, 256> result;
    const std::array<char32_t, 256> codes = characters();
    for (size_t byte = 0; byte < codes.size(); ++byte) {
      std::u16string text;
      append_char(text, codes[byte]);
      result[byte] = to_utf8(text);
    }
    return result;
  }();
  return alphabet;
}

bool append_bytes(std::string_view token, std::string& bytes) {
  const size_t before = bytes.size();
  const std::u16string text = to_utf16(token);
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_char(text, i);
    const int16_t byte = c < bytes_of().size() ? bytes_of()[c] : int16_t{-1};
    if (byte < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(byte));
  }
  return true;
}

}  // namespace captioning
