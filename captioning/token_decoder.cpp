#include "captioning/token_decoder.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "captioning/byte_alphabet.h"
#include "captioning/json_pattern.h"
#include "captioning/unicode.h"

namespace captioning {

namespace {

using Tokens = std::vector<std::string>;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == std::string::npos) return;
  std::string result;
  size_t behind = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, behind)) {
    result.append(text, behind, at - behind).append(to);
    behind = at + from.size();
  }
  text = result.append(text, behind);
}

std::string joined(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

class ByteLevel : public TokenDecoder {
 public:
  void apply(Tokens& tokens) const override {
    std::string bytes;
    // An added token may have characters that stand for no byte: it is itself.
    for (const std::string& token : tokens)
      if (!append_bytes(token, bytes)) bytes += token;
    tokens = {valid_utf8(bytes)};
  }
};

class WordPiece : public TokenDecoder {
 public:
  WordPiece(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(Tokens& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (!prefix_.empty() && token.starts_with(prefix_))
          token.erase(0, prefix_.size());
        else
          token.insert(0, " ");
      }
      if (cleanup_) token = clean_up(std::move(token));
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Bpe : public TokenDecoder {
 public:
  explicit Bpe(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(Tokens& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

/// "<0xE6>" is a byte; bytes side by side that are no UTF-8 become U+FFFD, one for each.
class ByteFallback : public TokenDecoder {
 public:
  void apply(Tokens& tokens) const override {
    Tokens result;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (valid_utf8(bytes) == bytes)
        result.push_back(bytes);
      else
        for (size_t i = 0; i < bytes.size(); ++i) result.emplace_back("\xEF\xBF\xBD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = byte_of(token);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(byte));
        continue;
      }
      flush();
      result.push_back(std::move(token));
    }
    flush();
    tokens = std::move(result);
  }

 private:
  static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  }
  static int byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    const int high = digit(token[3]), low = digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
};

class Replace : public TokenDecoder {
 public:
  Replace(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(Tokens& tokens) const override {
    for (std::string& token : tokens) {
      const std::u16string text = to_utf16(token);
      std::string result;
      size_t behind = 0;
      for (const TextRange& match : pattern_.matches(text)) {
        result += to_utf8(std::u16string_view(text).substr(behind, match.begin - behind)) + content_;
        behind = match.end;
        check_expanded(result.size());
      }
      token = result + to_utf8(std::u16string_view(text).substr(behind));
    }
  }

 private:
  Pattern pattern_;
  std::string content_;
};

/// Takes up to `start` copies of a character from a token's begin, and up to `stop` from its end.
class Strip : public TokenDecoder {
 public:
  Strip(std::string content, int64_t start, int64_t stop) : content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(Tokens& tokens) const override {
    for (std::string& token : tokens) {
      for (int64_t i = 0; i < start_ && token.starts_with(content_); ++i) token.erase(0, content_.size());
      for (int64_t i = 0; i < stop_ && token.ends_with(content_); ++i) token.resize(token.size() - content_.size());
    }
  }

 private:
  std::string content_;
  int64_t start_, stop_;
};

class Fuse : public TokenDecoder {
 public:
  void apply(Tokens& tokens) const override { tokens = {joined(tokens)}; }
};

class Sequence : public TokenDecoder {
 public:
  explicit Sequence(std::vector<std::unique_ptr<TokenDecoder>> steps) : steps_(std::move(steps)) {}
  void apply(Tokens& tokens) const override {
    for (const auto& step : steps_) step->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<TokenDecoder>> steps_;
};

std::unique_ptr<TokenDecoder> make_strip(const vit::JsonObject& json) {
  constexpr int64_t kMost = 1000;
  const std::string content = json.require_string("content");
  if (content.empty()) json.refuse("content", "a character");
  return std::make_unique<Strip>(content, json.get_int("start", 0, {.min = 0, .max = kMost}),
                                 json.get_int("stop", 0, {.min = 0, .max = kMost}));
}

}  // namespace

std::string clean_up(std::string text) {
  static constexpr std::pair<const char*, const char*> kRules[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
  return text;
}

std::unique_ptr<TokenDecoder> make_token_decoder(const vit::JsonObject& json) {
  const std::string type = json.require_string("type");
  if (type == "ByteLevel") return std::make_unique<ByteLevel>();
  if (type == "WordPiece")
    return std::make_unique<WordPiece>(json.get_string("prefix", "##"), json.get_bool("cleanup", true));
  if (type == "BPEDecoder") return std::make_unique<Bpe>(json.get_string("suffix", "</w>"));
  if (type == "ByteFallback") return std::make_unique<ByteFallback>();
  if (type == "Replace")
    return std::make_unique<Replace>(read_pattern(json, "pattern"), json.require_string("content"));
  if (type == "Strip") return make_strip(json);
  if (type == "Fuse") return std::make_unique<Fuse>();
  if (type == "Sequence") {
    std::vector<std::unique_ptr<TokenDecoder>> steps;
    for (const vit::JsonObject& step : json.get_objects("decoders")) steps.push_back(make_token_decoder(step));
    return std::make_unique<Sequence>(std::move(steps));
  }
  json.refuse("type",
              "a decoder that is known here (BPEDecoder, ByteFallback, ByteLevel, Fuse, Replace, Sequence, Strip, "
              "WordPiece)");
}

}  // namespace captioning
