#include "captioning/subword_model.h"

#include <string>

#include "captioning/bpe.h"
#include "captioning/word_piece.h"

namespace captioning {

std::unique_ptr<SubwordModel> make_subword_model(const vit::JsonObject& json, const Vocabulary& vocabulary,
                                                 bool byte_level) {
  const std::string type = json.get_string("type", json.has("merges") ? "BPE" : "WordPiece");
  if (type == "BPE") return make_bpe(json, vocabulary, byte_level);
  if (type == "WordPiece") return make_word_piece(json, vocabulary);
  json.refuse("type", "BPE or WordPiece");
}

}  // namespace captioning
