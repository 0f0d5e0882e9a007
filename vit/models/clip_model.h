// ClipModel: an image model whose picture is a strip, the frames of a clip beneath one another
// (docs/video_attention.md). (Not to be confused with CLIP, which is a model of pictures and sentences.)
#pragma once

#include <array>
#include <cstdint>

#include "vit/core/check.h"
#include "vit/models/model.h"

namespace vit {

class ClipModel : public ImageModel {
 public:
  /// T: frames of a clip. ModelInfo::input_size is that of the strip, T * frame height by frame width; forward takes
  /// [B, channels, T * frame height, frame width].
  virtual int64_t frames() const = 0;

  /// Height and width of a frame.
  std::array<int64_t, 2> frame_size() const { return {info_.input_size[0] / frames(), info_.input_size[1]}; }

  /// Builds for other frames. `height` and `width` are those of a strip; where they are equal they are those of a
  /// frame, since no clip of several frames makes a square. Errors (usage): a height that is no multiple of T.
  void set_input_size(int64_t height, int64_t width) final {
    const bool is_frame = height == width;
    if (!is_frame && height % frames() != 0)
      fail_usage(info_.name, ": the input is ", frames(), " frames beneath one another; ", height,
                 " rows are no multiple of that");
    set_frame_size(is_frame ? height : height / frames(), width);
  }

 protected:
  /// Errors (usage): the model cannot take frames of that size.
  virtual void set_frame_size(int64_t height, int64_t width) = 0;
};

}  // namespace vit
