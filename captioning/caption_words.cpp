#include "captioning/caption_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "captioning/unicode.h"

namespace captioning {

namespace {

/// What is not counted, as coco-caption leaves it out; brackets are meant there, too. Quotes and dashes of all kinds.
constexpr std::u16string_view kDropped = u".?!,:;-'\"`()[]{}\u2013\u2014\u2026\u201C\u201D\u00AB\u00BB";

/// Endings that are words of their own.
constexpr std::array<std::u16string_view, 7> kEndings = {u"'s", u"'m", u"'d", u"'re", u"'ve", u"'ll", u"n't"};

/// Words that the Treebank takes for two; the number is the first one's length.
constexpr std::array<std::pair<std::u16string_view, size_t>, 5> kDouble = {
    {{u"cannot", 3}, {u"gonna", 3}, {u"gotta", 3}, {u"wanna", 3}, {u"gimme", 3}}};

/// Words that keep their full stop.
constexpr std::array<std::u16string_view, 9> kAbbreviations = {u"mr.", u"mrs.", u"ms.", u"dr.",  u"st.",
                                                               u"jr.", u"sr.",  u"vs.", u"prof."};

bool is_dropped(char16_t c) { return kDropped.find(c) != std::u16string_view::npos; }

bool joins_letters(char16_t c) { return c == u'-' || c == u'\''; }
bool joins_digits(char16_t c) { return c == u'.' || c == u',' || c == u':' || c == u'/'; }

/// Where the word that begins at `begin` ends: letters, digits and marks, with what may stand between them.
size_t end_of_word(std::u16string_view text, size_t begin) {
  size_t end = begin;
  bool digit = false;  // the character before
  while (end < text.size()) {
    size_t next = end;
    const char32_t c = next_char(text, next);
    if (is_word(c)) {
      digit = is_number(c);
      end = next;
      continue;
    }
    if (end == begin || next >= text.size()) break;
    size_t behind = next;
    const char32_t following = next_char(text, behind);
    const auto joint = static_cast<char16_t>(c);
    const bool joined =
        (joins_letters(joint) && is_word(following)) || (joins_digits(joint) && digit && is_number(following));
    if (c > 0xFFFF || !joined) break;
    end = next;
  }
  return end;
}

/// "u.s.": single letters with a full stop behind each, at least two of them.
size_t end_of_initials(std::u16string_view text, size_t begin) {
  size_t end = begin;
  while (end + 1 < text.size() && is_letter(text[end]) && text[end + 1] == u'.') end += 2;
  return end - begin >= 4 ? end : begin;
}

/// A word without the endings that are words of their own, which follow it.
void append_word(std::u16string_view word, std::vector<std::string>& words) {
  std::vector<std::u16string_view> endings;  // the last one first
  const auto is_ending = [&](std::u16string_view ending) {
    return word.size() > ending.size() && word.ends_with(ending);
  };
  const auto is_whole = [&](const auto& entry) { return entry.first == word; };
  while (std::none_of(std::begin(kDouble), std::end(kDouble), is_whole)) {
    const auto found = std::find_if(std::begin(kEndings), std::end(kEndings), is_ending);
    if (found == std::end(kEndings)) break;
    endings.emplace_back(*found);
    word.remove_suffix(endings.back().size());
  }
  const auto whole = std::find_if(std::begin(kDouble), std::end(kDouble), is_whole);
  if (whole != std::end(kDouble)) {
    words.push_back(to_utf8(word.substr(0, whole->second)));
    word.remove_prefix(whole->second);
  }
  words.push_back(to_utf8(word));
  for (auto ending = endings.rbegin(); ending != endings.rend(); ++ending) words.push_back(to_utf8(*ending));
}

bool is_abbreviation(std::u16string_view word) {
  return std::find(kAbbreviations.begin(), kAbbreviations.end(), word) != kAbbreviations.end();
}

}  // namespace

std::vector<std::string> caption_words(std::string_view caption) {
  std::u16string text = lower_case(to_utf16(caption));
  std::replace_if(
      text.begin(), text.end(), [](char16_t c) { return c == u'\u2019' || c == u'\u2018'; }, u'\'');
  const std::u16string_view view = text;
  std::vector<std::string> words;
  for (size_t begin = 0; begin < view.size();) {
    size_t end = end_of_initials(view, begin);
    if (end > begin) {
      words.push_back(to_utf8(view.substr(begin, end - begin)));
      begin = end;
      continue;
    }
    end = end_of_word(view, begin);
    if (end > begin) {
      if (is_abbreviation(view.substr(begin, end + 1 - begin))) ++end;
      append_word(view.substr(begin, end - begin), words);
      begin = end;
      continue;
    }
    // An ending that stands alone ("it 's") is a word, other signs are words of their own.
    const char32_t c = next_char(view, end);
    if (c == u'\'' && end < view.size()) {
      const std::u16string_view ending = view.substr(begin, end_of_word(view, end) - begin);
      if (std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end()) {
        words.push_back(to_utf8(ending));
        begin += ending.size();
        continue;
      }
    }
    if (!is_space(c) && !is_other(c) && !(c <= 0xFFFF && is_dropped(static_cast<char16_t>(c))))
      words.push_back(to_utf8(view.substr(begin, end - begin)));
    begin = end;
  }
  return words;
}

}  // namespace captioning
