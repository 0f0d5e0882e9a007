// WordPiece, as BERT takes words apart (Devlin et al. 2018; Wu et al. 2016): the longest token that begins the rest of
// the word, again and again.
#pragma once

#include <memory>

#include "captioning/subword_model.h"

namespace captioning {

/// "unk_token" (which a word becomes that cannot be taken apart), "continuing_subword_prefix" (of all but the first
/// piece), "max_input_chars_per_word" (longer words are unknown). Errors (usage): an unk_token that is not in the
/// vocabulary.
std::unique_ptr<SubwordModel> make_word_piece(const vit::JsonObject& json, const Vocabulary& vocabulary);

}  // namespace captioning
