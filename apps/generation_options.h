// The options of verbs that write captions, which go before what the checkpoint says.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "captioning/generate.h"

namespace apps {

struct GenerationChoice {
  std::optional<int64_t> num_beams, max_length, max_new_tokens, min_length, no_repeat_ngram_size, num_return_sequences,
      top_k;
  std::optional<double> length_penalty, repetition_penalty, temperature, top_p;
  std::string early_stopping{};  ///< "true", "false", "never"; empty: the checkpoint's
  bool sample = false;

  /// Any of --sample, --temperature, --top-k, --top-p: words are drawn.
  bool samples() const { return sample || temperature || top_k || top_p; }
};

/// Adds --num-beams, --max-length and so on.
void add_generation_options(CLI::App& command, GenerationChoice& choice);

/// The checkpoint's settings with these instead. `seed` is sampling's. Drawing goes without beams unless they are asked
/// for.
captioning::GenerationConfig chosen_generation(captioning::GenerationConfig config, const GenerationChoice& choice,
                                               uint64_t seed);

}  // namespace apps
