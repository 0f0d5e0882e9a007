// Overlays of a film's frames as a film: one layout and, where OverlayOptions::scale is given, one scale over all of
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "vit/explain/overlay.h"
#include "vit/media/video.h"

namespace vit {

class OverlayFilm {
 public:
  /// Nothing is opened before the first picture. Errors: none yet.
  explicit OverlayFilm(std::string path, const VideoWriterOptions& options = {});
  /// Finishes, too.
  ~OverlayFilm();
  OverlayFilm(const OverlayFilm&) = delete;
  OverlayFilm& operator=(const OverlayFilm&) = delete;

  /// Draws a frame as draw_overlay does and appends it. The first picture decides the film's size: what differs in text
  /// is cut off or leaves room. Errors: as draw_overlay and VideoWriter::write.
  void add(const Image& frame, const Tensor& map, const std::optional<CellWindow>& window = {},
           const OverlayOptions& options = {});
  /// Appends a picture as it is: an attention sheet of one layer after the other. Another size than the first one's is
  /// scaled. Errors: as VideoWriter, whose usage errors come with the first picture.
  void add(const Image& picture);
  /// Errors: as VideoWriter.
  void finish();

 private:
  std::string path_;
  VideoWriterOptions options_;
  Extent size_{};  // of the first picture
  std::unique_ptr<VideoWriter> writer_;
};

}  // namespace vit
