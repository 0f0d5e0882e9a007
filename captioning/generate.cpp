#include "captioning/generate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>

#include "captioning/beams.h"
#include "captioning/token_scores.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace captioning {

namespace {

using vit::Context;
using vit::fail_usage;
using vit::Tensor;

/// What a configuration means for one model and prompt.
struct Plan {
  GenerationConfig config;
  std::vector<int64_t> prompt;
  std::vector<int64_t> ends;
  int64_t max_length = 0;
};

void check_at_least(const char* name, int64_t value, int64_t least) {
  if (value < least) fail_usage("generate: ", name, " must be at least ", least, ", got ", value);
}

void check_options(const GenerationConfig& config) {
  check_at_least("num_beams", config.num_beams, 1);
  check_at_least("num_return_sequences", config.num_return_sequences, 1);
  check_at_least("no_repeat_ngram_size", config.no_repeat_ngram_size, 0);
  check_at_least("min_length", config.min_length, 0);
  check_at_least("min_new_tokens", config.min_new_tokens, 0);
  check_at_least("max_length", config.max_length, 1);
  if (config.max_new_tokens) check_at_least("max_new_tokens", *config.max_new_tokens, 1);
  check_at_least("top_k", config.top_k, 0);
  if (!std::isfinite(config.length_penalty))
    fail_usage("generate: length_penalty must be a number, got ", config.length_penalty);
  if (!(config.repetition_penalty > 0.0 && std::isfinite(config.repetition_penalty)))
    fail_usage("generate: repetition_penalty must be above 0, got ", config.repetition_penalty);
  if (!(config.temperature > 0.0 && std::isfinite(config.temperature)))
    fail_usage("generate: temperature must be above 0, got ", config.temperature);
  if (!(config.top_p > 0.0 && config.top_p <= 1.0))
    fail_usage("generate: top_p must be above 0 and at most 1, got ", config.top_p);
  if (config.num_beams > 1 && config.num_return_sequences > config.num_beams)
    fail_usage("generate: num_return_sequences ", config.num_return_sequences, " is more than num_beams ",
               config.num_beams, " has to give");
  if (config.num_beams == 1 && !config.do_sample && config.num_return_sequences > 1)
    fail_usage("generate: num_return_sequences ", config.num_return_sequences,
               " needs as many num_beams, or do_sample: greedy search finds one caption");
}

void check_token(const char* name, int64_t id, int64_t vocab_size) {
  if (id < 0 || id >= vocab_size)
    fail_usage("generate: ", name, " ", id, " is not in the model's vocabulary of ", vocab_size);
}

Plan make_plan(const CaptionModel& model, const std::vector<int64_t>& prompt, const GenerationConfig& config) {
  check_options(config);
  const StartAndEnd own = model.start_and_end();
  Plan plan{config, prompt, config.ends.value_or(own.ends), 0};
  if (prompt.empty()) plan.prompt = {config.start.value_or(own.start)};
  for (const int64_t id : plan.prompt) check_token("the start or prompt's id", id, model.vocab_size());
  for (const int64_t id : plan.ends) check_token("the end's id", id, model.vocab_size());
  const auto length = static_cast<int64_t>(plan.prompt.size());
  if (length >= model.max_positions())
    fail_usage("generate: a prompt of ", length, " tokens leaves no position of the model's ", model.max_positions());
  plan.max_length = config.max_new_tokens ? length + *config.max_new_tokens : config.max_length;
  if (length >= plan.max_length)
    fail_usage("generate: max_length ", plan.max_length, " leaves no word behind a prompt of ", length,
               " tokens; set max_new_tokens");
  if (const int64_t least = least_length(config, length); least > plan.max_length)
    fail_usage("generate: min_length ", config.min_length, " or min_new_tokens ", config.min_new_tokens, " ask for ",
               least, " tokens, more than max_length ", plan.max_length);
  plan.max_length = std::min(plan.max_length, model.max_positions());
  return plan;
}

/// A number of each picture's own, for its random numbers.
std::vector<uint64_t> picture_numbers(const Tensor& encoded) {
  std::vector<uint64_t> numbers;
  for (int64_t p = 0; p < encoded.size(0); ++p) {
    const Tensor one = encoded.slice(p, p + 1);
    const auto* bytes = static_cast<const char*>(static_cast<const void*>(one.f32()));
    numbers.push_back(vit::Rng::stream_of({bytes, static_cast<size_t>(one.numel()) * sizeof(float)}));
  }
  return numbers;
}

/// Randomness of a step of one of a picture's captions or beams, whatever else is generated beside it.
vit::Rng row_random(const GenerationConfig& config, uint64_t picture, int64_t copy, size_t step) {
  return vit::Rng(config.seed, vit::Rng::stream_of(vit::str("generate/", picture, "/", copy, "/", step)));
}

/// Uniform in (0, 1) with 53 bits.
double uniform(vit::Rng& rng) {
  const uint64_t high = rng.next_u32() >> 6, low = rng.next_u32() >> 5;
  return (static_cast<double>((high << 27) | low) + 0.5) / 9007199254740992.0;
}

std::vector<float> row_of(const Tensor& logits, int64_t row) {
  const int64_t vocab = logits.size(1);
  const float* first = logits.f32() + row * vocab;
  return {first, first + vocab};
}

/// The state and the logits of what follows in each of its rows.
class Decoding {
 public:
  /// One row per picture, which have had the prompt.
  Decoding(Context& ctx, const CaptionModel& model, const Tensor& encoded, const std::vector<int64_t>& prompt)
      : ctx_(ctx), model_(model), state_(model.begin(ctx, encoded, 1)) {
    const int64_t pictures = encoded.size(0), length = static_cast<int64_t>(prompt.size());
    Tensor ids = Tensor::empty({pictures, length}, vit::DType::i64);
    for (int64_t p = 0; p < pictures; ++p) std::copy(prompt.begin(), prompt.end(), ids.data<int64_t>() + p * length);
    take(ids);
  }

  const Tensor& logits() const { return logits_; }

  /// Row i goes on from row parents[i] with tokens[i].
  void advance(const std::vector<int64_t>& parents, const std::vector<int64_t>& tokens) {
    state_->select(parents);
    take(Tensor::from(tokens, {static_cast<int64_t>(tokens.size()), 1}));
  }

 private:
  void take(const Tensor& ids) {
    logits_ = model_.step(ctx_, *state_, ids);
    vit::check(logits_.shape() == vit::Shape({ids.size(0), model_.vocab_size()}), "generate: expected logits [",
               ids.size(0), ", ", model_.vocab_size(), "] of the model, got ", logits_.shape());
  }

  Context& ctx_;
  const CaptionModel& model_;
  std::unique_ptr<DecoderState> state_;
  Tensor logits_;
};

// ---- one word after the other: greedy search and sampling ----

struct Row {
  Sequence caption;
  uint64_t picture = 0;  ///< its number
  int64_t logits_row = 0;
  int64_t next = 0;
  bool done = false;
};

int64_t draw(std::span<const float> scores, vit::Rng& rng) {
  const double best = *std::max_element(scores.begin(), scores.end());
  vit::check(std::isfinite(best),
             "generate: no word is left to draw; allow more of them (no_repeat_ngram_size, top_k)");
  double sum = 0.0;
  for (const float score : scores) sum += std::exp(score - best);
  double left = uniform(rng) * sum;
  size_t last = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double part = std::exp(scores[i] - best);
    if (part > 0.0) last = i;
    left -= part;
    if (left < 0.0) return static_cast<int64_t>(i);
  }
  return static_cast<int64_t>(last);  // what rounding left over
}

void choose_word(Row& row, int64_t copy, const Tensor& logits, const TokenScores& processors,
                 const GenerationConfig& config) {
  std::vector<float> scores = row_of(logits, row.logits_row), log_probabilities = scores;
  log_softmax(log_probabilities);
  processors.process(row.caption.ids, scores);
  if (config.do_sample) {
    vit::Rng rng = row_random(config, row.picture, copy, row.caption.ids.size());
    row.next = draw(scores, rng);
  } else {
    row.next = std::max_element(scores.begin(), scores.end()) - scores.begin();
  }
  row.caption.ids.push_back(row.next);
  row.caption.score += log_probabilities[static_cast<size_t>(row.next)];
}

std::vector<std::vector<Sequence>> generate_rows(Context& ctx, const CaptionModel& model, const Tensor& encoded,
                                                 const Plan& plan) {
  const int64_t pictures = encoded.size(0), copies = plan.config.num_return_sequences;
  const TokenScores processors(plan.config, static_cast<int64_t>(plan.prompt.size()), plan.ends);
  std::vector<Row> rows(static_cast<size_t>(pictures * copies));
  const std::vector<uint64_t> numbers = picture_numbers(encoded);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto picture = static_cast<int64_t>(i) / copies;
    rows[i] = {.caption = {plan.prompt, 0.0},
               .picture = numbers[static_cast<size_t>(picture)],
               .logits_row = picture,
               .next = 0,
               .done = false};
  }
  Decoding decoding(ctx, model, encoded, plan.prompt);
  for (auto length = static_cast<int64_t>(plan.prompt.size()); length < plan.max_length;) {
    vit::parallel_try(static_cast<int64_t>(rows.size()), [&](int64_t i) {
      Row& row = rows[static_cast<size_t>(i)];
      if (!row.done) choose_word(row, i % copies, decoding.logits(), processors, plan.config);
    });
    std::vector<int64_t> parents, tokens;
    for (Row& row : rows) {
      row.done = row.done || std::find(plan.ends.begin(), plan.ends.end(), row.next) != plan.ends.end();
      if (row.done) continue;
      parents.push_back(row.logits_row);
      tokens.push_back(row.next);
      row.logits_row = static_cast<int64_t>(parents.size()) - 1;
    }
    if (++length == plan.max_length || parents.empty()) break;
    decoding.advance(parents, tokens);
  }
  std::vector<std::vector<Sequence>> captions(static_cast<size_t>(pictures));
  for (size_t i = 0; i < rows.size(); ++i) {
    Sequence& caption = rows[i].caption;
    caption.score /= static_cast<double>(caption.ids.size() - plan.prompt.size());
    captions[i / static_cast<size_t>(copies)].push_back(std::move(caption));
  }
  for (std::vector<Sequence>& of_picture : captions)
    std::stable_sort(of_picture.begin(), of_picture.end(),
                     [](const Sequence& a, const Sequence& b) { return a.score > b.score; });
  return captions;
}

// ---- beam search ----

/// A candidate and what decides whether it is taken: its score, or in sampling that with noise.
struct Ranked {
  Candidate candidate;
  float key = 0.0f;
};

/// The beams of a batch's pictures.
class BeamRun {
 public:
  BeamRun(const CaptionModel& model, const Tensor& encoded, const Plan& plan)
      : plan_(plan),
        processors_(plan.config, static_cast<int64_t>(plan.prompt.size()), plan.ends),
        beams_(plan.config.num_beams),
        pictures_(static_cast<size_t>(encoded.size(0)),
                  PictureBeams(plan.config, plan.prompt, plan.ends, plan.max_length)),
        numbers_(picture_numbers(encoded)),
        logits_rows_(pictures_.size() * static_cast<size_t>(beams_)),
        wanted_(std::min(pictures_.empty() ? 0 : pictures_.front().wanted_candidates(), beams_ * model.vocab_size())) {
    // Before the first word a picture's beams share a row.
    for (size_t i = 0; i < logits_rows_.size(); ++i) logits_rows_[i] = static_cast<int64_t>(i) / beams_;
  }

  /// Lets all beams grow by a word. False: all pictures are done.
  bool choose_words(const Tensor& logits, std::vector<int64_t>& parents, std::vector<int64_t>& tokens) {
    std::vector<std::vector<Ranked>> ranked(logits_rows_.size());
    vit::parallel_try(static_cast<int64_t>(ranked.size()), [&](int64_t i) {
      if (!pictures_[static_cast<size_t>(i / beams_)].done()) ranked[static_cast<size_t>(i)] = rank(i, logits);
    });
    parents.clear();
    tokens.clear();
    for (size_t p = 0; p < pictures_.size(); ++p) {
      if (pictures_[p].done()) continue;
      pictures_[p].advance(best_of(ranked, p));
      if (!pictures_[p].done()) go_on(p, parents, tokens);
    }
    return !parents.empty();
  }

  std::vector<std::vector<Sequence>> finish() {
    std::vector<std::vector<Sequence>> captions;
    for (PictureBeams& picture : pictures_) captions.push_back(picture.finish(plan_.config.num_return_sequences));
    return captions;
  }

 private:
  /// The best words behind beam i of all.
  std::vector<Ranked> rank(int64_t i, const Tensor& logits) const {
    const Beam& beam = pictures_[static_cast<size_t>(i / beams_)].beams()[static_cast<size_t>(i % beams_)];
    std::vector<float> scores = row_of(logits, logits_rows_[static_cast<size_t>(i)]);
    log_softmax(scores);
    processors_.process(beam.ids, scores);
    for (float& score : scores) score += beam.score;
    std::vector<float> noisy;
    if (plan_.config.do_sample) noisy = with_noise(scores, i, beam.ids.size());
    const std::vector<float>& keys = plan_.config.do_sample ? noisy : scores;
    std::vector<Ranked> best;
    for (const int64_t token : top_indices(keys, wanted_))
      best.push_back({{scores[static_cast<size_t>(token)], i % beams_, token}, keys[static_cast<size_t>(token)]});
    return best;
  }

  /// The largest of scores with Gumbel noise are a draw without replacement from their softmax (Kool, van Hoof, Welling
  /// 2019, "Stochastic beams and where to find them", section 2.3).
  std::vector<float> with_noise(const std::vector<float>& scores, int64_t i, size_t step) const {
    vit::Rng rng = row_random(plan_.config, numbers_[static_cast<size_t>(i / beams_)], i % beams_, step);
    std::vector<float> noisy;
    noisy.reserve(scores.size());
    for (const float score : scores) noisy.push_back(static_cast<float>(score - std::log(-std::log(uniform(rng)))));
    return noisy;
  }

  std::vector<Candidate> best_of(const std::vector<std::vector<Ranked>>& ranked, size_t picture) const {
    std::vector<Ranked> all;
    for (int64_t b = 0; b < beams_; ++b) {
      const std::vector<Ranked>& own = ranked[picture * static_cast<size_t>(beams_) + static_cast<size_t>(b)];
      all.insert(all.end(), own.begin(), own.end());
    }
    // Stable: of equals the lower beam's, then the lower word.
    std::stable_sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) { return a.key > b.key; });
    all.resize(std::min(all.size(), static_cast<size_t>(wanted_)));
    std::stable_sort(all.begin(), all.end(),
                     [](const Ranked& a, const Ranked& b) { return a.candidate.score > b.candidate.score; });
    std::vector<Candidate> candidates;
    for (const Ranked& one : all) candidates.push_back(one.candidate);
    return candidates;
  }

  void go_on(size_t picture, std::vector<int64_t>& parents, std::vector<int64_t>& tokens) {
    const auto first = static_cast<int64_t>(picture) * beams_;
    std::vector<int64_t> rows;
    for (const Beam& beam : pictures_[picture].beams()) {
      rows.push_back(static_cast<int64_t>(parents.size()));
      parents.push_back(logits_rows_[static_cast<size_t>(first + beam.parent)]);
      tokens.push_back(beam.ids.back());
    }
    std::copy(rows.begin(), rows.end(), logits_rows_.begin() + first);
  }

  const Plan& plan_;
  const TokenScores processors_;
  const int64_t beams_;
  std::vector<PictureBeams> pictures_;
  const std::vector<uint64_t> numbers_;  ///< of the pictures
  std::vector<int64_t> logits_rows_;     ///< of every beam of every picture
  const int64_t wanted_;
};

std::vector<std::vector<Sequence>> generate_beams(Context& ctx, const CaptionModel& model, const Tensor& encoded,
                                                  const Plan& plan) {
  BeamRun run(model, encoded, plan);
  Decoding decoding(ctx, model, encoded, plan.prompt);
  std::vector<int64_t> parents, tokens;
  for (auto length = static_cast<int64_t>(plan.prompt.size()) + 1;
       run.choose_words(decoding.logits(), parents, tokens) && length < plan.max_length; ++length)
    decoding.advance(parents, tokens);
  return run.finish();
}

}  // namespace

std::vector<std::vector<Sequence>> generate(Context& ctx, const CaptionModel& model, const Tensor& encoded,
                                            const std::vector<int64_t>& prompt, const GenerationConfig& config) {
  vit::check(encoded.rank() == 3, "generate: expected what encode() makes, [B, M, C], got ", encoded.shape());
  const Plan plan = make_plan(model, prompt, config);
  if (encoded.size(0) == 0) return {};
  return config.num_beams > 1 ? generate_beams(ctx, model, encoded, plan) : generate_rows(ctx, model, encoded, plan);
}

void check_generation(const CaptionModel& model, const std::vector<int64_t>& prompt, const GenerationConfig& config) {
  make_plan(model, prompt, config);
}

}  // namespace captioning
