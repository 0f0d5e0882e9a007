#include "captioning/added_tokens.h"

#include <algorithm>
#include <utility>

#include "captioning/unicode.h"
#include "vit/core/check.h"

namespace captioning {

namespace {

bool word_begins(std::u16string_view text) {
  size_t position = 0;
  return !text.empty() && is_word(next_char(text, position));
}

bool word_ends(std::u16string_view text) {
  if (text.empty()) return false;
  size_t position = text.size() - 1;
  const bool half = position > 0 && (text[position] & 0xFC00) == 0xDC00 && (text[position - 1] & 0xFC00) == 0xD800;
  if (half) --position;
  return is_word(next_char(text, position));
}

}  // namespace

void AddedTokens::Finder::add(const std::u16string& content, size_t position) {
  if (content.empty()) return;  // nothing is left of it behind the normalizer
  tokens.emplace(content, position);
  lengths.insert(content.size());
  first.set(content.front());
}

bool AddedTokens::Finder::find(std::u16string_view rest, size_t& position, size_t& length) const {
  if (!first.test(rest.front())) return false;
  for (size_t candidate : lengths) {
    if (candidate > rest.size()) continue;
    const auto found = tokens.find(rest.substr(0, candidate));
    if (found == tokens.end()) continue;
    position = found->second;
    length = candidate;
    return true;
  }
  return false;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer, const std::string& where)
    : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.content.empty()) vit::fail_usage(where, ": the added token of id ", token.id, " has no content");
    std::u16string content = to_utf16(token.content);
    if (token.normalized && normalizer) content = normalizer->apply(std::move(content));
    (token.normalized ? normalized_ : raw_).add(content, i);
  }
}

std::vector<AddedTokens::Part> AddedTokens::split(std::u16string_view text, bool normalized) const {
  const Finder& finder = normalized ? normalized_ : raw_;
  std::vector<Part> parts;
  size_t behind = 0;  // the last part
  for (size_t at = 0; at < text.size();) {
    size_t position = 0, length = 0;
    if (!finder.find(text.substr(at), position, length)) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[position];
    size_t begin = at, end = at + length;
    at = end;
    if (token.single_word && (word_ends(text.substr(0, begin)) || word_begins(text.substr(end)))) continue;
    if (token.lstrip)
      while (begin > behind && is_space(text[begin - 1])) --begin;
    if (token.rstrip)
      while (end < text.size() && is_space(text[end])) ++end;
    begin = std::max(begin, behind);
    if (begin > behind) parts.push_back({text.substr(behind, begin - behind), -1});
    parts.push_back({text.substr(begin, end - begin), token.id});
    behind = end;
    at = std::max(at, end);
  }
  if (behind < text.size()) parts.push_back({text.substr(behind), -1});
  return parts;
}

}  // namespace captioning
