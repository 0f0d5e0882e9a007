// A vocabulary of byte pairs learnt from captions (Sennrich, Haddow, Birch 2016, algorithm 1; byte level as GPT-2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "captioning/tokenizer.h"

namespace captioning {

struct BpeTrainingOptions {
  int64_t vocab_size = 2048;  ///< with the 256 bytes (or those that occur) and the special tokens
  int64_t min_frequency = 2;  ///< of a pair that is merged
  bool lower_case = true;
  bool all_bytes = true;  ///< false: only bytes that occur have a token; others become <unk>
};

/// Byte-level BPE with the special tokens <pad>, <bos>, <eos>, <unk> as ids 0 to 3; encode() adds <bos> and <eos>. The
/// same texts give the same vocabulary, in any order of equal counts. Errors (usage): no text, a vocab_size without
/// room for the bytes.
Tokenizer train_bpe(const std::vector<std::string>& texts, const BpeTrainingOptions& options);

}  // namespace captioning
