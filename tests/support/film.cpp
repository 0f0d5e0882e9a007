#include "tests/support/film.h"

#include <algorithm>
#include <cstring>

namespace vit::test {

namespace {

constexpr int64_t kColumns = 4, kRows = 3;  // 12 bits

/// The middle of block `bit`, in halves of a block.
int64_t middle(int64_t index, int64_t extent, int64_t blocks) { return (2 * index + 1) * extent / (2 * blocks); }

}  // namespace

Image numbered_frame(int64_t number, int64_t height, int64_t width) {
  Image frame(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const int64_t bit = y * kRows / height * kColumns + x * kColumns / width;
      std::memset(frame.row(y) + 3 * x, (number >> bit & 1) != 0 ? 220 : 30, 3);
    }
  return frame;
}

int64_t number_of(const Image& frame) {
  int64_t number = 0;
  for (int64_t bit = 0; bit < kRows * kColumns; ++bit) {
    const uint8_t* pixel =
        frame.row(middle(bit / kColumns, frame.height(), kRows)) + 3 * middle(bit % kColumns, frame.width(), kColumns);
    if (pixel[1] > 90 && pixel[1] < 160) return -1;
    number |= int64_t{pixel[1] >= 160} << bit;
  }
  return number;
}

std::string write_film(const std::filesystem::path& path, int64_t frames, double frame_rate, int64_t height,
                       int64_t width) {
  VideoWriter writer(path.string(), {height, width}, {.frame_rate = frame_rate});
  for (int64_t number = 0; number < frames; ++number) writer.write(numbered_frame(number, height, width));
  writer.finish();
  return path.string();
}

std::vector<VideoEvent> read_all(VideoReader& reader) {
  std::vector<VideoEvent> events;
  do events.push_back(reader.next());
  while (events.back().kind != VideoEvent::Kind::end && events.back().kind != VideoEvent::Kind::error);
  return events;
}

std::vector<VideoEvent> read_all(const std::string& source, const VideoOptions& options) {
  VideoReader reader(source, options);
  return read_all(reader);
}

std::vector<int64_t> numbers_of(const std::vector<VideoEvent>& events) {
  std::vector<int64_t> numbers;
  for (const VideoEvent& event : events)
    if (event.kind == VideoEvent::Kind::frame) numbers.push_back(number_of(event.image));
  return numbers;
}

}  // namespace vit::test
