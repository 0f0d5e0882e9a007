// What tokenizers ask of Unicode, by ICU, on UTF-16: conversion, normal forms, letter case, classes of characters and
// regular expressions. ICU itself stays in unicode.cpp. Non-goals: locales (all is language-neutral), grapheme
// clusters.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace captioning {

/// Bytes that are no UTF-8 become U+FFFD, one for each maximal part that could have been a character (as Python's and
/// Rust's replacing decoders do).
std::u16string to_utf16(std::string_view utf8);
std::string to_utf8(std::u16string_view text);
/// The same bytes where they are UTF-8, else with U+FFFD as above.
std::string valid_utf8(std::string_view bytes);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::u16string normal_form(const std::u16string& text, NormalForm form);
/// Full mapping with a sigma's final form, as Python's str.lower().
std::u16string lower_case(const std::u16string& text);

bool is_space(char32_t c);            ///< White_Space
bool is_other(char32_t c);            ///< category C: control, format, surrogate, private use, not assigned
bool is_letter(char32_t c);           ///< category L
bool is_number(char32_t c);           ///< category N
bool is_nonspacing_mark(char32_t c);  ///< category Mn
bool is_punctuation(char32_t c);      ///< category P, and what ASCII has beside letters, digits and space
bool is_word(char32_t c);             ///< \w: letters, marks, decimal digits, connectors, joiners

/// The character at text[position], which is moved behind it. A surrogate without its other half is itself.
char32_t next_char(std::u16string_view text, size_t& position);
void append_char(std::u16string& text, char32_t c);
bool is_ascii(std::u16string_view text);

/// Errors (usage): a text that a tokenizer's replacements have made too long to be one: a file could ask for doubling
/// upon doubling.
void check_expanded(size_t length);

/// Positions in UTF-16 units.
struct TextRange {
  size_t begin = 0, end = 0;
};

/// A compiled pattern in ICU's syntax, or a literal. Copies share it; matching is thread-safe.
class Pattern {
 public:
  /// Errors (usage): `where` and what is wrong with the expression.
  static Pattern regex(const std::string& expression, const std::string& where);
  static Pattern literal(const std::string& text);

  /// All matches, one after the other. Errors: an expression that takes too long on this text.
  std::vector<TextRange> matches(std::u16string_view text) const;

 private:
  struct Impl;
  explicit Pattern(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace captioning
