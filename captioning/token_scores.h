// What is done to the scores of the next word before one is chosen: the logits processors of transformers, in its
// order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "captioning/generate.h"

namespace captioning {

/// Tokens that a caption has at least, with its prompt of `prompt_length`.
int64_t least_length(const GenerationConfig& config, int64_t prompt_length);

class TokenScores {
 public:
  /// `prompt_length` counts the start; `ends` are the ids that end a caption.
  TokenScores(const GenerationConfig& config, int64_t prompt_length, const std::vector<int64_t>& ends);

  /// scores [V], logits or log probabilities of what follows `ids`, in place: repetition penalty, forbidden n-grams,
  /// forbidden ends, and in sampling temperature, top-k and top-p. What is forbidden becomes -inf.
  void process(const std::vector<int64_t>& ids, std::span<float> scores) const;

 private:
  void penalise_repetition(const std::vector<int64_t>& ids, std::span<float> scores) const;
  void forbid_ngrams(const std::vector<int64_t>& ids, std::span<float> scores) const;
  void keep_top_k(std::span<float> scores) const;
  void keep_top_p(std::span<float> scores) const;

  GenerationConfig config_;
  int64_t min_length_ = 0;  ///< ends are forbidden below it
  int64_t keep_ = 1;        ///< what top-k and top-p leave at least
  std::vector<int64_t> ends_;
};

/// x -> x - log(sum(exp(x))), in place. Errors: a sum that is not finite, because the model's logits were not.
void log_softmax(std::span<float> scores);

/// The `count` largest of `scores`, best first; of equals the one with the lower index.
std::vector<int64_t> top_indices(std::span<const float> scores, int64_t count);

}  // namespace captioning
