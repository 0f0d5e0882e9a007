// The tokenizer of a training run: a vocabulary learnt from its captions.
#pragma once

#include <cstdint>
#include <string>

#include "captioning/model.h"
#include "captioning/tokenizer.h"
#include "datasets/caption_dataset.h"
#include "vit/core/config.h"

namespace captioning {

/// Of a run that does not begin with a checkpoint's tokenizer; see BpeTrainingOptions.
struct TokenizerConfig {
  int64_t vocab_size = 2048;
  int64_t min_frequency = 2;
  bool lower_case = true;
  bool all_bytes = true;

  template <class V>
  void visit_fields(V& v) {
    v("vocab_size", vocab_size, "Tokens that are learnt at most, with bytes and special tokens.",
      vit::between(1, 1 << 20));
    v("min_frequency", min_frequency, "How often a pair of tokens must stand in the captions to become one.",
      vit::at_least(1));
    v("lower_case", lower_case, "Captions are taught and written in lower case.");
    v("all_bytes", all_bytes, "Every byte has a token; off: those of the captions only, others become <unk>.");
  }
};

/// Learns a vocabulary from all captions of the data. Errors (usage): as train_bpe.
Tokenizer learnt_tokenizer(const datasets::CaptionDataset& data, const TokenizerConfig& config);

/// Errors (usage): the tokenizer's start, end and padding are others than the model's, or it has more tokens than the
/// model knows. `name` is the tokenizer's, for messages.
void require_matching(const Tokenizer& tokenizer, const CaptionModel& model, const std::string& name);

}  // namespace captioning
