// Scenes: generated, labelled pictures and clips for tests, demonstrations and ablations. A picture is a function of
// (seed, index): the same bytes on any number of threads. What is in them, and why it is hard for a linear model and
// learnable for a small transformer: docs/scenes.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "datasets/box_dataset.h"
#include "datasets/scenes_vocabulary.h"
#include "vit/image/image.h"

namespace datasets {

inline constexpr int64_t kDefaultSceneSide = 128;
inline constexpr int64_t kMinSceneSide = 16, kMaxSceneSide = 2048;
inline constexpr int64_t kSceneCaptions = 5;

/// An object of which something can be seen.
struct SceneObject {
  int64_t id = 0;  ///< number within the scene, or the track's number in a clip
  SceneKind kind{};
  SceneColor color{};
  SceneSize size{};
  std::array<float, 4> box{};  ///< x0, y0, x1, y1 in pixels, around its visible pixels (edges, not centres)
  float visibility = 0.0f;     ///< share of its area that is neither hidden nor outside of the picture
  int64_t depth = 0;           ///< objects of larger depth hide those of smaller
};

struct Scene {
  vit::Image image;   ///< [side, side, 3]
  int64_t label = 0;  ///< class of the main object: the largest, at most slightly hidden
  /// The main object first. Each has visible pixels.
  std::vector<SceneObject> objects;
  /// [side, side]: the position in `objects` of what a pixel shows, 255 for the background.
  std::vector<uint8_t> owners;
  /// Several descriptions of the same scene (scenes_caption.h); the first names all objects.
  std::vector<std::string> captions;
};

/// Draws scene `index` of `seed` with `side` pixels along each side. Scenes of one (seed, index) differ between sides
/// in resolution and noise alone. Errors: side outside kMinSceneSide to kMaxSceneSide, a negative index.
Scene draw_scene(uint64_t seed, int64_t index, int64_t side = kDefaultSceneSide);
/// The class of that scene's main object, without drawing.
int64_t scene_label(uint64_t seed, int64_t index);

/// A clip of moving objects over a still background: one stays in the picture, others enter, cross on straight or
/// curved paths, turn, hide one another and leave. Frames are functions of (seed, index, frame number): asking for one
/// does not need those before it, and is thread-safe.
class SceneClip {
 public:
  /// Errors: as draw_scene; frames outside 1 to 100,000.
  SceneClip(uint64_t seed, int64_t index, int64_t frames, int64_t side = kDefaultSceneSide);
  ~SceneClip();
  SceneClip(SceneClip&&) noexcept;
  SceneClip& operator=(SceneClip&&) noexcept;

  int64_t frames() const;
  int64_t side() const;
  /// Number of tracks; ids are 0..tracks()-1, that of the object that stays is 0.
  int64_t tracks() const;
  /// Class of the object that stays.
  int64_t label() const;
  /// A frame: `objects` are the tracks that are visible, by id; no captions. Errors: no such frame.
  Scene frame(int64_t number) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Objects of which a smaller share can be seen are difficult: they are annotated, but neither learned nor demanded.
inline constexpr float kMinSceneVisibility = 0.25f;

/// The objects of a scene or of a clip's frame as boxes of their visible pixels, in the same order. Classes are kinds.
/// `tracks`: ids are those of tracks.
std::vector<BoxAnnotation> scene_boxes(const Scene& scene, bool tracks = false);

/// What is known of generated pictures that were drawn already: a picture takes milliseconds. Thread-safe; bounded.
template <class Value>
class SceneMemory {
 public:
  /// False where it is not known.
  bool find(int64_t index, Value& value) {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
    const auto found = values_.find(index);
    if (found == values_.end()) return false;
    value = found->second;
    return true;
  }
  /// Does nothing before somebody has asked: who classifies does not need it.
  void keep(int64_t index, const Value& value) {
    const std::lock_guard lock(mutex_);
    if (wanted_ && values_.size() < kMaxRemembered) values_.emplace(index, value);
  }

 private:
  /// Some 50 MB.
  static constexpr size_t kMaxRemembered = 100'000;

  std::mutex mutex_;
  bool wanted_ = false;
  std::unordered_map<int64_t, Value> values_;
};
using SceneBoxMemory = SceneMemory<std::vector<BoxAnnotation>>;

/// Scenes 0..count-1 of a seed as a data set, with a class for each picture, boxes around all objects, and captions.
class ScenesDataset : public BoxDataset {
 public:
  /// Errors (usage): count below 1, side outside the limits.
  ScenesDataset(uint64_t seed, int64_t count, int64_t side = kDefaultSceneSide);

  int64_t size() const override { return count_; }
  const std::vector<std::string>& class_names() const override { return scene_class_names(); }
  int64_t label(int64_t index) const override;
  /// "scenes:SEED:INDEX:SIDE"
  std::string source(int64_t index) const override;
  vit::Image load(int64_t index) const override;
  /// Draws the scene unless its boxes were asked for, or its picture loaded, before.
  std::vector<BoxAnnotation> boxes(int64_t index) const override;
  vit::Extent picture_size(int64_t /*index*/) const override { return {side_, side_}; }
  bool has_picture_labels() const override { return true; }
  bool has_sentences() const override { return true; }
  /// kSceneCaptions descriptions (Scene::captions); a function of the seed and the index. Draws the scene unless they
  /// were asked for, or its picture loaded, before.
  std::vector<std::string> sentences(int64_t index) const override;
  /// Everything about a picture. Errors: index outside the set.
  Scene scene(int64_t index) const;

  uint64_t seed() const { return seed_; }
  int64_t side() const { return side_; }

 private:
  void check_index(int64_t index) const;
  uint64_t seed_;
  int64_t count_, side_;
  mutable SceneBoxMemory memory_;
  mutable SceneMemory<std::vector<std::string>> caption_memory_;
};

/// Whether a data set's name is of this format: "scenes:...".
bool is_scenes_spec(const std::string& spec);
/// "scenes:SEED:COUNT[:SIDE]". Errors (usage): another form, numbers outside the limits.
std::unique_ptr<ScenesDataset> open_scenes(const std::string& spec);

}  // namespace datasets
