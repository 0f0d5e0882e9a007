// Generated clips of one action each, where only time tells which: what moves left, played backwards, moves right. A
// clip is a function of (seed, index), the same bytes on any number of threads. docs/datasets.md,
// docs/video_attention.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

enum class Action { left, right, up, down, grows, shrinks, blinks, still };
inline constexpr int64_t kActions = 8;
/// "moves left", ..., in the order of the class numbers.
const std::vector<std::string>& action_names();

inline constexpr int64_t kDefaultActionSide = 64;
inline constexpr int64_t kMinActionFrames = 4, kMaxActionFrames = 256;
inline constexpr int64_t kMinActionSide = 16, kMaxActionSide = 512;

/// Frames [first, end) in which something can be seen.
struct FrameRange {
  int64_t first = 0, end = 0;
  int64_t count() const { return end - first; }
  bool contains(int64_t frame) const { return frame >= first && frame < end; }
};

/// One clip. On a still, empty ground an object appears, acts for half to five eighths of the frames, the event, and
/// is gone: it crosses its place from one side to the other, or becomes larger or smaller, or goes and comes, or rests.
/// Frames outside the event show the ground and noise, and tell nothing. Of the whole set, a clip played backwards is
/// as likely as it is: what does not know the order of the frames is right in at most five of eight clips.
struct ActionClip {
  vit::Image strip;  ///< [frames * side, side, 3], the frames beneath one another
  Action action{};
  FrameRange event;
};

/// Draws clip `index` of `seed`. Errors: frames or side outside the limits, a negative index.
ActionClip draw_action(uint64_t seed, int64_t index, int64_t frames, int64_t side = kDefaultActionSide);
/// Its class and its event, without drawing.
Action action_of(uint64_t seed, int64_t index);
FrameRange action_event(uint64_t seed, int64_t index, int64_t frames);

/// Clips 0..count-1 of a seed; pictures are strips.
class ActionsDataset : public Dataset {
 public:
  /// Errors (usage): count below 1 or above 2^30, frames or side outside the limits.
  ActionsDataset(uint64_t seed, int64_t count, int64_t frames, int64_t side = kDefaultActionSide);

  int64_t size() const override { return count_; }
  const std::vector<std::string>& class_names() const override { return action_names(); }
  int64_t label(int64_t index) const override;
  /// "actions:SEED:INDEX:FRAMES:SIDE"
  std::string source(int64_t index) const override;
  vit::Image load(int64_t index) const override;
  /// The frames that a model should look at.
  FrameRange event(int64_t index) const;

  int64_t frames() const { return frames_; }
  int64_t side() const { return side_; }

 private:
  void check_index(int64_t index) const;
  uint64_t seed_;
  int64_t count_, frames_, side_;
};

/// "actions:SEED:COUNT:FRAMES[:SIDE]". Errors (usage): another form, numbers outside the limits.
std::unique_ptr<ActionsDataset> open_actions(const std::string& spec);

}  // namespace datasets
