// GPT-2's alphabet of bytes: each byte has a visible character, so that a vocabulary of bytes can be written as text
// (Radford et al. 2019, encoder.py, bytes_to_unicode).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace captioning {

/// The character of each byte, as UTF-8.
const std::array<std::string, 256>& byte_alphabet();

/// Appends the bytes that the characters of a token stand for; false (and nothing appended) where one stands for none.
bool append_bytes(std::string_view token, std::string& bytes);

}  // namespace captioning
