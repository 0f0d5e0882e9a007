// Which frames of a clip an answer rests on: any method's map over the strip (docs/video_attention.md), summed frame by
// frame, and a picture of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/explain/method.h"
#include "vit/image/image.h"

namespace vit {

/// The share of each of `frames` frames in a map over a strip, f32 [rows, columns]: what lies in its rows, values below
/// 0 counting as none. A row that two frames share is divided between them. They sum to 1; where nothing is above 0
/// all are alike. Errors: not f32 [rows, columns]; frames below 1.
std::vector<double> frame_shares(const Tensor& map, int64_t frames);

/// How an answer about a clip rests on its frames.
struct FrameImportance {
  std::vector<double> shares{};  ///< [T], frame_shares() of the map
  Explanation explanation{};     ///< the map over the strip
};

/// clip [1, channels, T * height, width]. Errors (usage): as explain; the subject's model is none of clips.
FrameImportance frame_importance(const Subject& subject, const Tensor& clip,
                                 const std::string& method = "frame_occlusion", const MethodOptions& options = {});

/// T of the subject's model, or 0 where it sees pictures.
int64_t frames_of(const Subject& subject);

struct FilmStripOptions {
  std::string title{};               ///< "moves left 97.2 %: frame occlusion"; ASCII, as all text
  std::vector<std::string> names{};  ///< below each frame, [T]: "0.4 s"; empty: numbers from 0
  std::vector<std::string> lines{};  ///< below all
  std::vector<bool> marked{};        ///< [T]: frames with a line above them, such as those of a known event
  int64_t side = 96;                 ///< of a frame's longer side, in pixels, 24 to 512
  int64_t columns = 8;               ///< frames beside one another
};

/// The frames of a strip beside one another; under each the map's colours on it, one scale for all, and a bar as high
/// as its share. Errors: an undefined strip, rows that are no T frames, names or marks of another number, a side or
/// columns out of range.
Image draw_film_strip(const Image& strip, const FrameImportance& importance, const FilmStripOptions& options = {});

}  // namespace vit
