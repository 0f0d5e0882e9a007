#include "captioning/bpe.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

#include "captioning/byte_alphabet.h"
#include "captioning/unicode.h"
#include "vit/core/check.h"

namespace captioning {

namespace {

constexpr int64_t kNone = -1;

/// What becomes of a pair of neighbours.
struct Merge {
  int64_t rank = 0, token = 0;
};

struct BpeOptions {
  std::string prefix, suffix;  ///< of all characters but a word's first, and of its last
  int64_t unk = kNone;
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false, byte_level = false;
};

/// Both ids are below 2^22.
uint64_t pair_key(int64_t left, int64_t right) {
  return (static_cast<uint64_t>(left) << 32) | static_cast<uint64_t>(right);
}

using Merges = std::unordered_map<uint64_t, Merge>;

/// A word's tokens as a list whose neighbours merge. A merge's right half goes out, its left half becomes the result.
class Word {
 public:
  Word(std::vector<int64_t> tokens, const Merges& merges) : tokens_(std::move(tokens)), merges_(merges) {
    const size_t count = tokens_.size();
    next_.resize(count);
    previous_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      next_[i] = i + 1;
      previous_[i] = i == 0 ? count : i - 1;
    }
  }

  /// Lowest rank first, of equal ones the leftmost.
  void merge_all() {
    for (size_t i = 0; i + 1 < tokens_.size(); ++i) propose(i);
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      const size_t left = best.left, count = tokens_.size();
      if (tokens_[left] == kNone || next_[left] == count) continue;
      const size_t right = next_[left];
      const auto merge = merges_.find(pair_key(tokens_[left], tokens_[right]));
      if (merge == merges_.end() || merge->second.rank != best.rank) continue;  // the neighbours are others by now
      tokens_[left] = merge->second.token;
      tokens_[right] = kNone;
      next_[left] = next_[right];
      if (next_[left] < count) {
        previous_[next_[left]] = left;
        propose(left);
      }
      if (previous_[left] < count) propose(previous_[left]);
    }
  }

  void append_to(std::vector<int64_t>& ids) const {
    for (int64_t token : tokens_)
      if (token != kNone) ids.push_back(token);
  }

 private:
  struct Candidate {
    int64_t rank = 0;
    size_t left = 0;
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };

  void propose(size_t left) {
    const auto merge = merges_.find(pair_key(tokens_[left], tokens_[next_[left]]));
    if (merge != merges_.end()) candidates_.push({merge->second.rank, left});
  }

  std::vector<int64_t> tokens_;
  const Merges& merges_;
  std::vector<size_t> next_, previous_;  // positions; their count at either end
  std::priority_queue<Candidate> candidates_;
};

class Bpe : public SubwordModel {
 public:
  Bpe(const Vocabulary& vocabulary, Merges merges, BpeOptions options)
      : vocabulary_(vocabulary), merges_(std::move(merges)), options_(std::move(options)) {
    if (!options_.byte_level) return;
    for (size_t byte = 0; byte < 256; ++byte)
      for (bool first : {false, true})
        for (bool last : {false, true}) byte_ids_[first][last][byte] = find(byte_alphabet()[byte], first, last);
  }

  void append(std::string_view word, std::vector<int64_t>& ids) const override {
    if (options_.ignore_merges) {
      if (const auto whole = vocabulary_.find(options_.byte_level ? spelled(word) : std::string(word))) {
        ids.push_back(*whole);
        return;
      }
    }
    std::vector<int64_t> tokens = options_.byte_level ? tokens_of_bytes(word) : tokens_of_characters(word);
    if (tokens.size() < 2) {
      ids.insert(ids.end(), tokens.begin(), tokens.end());
      return;
    }
    Word list(std::move(tokens), merges_);
    list.merge_all();
    list.append_to(ids);
  }

 private:
  int64_t find(const std::string& character, bool first, bool last) const {
    std::string token = first ? character : options_.prefix + character;
    if (last) token += options_.suffix;
    return vocabulary_.find(token).value_or(kNone);
  }

  static std::string spelled(std::string_view bytes) {
    std::string token;
    for (char byte : bytes) token += byte_alphabet()[static_cast<uint8_t>(byte)];
    return token;
  }

  /// Without an unknown token, what the vocabulary does not know is left out, as in the original library.
  void add_unknown(bool behind_unknown, std::vector<int64_t>& tokens) const {
    if (options_.unk != kNone && !(options_.fuse_unk && behind_unknown)) tokens.push_back(options_.unk);
  }

  std::vector<int64_t> tokens_of_bytes(std::string_view word) const {
    std::vector<int64_t> tokens;
    tokens.reserve(word.size());
    bool unknown = false;
    for (size_t i = 0; i < word.size(); ++i) {
      const int64_t id = byte_ids_[i == 0][i + 1 == word.size()][static_cast<uint8_t>(word[i])];
      if (id == kNone)
        add_unknown(unknown, tokens);
      else
        tokens.push_back(id);
      unknown = id == kNone;
    }
    return tokens;
  }

  bool add_fallback_bytes(std::string_view character, std::vector<int64_t>& tokens) const {
    static constexpr const char* kHex = "0123456789ABCDEF";
    const size_t before = tokens.size();
    for (char c : character) {
      const auto byte = static_cast<uint8_t>(c);
      const auto id = vocabulary_.find(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">");
      if (!id) {
        tokens.resize(before);
        return false;
      }
      tokens.push_back(*id);
    }
    return true;
  }

  std::vector<int64_t> tokens_of_characters(std::string_view word) const {
    std::vector<int64_t> tokens;
    bool unknown = false;
    for (size_t begin = 0, end = 0; begin < word.size(); begin = end) {
      end = begin + 1;
      while (end < word.size() && (static_cast<uint8_t>(word[end]) & 0xC0) == 0x80) ++end;
      const std::string character(word.substr(begin, end - begin));
      const int64_t id = find(character, begin == 0, end == word.size());
      const bool known = id != kNone || (options_.byte_fallback && add_fallback_bytes(character, tokens));
      if (id != kNone) tokens.push_back(id);
      if (!known) add_unknown(unknown, tokens);
      unknown = !known;
    }
    return tokens;
  }

  const Vocabulary& vocabulary_;
  Merges merges_;
  BpeOptions options_;
  std::array<std::array<std::array<int64_t, 256>, 2>, 2> byte_ids_{};  // [first][last][byte]
};

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_pair(const nlohmann::json& merge, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const std::string& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && space > 0 && space + 1 < text.size() &&
        text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  vit::fail_usage(where, ": expected two tokens, \"a b\" or [\"a\", \"b\"]");
}

int64_t known(const Vocabulary& vocabulary, const std::string& token, const std::string& where) {
  const auto id = vocabulary.find(token);
  if (!id) vit::fail_usage(where, ": '", token.substr(0, 80), "' is not in the vocabulary");
  return *id;
}

Merges read_merges(const vit::JsonObject& json, const Vocabulary& vocabulary, const std::string& prefix) {
  Merges merges;
  const nlohmann::json* list = json.find("merges");
  if (!list || !list->is_array()) json.refuse("merges", "a list of pairs of tokens");
  merges.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = json.where("merges") + "[" + std::to_string(i) + "]";
    const auto [left, right] = read_pair((*list)[i], where);
    const int64_t left_id = known(vocabulary, left, where), right_id = known(vocabulary, right, where);
    const std::string rest = !prefix.empty() && right.starts_with(prefix) ? right.substr(prefix.size()) : right;
    // Of a pair that stands twice, the last counts.
    merges[pair_key(left_id, right_id)] = {static_cast<int64_t>(i), known(vocabulary, left + rest, where)};
  }
  return merges;
}

}  // namespace

std::unique_ptr<SubwordModel> make_bpe(const vit::JsonObject& json, const Vocabulary& vocabulary, bool byte_level) {
  if (json.get_double("dropout", 0.0) != 0.0) json.refuse("dropout", "null: dropout of merges is for training");
  BpeOptions options{.prefix = json.get_string("continuing_subword_prefix", ""),
                     .suffix = json.get_string("end_of_word_suffix", ""),
                     .fuse_unk = json.get_bool("fuse_unk", false),
                     .byte_fallback = json.get_bool("byte_fallback", false),
                     .ignore_merges = json.get_bool("ignore_merges", false),
                     .byte_level = byte_level};
  if (json.has("unk_token")) options.unk = known(vocabulary, json.require_string("unk_token"), json.where("unk_token"));
  Merges merges = read_merges(json, vocabulary, options.prefix);
  return std::make_unique<Bpe>(vocabulary, std::move(merges), std::move(options));
}

}  // namespace captioning
