#include "captioning/unicode.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace captioning {
namespace {

using ::testing::HasSubstr;
using vit::test::usage_error;

TEST(Unicode, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(valid_utf8("a\xFF\xC3"), "a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(valid_utf8("\xE6\x97"), "\xEF\xBF\xBD") << "one for a character that is cut off";
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") << "a surrogate";
  EXPECT_EQ(valid_utf8("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD") << "overlong";
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(to_utf8(to_utf16("z\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80")), "z\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80");
  EXPECT_EQ(to_utf8(std::u16string(1, char16_t{0xD800})), "\xEF\xBF\xBD");
}

TEST(Unicode, NormalForms) {
  const std::u16string composed = u"\u00E9\uFB01", apart = u"e\u0301\uFB01";
  EXPECT_EQ(normal_form(apart, NormalForm::nfc), composed);
  EXPECT_EQ(normal_form(composed, NormalForm::nfd), apart);
  EXPECT_EQ(normal_form(apart, NormalForm::nfkc), u"\u00E9fi");
  EXPECT_EQ(normal_form(composed, NormalForm::nfkd), u"e\u0301fi");
}

TEST(Unicode, LowerCaseIsPythons) {
  EXPECT_EQ(lower_case(u"ABC xyz"), u"abc xyz");
  EXPECT_EQ(lower_case(u"\u00C9\u0130"), u"\u00E9i\u0307");
  EXPECT_EQ(lower_case(u"\u039F\u0394\u039F\u03A3"), u"\u03BF\u03B4\u03BF\u03C2") << "a final sigma";
}

TEST(Unicode, ClassesAreThoseOfTheExpressionEngine) {
  std::u16string all;
  std::vector<char32_t> characters;
  for (char32_t c = 0; c < 0x20000; ++c)
    if (c < 0xD800 || c > 0xDFFF) characters.push_back(c);
  for (char32_t c : characters) append_char(all, c);
  const auto expect_class = [&](const char* expression, bool (*is)(char32_t)) {
    const Pattern pattern = Pattern::regex(expression, "test");
    std::vector<bool> matched(all.size(), false);
    for (const TextRange& match : pattern.matches(all)) matched[match.begin] = true;
    size_t position = 0, wrong = 0;
    for (char32_t c : characters) {
      const size_t begin = position;
      next_char(all, position);
      if (matched[begin] != is(c) && ++wrong < 5) ADD_FAILURE() << expression << " of U+" << std::hex << uint32_t{c};
    }
    EXPECT_EQ(wrong, 0u) << expression;
  };
  expect_class("\\s", is_space);
  expect_class("\\p{L}", is_letter);
  expect_class("\\p{N}", is_number);
  expect_class("\\p{Mn}", is_nonspacing_mark);
  expect_class("\\p{C}", is_other);
  expect_class("[\\p{P}$+<=>^`|~]", is_punctuation);
  expect_class("\\w", is_word);
}

TEST(Unicode, PatternsFindAllMatches) {
  const auto ranges = [](const Pattern& pattern, std::u16string_view text) {
    std::vector<std::pair<size_t, size_t>> result;
    for (const TextRange& match : pattern.matches(text)) result.emplace_back(match.begin, match.end);
    return result;
  };
  using Ranges = std::vector<std::pair<size_t, size_t>>;
  EXPECT_EQ(ranges(Pattern::regex("a+", "test"), u"baacxa"), (Ranges{{1, 3}, {5, 6}}));
  EXPECT_EQ(ranges(Pattern::literal("aa"), u"aaaab"), (Ranges{{0, 2}, {2, 4}}));
  EXPECT_EQ(ranges(Pattern::literal(""), u"ab"), Ranges{});
  EXPECT_EQ(ranges(Pattern::literal("a+"), u"aa+"), (Ranges{{1, 3}})) << "no expression";
}

TEST(Unicode, ExpressionsThatAreWrongOrEndlessAreRefused) {
  EXPECT_THAT(usage_error([] { Pattern::regex("(a", "FILE: pattern"); }),
              HasSubstr("FILE: pattern: '(a' is no regular"));
  const Pattern endless = Pattern::regex("(a|aa)+$", "test");
  EXPECT_THAT(usage_error([&] { endless.matches(std::u16string(200, u'a') + u"b"); }), HasSubstr("cannot be matched"));
}

}  // namespace
}  // namespace captioning
