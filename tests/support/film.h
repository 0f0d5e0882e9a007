// Films for tests: frames that say which one they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vit/image/image.h"
#include "vit/media/video.h"

namespace vit::test {

/// A frame whose upper left corner carries `number` (0 to 4095) as black and white blocks that survive any codec.
Image numbered_frame(int64_t number, int64_t height = 48, int64_t width = 64);
/// The number of such a frame, scaled or not; -1: none can be read.
int64_t number_of(const Image& frame);

/// Writes `frames` numbered frames. Returns the path.
std::string write_film(const std::filesystem::path& path, int64_t frames, double frame_rate = 25.0, int64_t height = 48,
                       int64_t width = 64);

/// Everything that a source gives, until its end or error.
std::vector<VideoEvent> read_all(VideoReader& reader);
std::vector<VideoEvent> read_all(const std::string& source, const VideoOptions& options = {});
/// The numbers of the frames among events.
std::vector<int64_t> numbers_of(const std::vector<VideoEvent>& events);

}  // namespace vit::test
