// Overlays of a film's frames as a film: one layout and, where wanted, one scale over all of it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "vit/explain/overlay.h"
#include "vit/media/video.h"

namespace vit {

class OverlayFilm {
 public:
  /// Nothing is written before the first frame, whose size all have. Errors (usage): as VideoWriter, with the first
  /// frame.
  explicit OverlayFilm(std::string path, const VideoWriterOptions& options = {});
  /// Finishes, too.
  ~OverlayFilm();
  OverlayFilm(const OverlayFilm&) = delete;
  OverlayFilm& operator=(const OverlayFilm&) = delete;

  /// Draws a frame as draw_overlay does and appends it. The number of lines below may differ: the first frame's room is
  /// kept. Errors: as draw_overlay and VideoWriter::write.
  void add(const Image& frame, const Tensor& map, const std::optional<CellWindow>& window = {},
           const OverlayOptions& options = {});
  /// Appends a picture as it is: an attention sheet of one layer after the other. Another size is scaled.
  void add(const Image& picture);
  /// Errors: as VideoWriter.
  void finish();

 private:
  std::string path_;
  VideoWriterOptions options_;
  std::unique_ptr<VideoWriter> writer_;
};

}  // namespace vit
