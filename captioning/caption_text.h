// What a caption says: its ids without start, end, padding and special tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "captioning/model.h"
#include "captioning/tokenizer.h"

namespace captioning {

/// Whether an id is part of what is said. A model's vocabulary may be larger than its tokenizer's; such ids say
/// nothing.
bool is_said(const Tokenizer& tokenizer, const CaptionModel& model, int64_t id);
/// The sentence, without blanks around it.
std::string caption_text(const Tokenizer& tokenizer, const CaptionModel& model, const std::vector<int64_t>& ids);

}  // namespace captioning
