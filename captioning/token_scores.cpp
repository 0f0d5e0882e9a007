#include "captioning/token_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "vit/core/check.h"

namespace captioning {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

}  // namespace

int64_t least_length(const GenerationConfig& config, int64_t prompt_length) {
  return config.min_new_tokens > 0 ? prompt_length + config.min_new_tokens : config.min_length;
}

TokenScores::TokenScores(const GenerationConfig& config, int64_t prompt_length, const std::vector<int64_t>& ends)
    : config_(config), ends_(ends) {
  min_length_ = least_length(config, prompt_length);
  // A beam must be able to go on when all ends are among its best words; two words are left where nothing ends.
  keep_ = config.num_beams > 1 ? std::max<int64_t>(static_cast<int64_t>(ends.size()), 1) + 1 : 1;
}

void TokenScores::process(const std::vector<int64_t>& ids, std::span<float> scores) const {
  if (config_.repetition_penalty != 1.0) penalise_repetition(ids, scores);
  if (config_.no_repeat_ngram_size > 0) forbid_ngrams(ids, scores);
  if (static_cast<int64_t>(ids.size()) < min_length_)
    for (const int64_t end : ends_) scores[static_cast<size_t>(end)] = kForbidden;
  if (!config_.do_sample) return;
  if (config_.temperature != 1.0)
    for (float& score : scores) score /= static_cast<float>(config_.temperature);
  if (config_.top_k > 0) keep_top_k(scores);
  if (config_.top_p < 1.0) keep_top_p(scores);
}

void TokenScores::penalise_repetition(const std::vector<int64_t>& ids, std::span<float> scores) const {
  const auto penalty = static_cast<float>(config_.repetition_penalty);
  for (const int64_t id : std::set<int64_t>(ids.begin(), ids.end())) {
    float& score = scores[static_cast<size_t>(id)];
    score = score < 0.0f ? score * penalty : score / penalty;
  }
}

void TokenScores::forbid_ngrams(const std::vector<int64_t>& ids, std::span<float> scores) const {
  const auto size = static_cast<size_t>(config_.no_repeat_ngram_size);
  if (ids.size() + 1 < size) return;
  const auto tail = ids.end() - static_cast<int64_t>(size - 1);
  for (size_t at = 0; at + size <= ids.size(); ++at) {
    const auto ngram = ids.begin() + static_cast<int64_t>(at);
    if (std::equal(tail, ids.end(), ngram)) scores[static_cast<size_t>(ids[at + size - 1])] = kForbidden;
  }
}

void TokenScores::keep_top_k(std::span<float> scores) const {
  const auto size = static_cast<int64_t>(scores.size());
  const int64_t count = std::min(std::max(config_.top_k, keep_), size);
  std::vector<float> sorted(scores.begin(), scores.end());
  std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end(), std::greater<>());
  const float least = sorted[static_cast<size_t>(count - 1)];
  for (float& score : scores)
    if (score < least) score = kForbidden;
}

void TokenScores::keep_top_p(std::span<float> scores) const {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto score_of = [&](int64_t i) { return scores[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score_of(a) < score_of(b); });
  const double best = score_of(order.back());
  double sum = 0.0;
  for (const float score : scores) sum += std::exp(score - best);
  // The unlikely words go whose probabilities together are at most 1 - top_p.
  double below = 0.0;
  for (size_t i = 0; i + static_cast<size_t>(keep_) < order.size(); ++i) {
    below += std::exp(score_of(order[i]) - best) / sum;
    if (below > 1.0 - config_.top_p) break;
    scores[static_cast<size_t>(order[i])] = kForbidden;
  }
}

void log_softmax(std::span<float> scores) {
  const float best = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (const float score : scores) sum += std::exp(score - best);
  vit::check(std::isfinite(sum) && std::isfinite(best), "generate: the model's logits are not finite");
  const auto log_sum = static_cast<float>(std::log(sum));
  for (float& score : scores) score = score - best - log_sum;
}

std::vector<int64_t> top_indices(std::span<const float> scores, int64_t count) {
  // A heap of what was best so far, its worst on top: later equals do not enter.
  const auto better = [&](int64_t a, int64_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<int64_t> heap;
  const auto size = static_cast<int64_t>(scores.size());
  for (int64_t i = 0; i < size; ++i) {
    if (static_cast<int64_t>(heap.size()) < count) {
      heap.push_back(i);
      std::push_heap(heap.begin(), heap.end(), better);
    } else if (scores[static_cast<size_t>(i)] > scores[static_cast<size_t>(heap.front())]) {
      std::pop_heap(heap.begin(), heap.end(), better);
      heap.back() = i;
      std::push_heap(heap.begin(), heap.end(), better);
    }
  }
  std::sort(heap.begin(), heap.end(), better);
  return heap;
}

}  // namespace captioning
