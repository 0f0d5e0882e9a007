// Captions word by word: greedy search, beam search and sampling, as transformers' generate().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "captioning/model.h"
#include "vit/core/config.h"

namespace vit {
class Checkpoint;
}

namespace captioning {

/// When a beam search is done (transformers' early_stopping).
enum class EarlyStopping {
  heuristic,  ///< false: when no running beam is likely to become better than the finished ones
  on_count,   ///< true: as soon as there are num_beams finished captions
  never,      ///< "never": when no running beam can become better
};

/// Names and meanings as in transformers' GenerationConfig.
struct GenerationConfig {
  int64_t num_beams = 1;
  double length_penalty = 1.0;  ///< a finished caption's score is its log probability / length^length_penalty
  EarlyStopping early_stopping = EarlyStopping::heuristic;
  int64_t no_repeat_ngram_size = 0;
  int64_t min_length = 0;                   ///< with prompt and start
  int64_t min_new_tokens = 0;               ///< above 0 it goes before min_length
  int64_t max_length = 20;                  ///< with prompt and start
  std::optional<int64_t> max_new_tokens{};  ///< goes before max_length
  double repetition_penalty = 1.0;
  int64_t num_return_sequences = 1;
  bool do_sample = false;
  double temperature = 1.0;
  int64_t top_k = 50;  ///< 0: all
  double top_p = 1.0;
  uint64_t seed = 0;                           ///< of sampling: row i of the batch draws from streams of its own
  std::optional<int64_t> start{}, pad{};       ///< else the model's
  std::optional<std::vector<int64_t>> ends{};  ///< else the model's
};

/// A checkpoint's settings: generation_config.json's, else those that older checkpoints have in config.json, else the
/// defaults. BLIP starts and ends captions as its text decoder's configuration says (text_config.bos_token_id,
/// sep_token_id), as its generate() does. Errors (usage): a value that makes no sense, naming file and key.
GenerationConfig read_generation_config(const vit::Checkpoint& checkpoint);

/// One generated caption.
struct Sequence {
  std::vector<int64_t> ids;  ///< with start and prompt, and the end where it was reached; without padding
  /// Beam search: as transformers' sequences_scores; else the mean log probability that the model gives its words.
  double score = 0.0;
};

/// Per picture of `encoded` its num_return_sequences captions, best first. prompt: ids behind which all captions go on,
/// as the decoder gets them (CaptionModel::prompt_ids makes them); empty: the start alone. Where scores are equal, the
/// lower beam and then the lower id goes first. A caption never has more than CaptionModel::max_positions() tokens. The
/// same bytes for any number of threads and any batch. Errors (usage): options that make no sense together, naming
/// them; a prompt that leaves no position; ids outside the vocabulary.
std::vector<std::vector<Sequence>> generate(vit::Context& ctx, const CaptionModel& model, const vit::Tensor& encoded,
                                            const std::vector<int64_t>& prompt, const GenerationConfig& config);

/// What generate() would refuse, before any work. Errors (usage): as generate().
void check_generation(const CaptionModel& model, const std::vector<int64_t>& prompt, const GenerationConfig& config);

}  // namespace captioning
