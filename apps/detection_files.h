// What `vitkit detect` leaves in its folders: annotated pictures and films, frames, crops, label files, attention.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/saved_names.h"
#include "detection/attention_map.h"
#include "detection/video_pipeline.h"

namespace detection {
class Detector;
}
namespace vit {
class ClassLabels;
class VideoWriter;
}  // namespace vit

namespace apps {

/// Errors (usage): one of the sources lies in the folder, or is it: its annotated picture would have its name.
void require_other_folder(const std::string& folder, const std::vector<std::string>& sources);

struct DetectionFileOptions {
  std::string folder{};  ///< --save; empty: none of the first four
  bool txt = false;      ///< labels/NAME.txt: a row per object, "class centre-x centre-y width height" as shares (YOLO)
  bool crops = false;    ///< crops/CLASS/NAME_NUMBER.jpg: every object cut out
  bool frames = false;   ///< NAME/000012.jpg: annotated frames of films beside the film
  int64_t stride = 1;    ///< of the frames of films: their annotated film lasts as long
  /// --attention: NAME_NUMBER.jpg for every object, where its query looked. Empty: none.
  std::string attention{};
  detection::AttentionMapOptions looks{};
};

/// Annotated pictures keep their name, as PNG unless they were JPEG; films keep theirs, and their frame rate, without
/// sound. A live source's film runs at its own pace: frames are repeated or left out; while the source is away the film
/// stands still. Labels and crops of frames are NAME_000012.
class DetectionFiles {
 public:
  /// Makes the folders. `failed` is told of files that cannot be written; the others are. Errors (usage): a folder
  /// cannot be made.
  DetectionFiles(const DetectionFileOptions& options, const vit::ClassLabels& labels,
                 std::function<void(const std::string& message)> failed);
  ~DetectionFiles();
  DetectionFiles(const DetectionFiles&) = delete;
  DetectionFiles& operator=(const DetectionFiles&) = delete;

  /// Whether annotated pictures are wanted.
  bool draws() const { return !options_.folder.empty(); }
  /// Whether anything is written.
  bool enabled() const { return draws() || !options_.attention.empty(); }
  const detection::AttentionMapOptions& looks() const { return options_.looks; }
  /// Encodes what belongs to an annotated picture; on any thread.
  void encode(detection::FrameResult& frame) const;
  /// Asks the model where the queries looked; on any thread. Errors: as attention_maps.
  void encode_attention(detection::FrameResult& frame, const detection::Detector& detector) const;
  /// Writes it; in the order of the frames. Errors: none, see `failed`.
  void write(const detection::FrameResult& frame);
  /// Finishes the films of sources that have not ended. Errors: as write.
  void finish();

 private:
  class Film;
  /// Whether it would be written over its source, or another; says so.
  bool is_own_folder(const detection::FrameResult& frame);
  void write_picture(const detection::FrameResult& frame);
  void write_frame(const detection::FrameResult& frame);
  void write_objects(const detection::FrameResult& frame, const std::string& name);
  void write_crops(const detection::FrameResult& frame, const std::string& name);
  void end_film(int64_t stream);
  /// Does one file's work; false, and told to `failed_`, where that failed.
  bool attempt(const std::function<void()>& work);

  DetectionFileOptions options_;
  const vit::ClassLabels& labels_;
  std::function<void(const std::string&)> failed_;
  SavedNames names_;
  std::map<int64_t, std::unique_ptr<Film>> films_;  // by stream
};

}  // namespace apps
