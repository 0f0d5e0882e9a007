// Sentences as the decoder is taught them: what goes in and what is to follow, padded to one length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "captioning/caption_loss.h"
#include "captioning/model.h"
#include "captioning/tokenizer.h"
#include "vit/core/tensor.h"

namespace captioning {

/// B sentences of up to T tokens.
struct CaptionBatch {
  vit::Tensor ids;      ///< i64 [B, T]: the start, then the words; the pad token behind them
  vit::Tensor targets;  ///< i64 [B, T]: what follows each of ids: the words, then the end; kIgnoredLabel behind it
  vit::Tensor mask;     ///< i64 [B, T]: 1 where ids has the start or a word, 0 behind them

  int64_t words() const;  ///< ones of the mask
};

/// Sentences without the tokenizer's own special tokens, between the model's start and end. What has more than
/// `max_tokens` words, or than the model has positions, is cut, and has no end then. Errors: no sentences; a model
/// without an end; a token that the model does not have.
CaptionBatch make_caption_batch(const Tokenizer& tokenizer, const std::vector<std::string>& sentences,
                                const CaptionModel& model, int64_t max_tokens);

/// The same of sentences that are tokens already.
CaptionBatch make_caption_batch(const std::vector<std::vector<int64_t>>& sentences, const CaptionModel& model,
                                int64_t max_tokens);

}  // namespace captioning
