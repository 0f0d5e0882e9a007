#include "captioning/pre_tokenizer.h"

#include <string_view>
#include <utility>

#include "captioning/json_pattern.h"
#include "captioning/unicode.h"

namespace captioning {

namespace {

using Parts = std::vector<std::u16string>;

void append_part(std::u16string_view text, size_t begin, size_t end, Parts& parts) {
  if (begin < end) parts.emplace_back(text.substr(begin, end - begin));
}

/// What becomes of the matches of a split.
enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

Behavior read_behavior(const vit::JsonObject& json, const std::string& fallback) {
  const std::string name = json.get_string("behavior", fallback);
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  json.refuse("behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

struct Piece {
  TextRange range;
  bool match = false;
};

/// A text as matches and what is between them.
std::vector<Piece> alternating(std::u16string_view text, const std::vector<TextRange>& matches) {
  std::vector<Piece> pieces;
  size_t behind = 0;
  for (const TextRange& match : matches) {
    if (match.begin > behind) pieces.push_back({{behind, match.begin}, false});
    if (match.end > match.begin) pieces.push_back({match, true});
    behind = match.end;
  }
  if (behind < text.size()) pieces.push_back({{behind, text.size()}, false});
  return pieces;
}

void append_pieces(std::u16string_view text, const std::vector<Piece>& pieces, Behavior behavior, Parts& parts) {
  for (size_t i = 0; i < pieces.size();) {
    const bool match = pieces[i].match;
    size_t last = i;  // of the pieces that become one part
    if (behavior == Behavior::contiguous)
      while (last + 1 < pieces.size() && pieces[last + 1].match == match) ++last;
    // Of matches side by side the first goes with what is before, the last with what is behind.
    else if (behavior == Behavior::merged_with_previous && !match && last + 1 < pieces.size() && pieces[last + 1].match)
      ++last;
    else if (behavior == Behavior::merged_with_next && match && last + 1 < pieces.size() && !pieces[last + 1].match)
      ++last;
    if (!(behavior == Behavior::removed && match))
      append_part(text, pieces[i].range.begin, pieces[last].range.end, parts);
    i = last + 1;
  }
}

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void split(const std::u16string& text, Parts& parts) const override {
    std::vector<Piece> pieces = alternating(text, pattern_.matches(text));
    if (invert_)
      for (Piece& piece : pieces) piece.match = !piece.match;
    append_pieces(text, pieces, behavior_, parts);
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

/// Splits at characters of a class.
template <bool (*kIs)(char32_t)>
class SplitAt : public PreTokenizer {
 public:
  explicit SplitAt(Behavior behavior) : behavior_(behavior) {}
  void split(const std::u16string& text, Parts& parts) const override {
    std::vector<TextRange> matches;
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      if (kIs(next_char(text, i))) matches.push_back({begin, i});
    }
    append_pieces(text, alternating(text, matches), behavior_, parts);
  }

 private:
  Behavior behavior_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool prefix, bool use_regex) : prefix_(prefix), use_regex_(use_regex) {}
  bool byte_level() const override { return true; }
  void split(const std::u16string& text, Parts& parts) const override {
    const std::u16string& whole = prefix_ && text.front() != u' ' ? u" " + text : text;
    if (use_regex_)
      split_as_gpt2(whole, parts);
    else
      parts.push_back(whole);
  }

 private:
  bool prefix_, use_regex_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}
  bool byte_level() const override { return !steps_.empty() && steps_.back()->byte_level(); }
  void split(const std::u16string& text, Parts& parts) const override {
    Parts now{text};
    for (const auto& step : steps_) {
      Parts next;
      for (const std::u16string& part : now) step->split(part, next);
      now = std::move(next);
    }
    parts.insert(parts.end(), std::make_move_iterator(now.begin()), std::make_move_iterator(now.end()));
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

std::unique_ptr<PreTokenizer> make_sequence(const vit::JsonObject& json) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (const vit::JsonObject& step : json.get_objects("pretokenizers")) {
    if (!steps.empty() && steps.back()->byte_level()) step.refuse("type", "nothing behind a ByteLevel");
    steps.push_back(make_pre_tokenizer(step));
  }
  return std::make_unique<Sequence>(std::move(steps));
}

/// Length of the English ending at `begin` ('s, 't, 're, 've, 'm, 'll, 'd), or 0.
size_t ending_at(std::u16string_view text, size_t begin) {
  if (text[begin] != u'\'' || begin + 1 >= text.size()) return 0;
  const char16_t first = text[begin + 1], second = begin + 2 < text.size() ? text[begin + 2] : u'\0';
  if (first == u's' || first == u't' || first == u'm' || first == u'd') return 2;
  const bool two =
      (first == u'r' && second == u'e') || (first == u'v' && second == u'e') || (first == u'l' && second == u'l');
  return two ? 3 : 0;
}

enum class CharClass { letter, number, space, other };

CharClass class_of(char32_t c) {
  if (is_letter(c)) return CharClass::letter;
  if (is_number(c)) return CharClass::number;
  return is_space(c) ? CharClass::space : CharClass::other;
}

/// Where the characters of one class that begin at `begin` end.
size_t end_of_run(std::u16string_view text, size_t begin, CharClass wanted) {
  while (begin < text.size()) {
    size_t next = begin;
    if (class_of(next_char(text, next)) != wanted) break;
    begin = next;
  }
  return begin;
}

}  // namespace

void split_as_gpt2(std::u16string_view text, Parts& parts) {
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + ending_at(text, begin);
    if (end == begin) {
      // One space goes with the word behind it.
      const size_t word = text[begin] == u' ' && begin + 1 < text.size() ? begin + 1 : begin;
      size_t next = word;
      CharClass kind = class_of(next_char(text, next));
      if (kind != CharClass::space) {
        end = end_of_run(text, next, kind);
      } else {
        end = end_of_run(text, begin, CharClass::space);
        // The last space before a word is left to it, unless it is the only one. White space is one unit each.
        if (end < text.size() && end - begin > 1) --end;
      }
    }
    append_part(text, begin, end, parts);
    begin = end;
  }
}

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const vit::JsonObject& json) {
  const std::string type = json.require_string("type");
  if (type == "ByteLevel")
    return std::make_unique<ByteLevel>(json.get_bool("add_prefix_space", true), json.get_bool("use_regex", true));
  if (type == "Split")
    return std::make_unique<Split>(read_pattern(json, "pattern"), read_behavior(json, ""),
                                   json.get_bool("invert", false));
  if (type == "Whitespace")
    return std::make_unique<Split>(Pattern::regex("\\w+|[^\\w\\s]+", json.where()), Behavior::removed, true);
  if (type == "WhitespaceSplit") return std::make_unique<SplitAt<is_space>>(Behavior::removed);
  if (type == "Punctuation") return std::make_unique<SplitAt<is_punctuation>>(read_behavior(json, "Isolated"));
  if (type == "Digits")
    return std::make_unique<SplitAt<is_number>>(json.get_bool("individual_digits", false) ? Behavior::isolated
                                                                                          : Behavior::contiguous);
  if (type == "BertPreTokenizer") {
    std::vector<std::unique_ptr<PreTokenizer>> steps;
    steps.push_back(std::make_unique<SplitAt<is_space>>(Behavior::removed));
    steps.push_back(std::make_unique<SplitAt<is_punctuation>>(Behavior::isolated));
    return std::make_unique<Sequence>(std::move(steps));
  }
  if (type == "Sequence") return make_sequence(json);
  json.refuse("type",
              "a pre-tokenizer that is known here (BertPreTokenizer, ByteLevel, Digits, Punctuation, Sequence, Split, "
              "Whitespace, WhitespaceSplit)");
}

}  // namespace captioning
