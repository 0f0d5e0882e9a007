#include "captioning/beams.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "vit/core/check.h"

namespace captioning {

namespace {

/// Score of the beams that are no better than none when a search begins, because all begin the same.
constexpr float kNotYet = -1e9f;

}  // namespace

PictureBeams::PictureBeams(const GenerationConfig& config, const std::vector<int64_t>& prompt,
                           const std::vector<int64_t>& ends, int64_t max_length)
    : config_(config),
      ends_(ends),
      prompt_length_(static_cast<int64_t>(prompt.size())),
      max_length_(max_length),
      beams_(static_cast<size_t>(config.num_beams), Beam{prompt, kNotYet, 0}) {
  beams_.front().score = 0.0f;
}

int64_t PictureBeams::wanted_candidates() const {
  return std::max<int64_t>(2, 1 + static_cast<int64_t>(ends_.size())) * config_.num_beams;
}

double PictureBeams::normalised(double log_probability, int64_t generated) const {
  return log_probability / std::pow(static_cast<double>(generated), config_.length_penalty);
}

void PictureBeams::put_aside(Hypothesis hypothesis, double log_probability, int64_t generated) {
  hypothesis.score = normalised(log_probability, generated);
  const auto capacity = static_cast<size_t>(config_.num_beams);
  if (finished_.size() >= capacity && !(hypothesis.score > worst_)) return;
  const double score = hypothesis.score;
  finished_.push_back(std::move(hypothesis));
  const auto less = [](const Hypothesis& a, const Hypothesis& b) { return a.score < b.score; };
  if (finished_.size() > capacity) {
    finished_.erase(std::min_element(finished_.begin(), finished_.end(), less));
    worst_ = std::min_element(finished_.begin(), finished_.end(), less)->score;
  } else {
    worst_ = std::min(worst_, score);
  }
}

bool PictureBeams::is_done(double best, int64_t length) const {
  if (finished_.size() < static_cast<size_t>(config_.num_beams)) return false;
  if (config_.early_stopping == EarlyStopping::on_count) return true;
  // What a running beam can still reach. Without "never" its present length is taken for its last.
  const bool grows = config_.early_stopping == EarlyStopping::never && config_.length_penalty > 0.0;
  return worst_ >= normalised(best, (grows ? max_length_ : length) - prompt_length_);
}

void PictureBeams::advance(const std::vector<Candidate>& candidates) {
  const auto count = static_cast<size_t>(config_.num_beams);
  const int64_t length = static_cast<int64_t>(beams_.front().ids.size()) + 1;
  std::vector<Beam> next;
  for (size_t rank = 0; rank < candidates.size() && next.size() < count; ++rank) {
    const Candidate& candidate = candidates[rank];
    const Beam& parent = beams_[static_cast<size_t>(candidate.beam)];
    if (std::find(ends_.begin(), ends_.end(), candidate.token) != ends_.end()) {
      if (rank < count) put_aside({0.0, parent.ids, true}, candidate.score, length - prompt_length_);
      continue;
    }
    next.push_back({parent.ids, candidate.score, candidate.beam});
    next.back().ids.push_back(candidate.token);
  }
  vit::check(next.size() == count, "generate: of ", candidates.size(), " candidates only ", next.size(),
             " go on, and there are ", count, " beams; the vocabulary is too small for so many");
  beams_ = std::move(next);
  done_ = done_ || is_done(candidates.front().score, length);
}

std::vector<Sequence> PictureBeams::finish(int64_t count) {
  if (!done_)
    for (const Beam& beam : beams_)
      put_aside({0.0, beam.ids, false}, beam.score, static_cast<int64_t>(beam.ids.size()) - prompt_length_);
  // Of equals the last one put aside comes first.
  std::reverse(finished_.begin(), finished_.end());
  std::stable_sort(finished_.begin(), finished_.end(),
                   [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
  std::vector<Sequence> best;
  for (int64_t i = 0; i < count; ++i) {
    Hypothesis& hypothesis = finished_[static_cast<size_t>(i)];
    if (hypothesis.ended) hypothesis.ids.push_back(ends_.front());
    best.push_back({std::move(hypothesis.ids), hypothesis.score});
  }
  return best;
}

}  // namespace captioning
