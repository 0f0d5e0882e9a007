// Byte-pair encoding (Sennrich, Haddow, Birch 2016): a word's characters are merged pair by pair, in the order in which
// training found the pairs. On GPT-2's byte level, with CLIP's end of word, or on characters.
#pragma once

#include <memory>

#include "captioning/subword_model.h"

namespace captioning {

/// "merges" ("a b" or ["a", "b"]), "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
/// "byte_fallback", "ignore_merges". Errors (usage): a merge that is no pair or names a token that is not in the
/// vocabulary, itself or its result; an unk_token that is not; dropout.
std::unique_ptr<SubwordModel> make_bpe(const vit::JsonObject& json, const Vocabulary& vocabulary, bool byte_level);

}  // namespace captioning
