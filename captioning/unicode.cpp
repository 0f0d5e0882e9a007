#include "captioning/unicode.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/regex.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "vit/core/check.h"

namespace captioning {

namespace {

/// ICU counts in int32_t.
constexpr size_t kMaxText = size_t{1} << 30;

/// What a match may take, in ICU's unit of ten thousand steps: a million, and a hundred for each character. Expressions
/// that branch without end are stopped; those of real tokenizers need a few steps per character.
int32_t time_limit(size_t characters) { return static_cast<int32_t>(100 + characters / 100); }

int32_t length_of(std::u16string_view text) {
  if (text.size() > kMaxText) vit::fail_usage("a text of more than ", kMaxText, " characters");
  return static_cast<int32_t>(text.size());
}

/// ICU's view of a text, without a copy; the text must outlive it.
icu::UnicodeString view_of(std::u16string_view text) { return {false, text.data(), length_of(text)}; }

std::u16string taken(const icu::UnicodeString& text) { return {text.getBuffer(), static_cast<size_t>(text.length())}; }

const icu::Normalizer2& normalizer_of(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case NormalForm::nfc:
      normalizer = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::nfd:
      normalizer = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::nfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::nfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  if (U_FAILURE(status) || !normalizer) vit::fail("ICU has no normal forms: ", u_errorName(status));
  return *normalizer;
}

bool has_category(char32_t c, uint32_t mask) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & mask) != 0; }

bool is_ascii_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }

}  // namespace

std::u16string to_utf16(std::string_view utf8) {
  if (utf8.size() > kMaxText) vit::fail_usage("a text of ", utf8.size(), " bytes; the limit is ", kMaxText);
  std::u16string text;
  text.reserve(utf8.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(utf8.data());
  const auto size = static_cast<int32_t>(utf8.size());
  for (int32_t i = 0; i < size;) {
    if (bytes[i] < 0x80) {
      text.push_back(static_cast<char16_t>(bytes[i++]));
      continue;
    }
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(bytes, i, size, c);
    append_char(text, static_cast<char32_t>(c));
  }
  return text;
}

std::string to_utf8(std::u16string_view text) {
  std::string utf8;
  utf8.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    char32_t c = next_char(text, i);
    if (U_IS_SURROGATE(c)) c = 0xFFFD;
    if (c < 0x80) {
      utf8.push_back(static_cast<char>(c));
      continue;
    }
    uint8_t bytes[U8_MAX_LENGTH];
    int32_t length = 0;
    U8_APPEND_UNSAFE(bytes, length, c);
    utf8.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  }
  return utf8;
}

std::string valid_utf8(std::string_view bytes) {
  const bool ascii = std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  return ascii ? std::string(bytes) : to_utf8(to_utf16(bytes));
}

std::u16string normal_form(const std::u16string& text, NormalForm form) {
  if (is_ascii(text)) return text;
  const icu::Normalizer2& normalizer = normalizer_of(form);
  const icu::UnicodeString view = view_of(text);
  UErrorCode status = U_ZERO_ERROR;
  if (normalizer.quickCheck(view, status) == UNORM_YES && U_SUCCESS(status)) return text;
  status = U_ZERO_ERROR;
  const icu::UnicodeString result = normalizer.normalize(view, status);
  if (U_FAILURE(status)) vit::fail("normal form of a text: ", u_errorName(status));
  return taken(result);
}

std::u16string lower_case(const std::u16string& text) {
  if (is_ascii(text)) {
    std::u16string result = text;
    for (char16_t& c : result)
      if (c >= u'A' && c <= u'Z') c = static_cast<char16_t>(c | 0x20);
    return result;
  }
  icu::UnicodeString result(view_of(text));
  result.toLower(icu::Locale::getRoot());
  return taken(result);
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool is_other(char32_t c) { return has_category(c, U_GC_C_MASK); }

bool is_letter(char32_t c) { return c < 0x80 ? is_ascii_letter(c) : has_category(c, U_GC_L_MASK); }

bool is_number(char32_t c) { return c < 0x80 ? is_ascii_digit(c) : has_category(c, U_GC_N_MASK); }

bool is_nonspacing_mark(char32_t c) { return c >= 0x80 && has_category(c, U_GC_MN_MASK); }

bool is_punctuation(char32_t c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !is_ascii_letter(c) && !is_ascii_digit(c);
  return has_category(c, U_GC_P_MASK);
}

bool is_word(char32_t c) {
  if (c < 0x80) return is_ascii_letter(c) || is_ascii_digit(c) || c == '_';
  const auto code = static_cast<UChar32>(c);
  return u_isUAlphabetic(code) != 0 || has_category(c, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK) ||
         u_hasBinaryProperty(code, UCHAR_JOIN_CONTROL) != 0;
}

char32_t next_char(std::u16string_view text, size_t& position) {
  const char16_t first = text[position++];
  if (U16_IS_LEAD(first) && position < text.size() && U16_IS_TRAIL(text[position]))
    return static_cast<char32_t>(U16_GET_SUPPLEMENTARY(first, text[position++]));
  return first;
}

void append_char(std::u16string& text, char32_t c) {
  if (c < 0x10000) {
    text.push_back(static_cast<char16_t>(c));
    return;
  }
  text.push_back(static_cast<char16_t>(U16_LEAD(c)));
  text.push_back(static_cast<char16_t>(U16_TRAIL(c)));
}

bool is_ascii(std::u16string_view text) {
  return std::all_of(text.begin(), text.end(), [](char16_t c) { return c < 0x80; });
}

void check_expanded(size_t length) {
  constexpr size_t kMostExpanded = size_t{1} << 20;
  if (length > kMostExpanded)
    vit::fail_usage("the tokenizer's replacements make a text of more than ", kMostExpanded, " characters");
}

struct Pattern::Impl {
  std::unique_ptr<icu::RegexPattern> expression;  // null: the literal
  std::u16string literal;
  std::string text;  // for messages
};

Pattern::Pattern(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Pattern Pattern::regex(const std::string& expression, const std::string& where) {
  UErrorCode status = U_ZERO_ERROR;
  UParseError position{};
  auto impl = std::make_shared<Impl>();
  impl->text = expression;
  impl->expression.reset(icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(expression), position, status));
  if (U_FAILURE(status) || !impl->expression)
    vit::fail_usage(where, ": '", expression.substr(0, 200),
                    "' is no regular expression that is known here: ", u_errorName(status), " at character ",
                    position.offset);
  return Pattern(std::move(impl));
}

Pattern Pattern::literal(const std::string& text) {
  auto impl = std::make_shared<Impl>();
  impl->literal = to_utf16(text);
  impl->text = text;
  return Pattern(std::move(impl));
}

std::vector<TextRange> Pattern::matches(std::u16string_view text) const {
  std::vector<TextRange> found;
  if (!impl_->expression) {
    if (impl_->literal.empty()) return found;
    for (size_t at = text.find(impl_->literal); at != std::u16string_view::npos;
         at = text.find(impl_->literal, at + impl_->literal.size()))
      found.push_back({at, at + impl_->literal.size()});
    return found;
  }
  const icu::UnicodeString view = view_of(text);
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::RegexMatcher> matcher(impl_->expression->matcher(view, status));
  if (U_SUCCESS(status)) matcher->setTimeLimit(time_limit(text.size()), status);
  while (U_SUCCESS(status) && matcher->find(status)) {
    const int32_t begin = matcher->start(status), end = matcher->end(status);
    if (U_SUCCESS(status)) found.push_back({static_cast<size_t>(begin), static_cast<size_t>(end)});
  }
  if (U_FAILURE(status))
    vit::fail_usage("the tokenizer's expression '", impl_->text.substr(0, 200), "' cannot be matched with a text of ",
                    text.size(), " characters: ", u_errorName(status));
  return found;
}

}  // namespace captioning
