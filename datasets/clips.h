// Generated clips as a data set: every frame a picture, with the boxes and the tracks of its objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"
#include "datasets/scenes.h"

namespace datasets {

/// Clips 0..clips-1 of a seed, frame after frame: picture i is frame i % frames of clip i / frames.
class ClipsDataset : public BoxDataset {
 public:
  /// Errors (usage): clips below 1 or above 2^20, frames outside 1 to 100,000, side outside the limits of scenes.
  ClipsDataset(uint64_t seed, int64_t clips, int64_t frames, int64_t side = kDefaultSceneSide);
  ~ClipsDataset() override;

  int64_t size() const override { return clips_ * frames_; }
  const std::vector<std::string>& class_names() const override { return scene_class_names(); }
  /// Class of the object that stays in the picture.
  int64_t label(int64_t index) const override;
  /// "clips:SEED:CLIP:FRAME:SIDE"
  std::string source(int64_t index) const override;
  vit::Image load(int64_t index) const override;
  std::vector<BoxAnnotation> boxes(int64_t index) const override;
  vit::Extent picture_size(int64_t /*index*/) const override { return {side_, side_}; }
  int64_t clip(int64_t index) const override { return index / frames_; }
  bool has_picture_labels() const override { return true; }

 private:
  struct Clips;
  std::shared_ptr<const SceneClip> clip_of(int64_t index) const;

  uint64_t seed_;
  int64_t clips_, frames_, side_;
  std::unique_ptr<Clips> planned_;
  mutable SceneBoxMemory memory_;
};

/// "clips:SEED:COUNT:FRAMES[:SIDE]". Errors (usage): another form, numbers outside the limits.
std::unique_ptr<ClipsDataset> open_clips(const std::string& spec);

}  // namespace datasets
