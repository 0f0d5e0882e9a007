// The beams of one picture: what transformers' BeamSearchScorer and BeamHypotheses keep of one sample.
#pragma once

#include <cstdint>
#include <vector>

#include "captioning/generate.h"

namespace captioning {

/// A word that a beam could go on with.
struct Candidate {
  float score = 0.0f;  ///< sum of the log probabilities, with this word's
  int64_t beam = 0;    ///< which goes on, of the picture's
  int64_t token = 0;
};

/// A caption in the making.
struct Beam {
  std::vector<int64_t> ids;
  float score = 0.0f;
  int64_t parent = 0;  ///< number of the beam that it continues
};

class PictureBeams {
 public:
  /// `max_length` counts the prompt.
  PictureBeams(const GenerationConfig& config, const std::vector<int64_t>& prompt, const std::vector<int64_t>& ends,
               int64_t max_length);

  const std::vector<Beam>& beams() const { return beams_; }
  bool done() const { return done_; }
  /// How many candidates are looked at: enough to go on with where the best are ends.
  int64_t wanted_candidates() const;

  /// Takes the best candidates, sorted, best first: those that end a caption are put aside, the others become the new
  /// beams. Errors: fewer candidates than beams that go on.
  void advance(const std::vector<Candidate>& candidates);

  /// The best `count` captions, best first, running ones included where the search is not done.
  std::vector<Sequence> finish(int64_t count);

 private:
  struct Hypothesis {
    double score = 0.0;
    std::vector<int64_t> ids;
    bool ended = false;
  };
  /// `generated`: words behind the prompt, with the end.
  void put_aside(Hypothesis hypothesis, double log_probability, int64_t generated);
  bool is_done(double best, int64_t length) const;
  double normalised(double log_probability, int64_t generated) const;

  GenerationConfig config_;
  std::vector<int64_t> ends_;
  int64_t prompt_length_, max_length_;
  std::vector<Beam> beams_;
  std::vector<Hypothesis> finished_;
  double worst_ = 1e9;  ///< score of the worst of finished_
  bool done_ = false;
};

}  // namespace captioning
