// Generated scenes and clips as files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "datasets/actions.h"
#include "datasets/coco_write.h"
#include "datasets/scenes.h"

namespace apps {

struct ClipFiles {
  std::string frames;  ///< folder of the frames
  std::string truth;   ///< file of the tracks
  std::string video;   ///< empty: none was wanted
  int64_t tracks = 0;  ///< that are seen in it
};

/// Writes below one folder. Errors of all: a folder cannot be made, a file cannot be written.
class SceneFiles {
 public:
  /// With `coco`, finish() also writes _annotations.coco.json, with the boxes of everything that was added; with
  /// `video`, clips are films, too.
  SceneFiles(std::filesystem::path folder, bool coco, bool video);

  /// KIND/000012.png -> its path.
  std::string add_scene(int64_t number, const datasets::Scene& scene);
  /// clip_000012/img1/000001.png, ... and gt/gt.txt, in the MOT Challenge's form; what is hardly visible counts as
  /// ignored there. With `video` also clip_000012.mp4, of 25 frames a second. `advance` is called after each frame.
  ClipFiles add_clip(int64_t number, const datasets::SceneClip& clip, const std::function<void()>& advance);
  /// moves_left/000012.avi -> its path: a film of an action, of 10 frames a second, which an image codec keeps sharp.
  std::string add_action(int64_t number, const datasets::ActionClip& clip, int64_t frames) const;
  void finish() const;

 private:
  std::filesystem::path make_folder(const std::filesystem::path& relative) const;

  std::filesystem::path folder_;
  std::optional<datasets::CocoWriter> coco_;
  bool video_;
};

}  // namespace apps
