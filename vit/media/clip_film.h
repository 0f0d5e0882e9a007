// A clip out of a film: frames at even distances from its beginning to its end, in one pass and bounded memory, however
// long the film is and whatever its header says of that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/image/image.h"
#include "vit/media/video.h"

namespace vit {

/// What a model of clips sees of a film.
struct FilmClip {
  Image strip;                   ///< the frames beneath one another (vit/image/strip.h)
  std::vector<int64_t> numbers;  ///< of each frame in the film
  std::vector<double> times_s;   ///< of each frame
};

/// Picks T frames: those in the middles of T equal parts of what was offered. Of films of more than 16 T frames the
/// nearest of those it kept, which is off by at most 1/16 of a part. A film of fewer than T frames gives some twice.
class EvenFrames {
 public:
  /// Errors: frames below 1.
  EvenFrames(int64_t frames, const Extent& size);
  /// The next frame of the film. Scaled to the size and kept, or left alone.
  void add(const Image& frame, int64_t number, double time_s);
  int64_t seen() const { return seen_; }
  /// Errors: there was no frame.
  FilmClip clip() const;

 private:
  struct Kept {
    Image image;
    int64_t number = 0;
    double time_s = 0.0;
  };
  int64_t frames_;
  Extent size_;
  int64_t seen_ = 0, step_ = 1;  // every step_-th is kept
  std::vector<Kept> kept_;
};

/// Reads a film to its end. Errors: it cannot be read, naming it; (usage) it is live or a picture.
FilmClip read_film_clip(const std::string& film, int64_t frames, const Extent& size, const VideoOptions& options = {});

}  // namespace vit
