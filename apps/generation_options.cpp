#include "apps/generation_options.h"

#include "apps/common.h"

namespace apps {

namespace {

constexpr const char* kGroup = "How captions are written";
constexpr int64_t kMostTokens = int64_t{1} << 20;

void add_integer(CLI::App& command, const char* name, std::optional<int64_t>& value, int64_t least, int64_t most,
                 const std::string& description) {
  command.add_option(name, value, description)
      ->type_name("N")
      ->default_str("the checkpoint's")
      ->check(CLI::Range(least, most))
      ->group(kGroup);
}

void add_number(CLI::App& command, const char* name, std::optional<double>& value, double least, double most,
                const std::string& description) {
  command.add_option(name, value, description)
      ->type_name("X")
      ->default_str("the checkpoint's")
      ->check(CLI::Range(least, most))
      ->group(kGroup);
}

void add_sampling_options(CLI::App& command, GenerationChoice& choice) {
  command
      .add_flag("--sample", choice.sample,
                with_example("Draw words at random, by --seed; implied by the three below (default: the checkpoint's)",
                             "--sample --seed 7"))
      ->group(kGroup);
  constexpr double kLeast = 1e-6;
  add_number(command, "--temperature", choice.temperature, kLeast, 1e6,
             with_example("Drawing: below 1 likely words become likelier", "--temperature 0.7"));
  add_integer(command, "--top-k", choice.top_k, 0, kMostTokens,
              with_example("Drawing: from so many best words only; 0: all", "--top-k 50"));
  add_number(command, "--top-p", choice.top_p, kLeast, 1.0,
             with_example("Drawing: from the best words that have this probability together", "--top-p 0.9"));
}

}  // namespace

void add_generation_options(CLI::App& command, GenerationChoice& choice) {
  add_integer(command, "--num-beams", choice.num_beams, 1, 1 << 12,
              with_example("Captions that are followed at once; 1: greedy", "--num-beams 4"));
  add_integer(command, "--max-length", choice.max_length, 1, kMostTokens,
              with_example("Tokens of a caption at most, with start, prompt and end", "--max-length 30"));
  add_integer(command, "--max-new-tokens", choice.max_new_tokens, 1, kMostTokens,
              with_example("Tokens behind the prompt at most; goes before --max-length", "--max-new-tokens 20"));
  add_integer(command, "--min-length", choice.min_length, 0, kMostTokens,
              with_example("Tokens of a caption at least", "--min-length 8"));
  add_number(command, "--length-penalty", choice.length_penalty, -1e6, 1e6,
             with_example("Beams: above 0 prefers long captions, below short ones", "--length-penalty 2"));
  command
      .add_option("--early-stopping", choice.early_stopping,
                  with_example("Beams: true: end with as many captions as beams; false: when better ones are unlikely; "
                               "never: when they are impossible",
                               "--early-stopping true"))
      ->type_name("WHEN")
      ->default_str("the checkpoint's")
      ->check(CLI::IsMember({"true", "false", "never"}))
      ->group(kGroup);
  add_integer(command, "--no-repeat-ngram-size", choice.no_repeat_ngram_size, 0, kMostTokens,
              with_example("No run of so many tokens comes twice; 0: any may", "--no-repeat-ngram-size 3"));
  add_number(command, "--repetition-penalty", choice.repetition_penalty, 1e-6, 1e6,
             with_example("Above 1: words that were said become less likely", "--repetition-penalty 1.2"));
  add_integer(command, "--num-return-sequences", choice.num_return_sequences, 1, 1 << 12,
              with_example("Captions per picture, best first: needs as many beams, or drawing",
                           "--num-beams 4 --num-return-sequences 4"));
  add_sampling_options(command, choice);
}

captioning::GenerationConfig chosen_generation(captioning::GenerationConfig config, const GenerationChoice& choice,
                                               uint64_t seed) {
  const auto set = [](auto& into, const auto& value) {
    if (value) into = *value;
  };
  if (choice.samples()) {
    config.do_sample = true;
    config.num_beams = 1;
  }
  set(config.num_beams, choice.num_beams);
  if (choice.max_length) {
    config.max_length = *choice.max_length;
    config.max_new_tokens.reset();
  }
  if (choice.max_new_tokens) config.max_new_tokens = *choice.max_new_tokens;
  set(config.min_length, choice.min_length);
  set(config.length_penalty, choice.length_penalty);
  set(config.no_repeat_ngram_size, choice.no_repeat_ngram_size);
  set(config.repetition_penalty, choice.repetition_penalty);
  set(config.num_return_sequences, choice.num_return_sequences);
  set(config.temperature, choice.temperature);
  set(config.top_k, choice.top_k);
  set(config.top_p, choice.top_p);
  using captioning::EarlyStopping;
  if (choice.early_stopping == "true") config.early_stopping = EarlyStopping::on_count;
  if (choice.early_stopping == "false") config.early_stopping = EarlyStopping::heuristic;
  if (choice.early_stopping == "never") config.early_stopping = EarlyStopping::never;
  config.seed = seed;
  return config;
}

}  // namespace apps
