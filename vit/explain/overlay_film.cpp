#include "vit/explain/overlay_film.h"

#include <utility>

#include "vit/core/check.h"

namespace vit {

OverlayFilm::OverlayFilm(std::string path, const VideoWriterOptions& options)
    : path_(std::move(path)), options_(options) {}

OverlayFilm::~OverlayFilm() = default;

void OverlayFilm::add(const Image& frame, const Tensor& map, const std::optional<CellWindow>& window,
                      const OverlayOptions& options) {
  const Image drawn = draw_overlay(frame, map, window, options);
  if (!writer_ || size_ == Extent{drawn.height(), drawn.width()}) return add(drawn);
  Canvas canvas(size_.height, size_.width, kWhite);
  canvas.blit(drawn, 0, 0);
  add(canvas.image());
}

void OverlayFilm::add(const Image& picture) {
  if (!writer_) {
    check(picture.defined(), path_, ": there is no picture");
    size_ = {picture.height(), picture.width()};
    writer_ = std::make_unique<VideoWriter>(path_, size_, options_);
  }
  writer_->write(picture);
}

void OverlayFilm::finish() {
  if (writer_) writer_->finish();
}

}  // namespace vit
