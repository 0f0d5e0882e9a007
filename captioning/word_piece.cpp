#include "captioning/word_piece.h"

#include <algorithm>
#include <string>
#include <utility>

#include "vit/core/check.h"

namespace captioning {

namespace {

/// Words are searched in at most this many characters, whatever a file says: the search is quadratic.
constexpr int64_t kMaxWord = 1000;

bool begins_character(char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }

class WordPiece : public SubwordModel {
 public:
  WordPiece(const Vocabulary& vocabulary, int64_t unk, std::string prefix, int64_t max_characters)
      : vocabulary_(vocabulary), unk_(unk), prefix_(std::move(prefix)), max_characters_(max_characters) {}

  void append(std::string_view word, std::vector<int64_t>& ids) const override {
    const size_t before = ids.size();
    if (std::count_if(word.begin(), word.end(), begins_character) <= max_characters_ && append_pieces(word, ids))
      return;
    ids.resize(before);
    ids.push_back(unk_);
  }

 private:
  bool append_pieces(std::string_view word, std::vector<int64_t>& ids) const {
    std::string piece;
    for (size_t begin = 0; begin < word.size();) {
      const std::string_view rest = word.substr(begin, vocabulary_.longest());
      piece = begin == 0 ? std::string() : prefix_;
      const size_t prefix = piece.size();
      piece += rest;
      std::optional<int64_t> id;
      for (size_t length = rest.size(); length > 0; --length) {
        if (begin + length < word.size() && !begins_character(word[begin + length])) continue;
        id = vocabulary_.find(std::string_view(piece).substr(0, prefix + length));
        if (!id) continue;
        ids.push_back(*id);
        begin += length;
        break;
      }
      if (!id) return false;
    }
    return true;
  }

  const Vocabulary& vocabulary_;
  int64_t unk_;
  std::string prefix_;
  int64_t max_characters_;
};

}  // namespace

std::unique_ptr<SubwordModel> make_word_piece(const vit::JsonObject& json, const Vocabulary& vocabulary) {
  const std::string unk = json.get_string("unk_token", "[UNK]");
  const auto id = vocabulary.find(unk);
  if (!id) vit::fail_usage(json.where("unk_token"), ": '", unk.substr(0, 80), "' is not in the vocabulary");
  return std::make_unique<WordPiece>(vocabulary, *id, json.get_string("continuing_subword_prefix", "##"),
                                     json.get_int("max_input_chars_per_word", 100, {.min = 1, .max = kMaxWord}));
}

}  // namespace captioning
