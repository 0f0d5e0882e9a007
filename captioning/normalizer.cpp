#include "captioning/normalizer.h"

#include <optional>
#include <utility>
#include <vector>

#include "captioning/json_pattern.h"
#include "captioning/unicode.h"

namespace captioning {

namespace {

class Form : public Normalizer {
 public:
  explicit Form(NormalForm form) : form_(form) {}
  std::u16string apply(std::u16string text) const override { return normal_form(text, form_); }

 private:
  NormalForm form_;
};

class Lowercase : public Normalizer {
 public:
  std::u16string apply(std::u16string text) const override { return lower_case(text); }
};

/// The characters for which `keep` holds.
template <class Keep>
std::u16string filtered(std::u16string_view text, const Keep& keep) {
  std::u16string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_char(text, i);
    if (keep(c)) append_char(result, c);
  }
  return result;
}

std::u16string without_marks(std::u16string text) {
  if (is_ascii(text)) return text;
  return filtered(text, [](char32_t c) { return !is_nonspacing_mark(c); });
}

class StripAccents : public Normalizer {
 public:
  std::u16string apply(std::u16string text) const override { return without_marks(std::move(text)); }
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::u16string apply(std::u16string text) const override {
    size_t begin = 0, end = text.size();  // all white space is in the basic plane: one unit each
    while (left_ && begin < end && is_space(text[begin])) ++begin;
    while (right_ && end > begin && is_space(text[end - 1])) --end;
    return text.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, const std::string& content) : pattern_(std::move(pattern)), content_(to_utf16(content)) {}
  std::u16string apply(std::u16string text) const override {
    const std::vector<TextRange> matches = pattern_.matches(text);
    if (matches.empty()) return text;
    std::u16string result;
    size_t behind = 0;
    for (const TextRange& match : matches) {
      result.append(text, behind, match.begin - behind).append(content_);
      behind = match.end;
      check_expanded(result.size());
    }
    return result.append(text, behind);
  }

 private:
  Pattern pattern_;
  std::u16string content_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const std::string& content) : content_(to_utf16(content)) {}
  std::u16string apply(std::u16string text) const override { return text.empty() ? text : content_ + text; }

 private:
  std::u16string content_;
};

/// Blocks of Han characters, as BERT's original tokenizer lists them (Devlin et al. 2018, tokenization.py).
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

struct BertOptions {
  bool clean_text = true, chinese = true, lower = true;
  bool accents = true;  ///< Stripped.
};

class Bert : public Normalizer {
 public:
  explicit Bert(const BertOptions& options) : options_(options) {}
  std::u16string apply(std::u16string text) const override {
    if (options_.clean_text) text = cleaned(text);
    if (options_.chinese && !is_ascii(text)) text = spaced(text);
    // Lower-casing first, as the original: it may make accents (a Turkish I with its dot).
    if (options_.lower) text = lower_case(text);
    if (options_.accents) text = without_marks(normal_form(text, NormalForm::nfd));
    return text;
  }

 private:
  static std::u16string cleaned(std::u16string_view text) {
    std::u16string result;
    result.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      const char32_t c = next_char(text, i);
      const bool line = c == '\t' || c == '\n' || c == '\r';
      if (c == 0 || c == 0xFFFD || (!line && is_other(c))) continue;
      append_char(result, is_space(c) ? U' ' : c);
    }
    return result;
  }

  static std::u16string spaced(std::u16string_view text) {
    std::u16string result;
    for (size_t i = 0; i < text.size();) {
      const char32_t c = next_char(text, i);
      const bool chinese = is_chinese(c);
      if (chinese) result.push_back(u' ');
      append_char(result, c);
      if (chinese) result.push_back(u' ');
    }
    return result;
  }

  BertOptions options_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  std::u16string apply(std::u16string text) const override {
    for (const auto& part : parts_) text = part->apply(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

std::optional<NormalForm> form_named(const std::string& type) {
  if (type == "NFC") return NormalForm::nfc;
  if (type == "NFD") return NormalForm::nfd;
  if (type == "NFKC") return NormalForm::nfkc;
  if (type == "NFKD") return NormalForm::nfkd;
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const vit::JsonObject& json) {
  const std::string type = json.require_string("type");
  if (const auto form = form_named(type)) return std::make_unique<Form>(*form);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "Strip")
    return std::make_unique<Strip>(json.get_bool("strip_left", true), json.get_bool("strip_right", true));
  if (type == "Replace")
    return std::make_unique<Replace>(read_pattern(json, "pattern"), json.require_string("content"));
  if (type == "Prepend") return std::make_unique<Prepend>(json.require_string("prepend"));
  if (type == "BertNormalizer") {
    BertOptions options;
    options.clean_text = json.get_bool("clean_text", options.clean_text);
    options.chinese = json.get_bool("handle_chinese_chars", options.chinese);
    options.lower = json.get_bool("lowercase", options.lower);
    options.accents = json.get_bool("strip_accents", options.lower);  // null: as lowercase
    return std::make_unique<Bert>(options);
  }
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Normalizer>> parts;
    for (const vit::JsonObject& part : json.get_objects("normalizers")) parts.push_back(make_normalizer(part));
    return std::make_unique<Sequence>(std::move(parts));
  }
  json.refuse("type",
              "a normalizer that is known here (BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Replace, "
              "Sequence, Strip, StripAccents)");
}

}  // namespace captioning
