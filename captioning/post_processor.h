// What stands around the ids of a text: [CLS] ... [SEP], <|startoftext|> ... <|endoftext|>. A tokenizer.json's
// "post_processor", for one text (pairs of texts are not needed here).
#pragma once

#include <cstdint>
#include <vector>

#include "captioning/vocabulary.h"
#include "vit/io/json.h"

namespace captioning {

struct PostProcessor {
  std::vector<int64_t> before{}, behind{};
};

/// Of {"type": ...}: TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel (nothing), Sequence. Errors
/// (usage): another type, naming it; a token that is not in the vocabulary or has another id there.
PostProcessor make_post_processor(const vit::JsonObject& json, const Vocabulary& vocabulary);

}  // namespace captioning
