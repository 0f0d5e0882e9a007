#include "detection/mot_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace detection {

namespace {

constexpr size_t kMaxLine = 4096;
constexpr const char* kSeparators = ", \t\r;";
/// Larger numbers of frames, tracks and classes are taken for damage.
constexpr double kMaxNumber = 1e15;

class Line {
 public:
  Line(std::string place, std::string_view text) : place_(std::move(place)) {
    if (text.size() > kMaxLine) vit::fail_usage(place_, ": longer than ", kMaxLine, " bytes: not a file of tracks");
    for (size_t at = text.find_first_not_of(kSeparators); at != std::string_view::npos;) {
      const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
      numbers_.push_back(number(text.substr(at, end - at)));
      at = text.find_first_not_of(kSeparators, end);
    }
    if (numbers_.size() < 6)
      vit::fail_usage(place_, ": ", numbers_.size(),
                      " numbers, expected at least 6: frame, track, left, top, width, height");
  }

  TrackBox box(MotKind kind) const {
    const double width = numbers_[4], height = numbers_[5];
    if (width <= 0.0 || height <= 0.0)
      vit::fail_usage(place_, ": a box of ", width, " x ", height, " pixels, expected more than zero");
    TrackBox box{.frame = whole(0, "frame"), .track = whole(1, "track")};
    box.box = {numbers_[2], numbers_[3], numbers_[2] + width, numbers_[3] + height};
    if (kind == MotKind::results) {
      if (numbers_.size() > 6) box.score = numbers_[6];
      return box;
    }
    box.ignored = numbers_.size() > 6 && numbers_[6] == 0.0;
    if (numbers_.size() > 7) box.label = whole(7, "class");
    return box;
  }

 private:
  double number(std::string_view text) const {
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
      vit::fail_usage(place_, ": '", text.substr(0, 40), "' is not a finite number");
    return value;
  }

  /// "3.0" is in use.
  int64_t whole(size_t column, const char* what) const {
    const double value = numbers_[column];
    if (std::trunc(value) != value || std::abs(value) > kMaxNumber)
      vit::fail_usage(place_, ": the ", what, " is ", value, ", expected a whole number");
    return static_cast<int64_t>(value);
  }

  std::string place_;
  std::vector<double> numbers_;
};

}  // namespace

std::vector<TrackBox> read_mot(const std::filesystem::path& path, MotKind kind) {
  std::error_code error;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, error))
    vit::fail_usage(path.string(), ": cannot be read, expected a text file with a line per box");
  std::vector<TrackBox> boxes;
  std::string text;
  for (int64_t number = 1; std::getline(file, text); ++number) {
    const size_t first = text.find_first_not_of(kSeparators);
    if (first == std::string::npos || text[first] == '#') continue;
    boxes.push_back(Line(vit::str(path.string(), ":", number), text).box(kind));
  }
  return boxes;
}

void write_mot(const std::filesystem::path& path, const std::vector<TrackBox>& boxes, MotKind kind) {
  vit::write_file_atomically(path, [&](vit::AtomicFile& file) {
    for (const TrackBox& b : boxes) {
      const double width = b.box[2] - b.box[0], height = b.box[3] - b.box[1];
      file.write(fmt::format("{},{},{},{},{},{},", b.frame, b.track, b.box[0], b.box[1], width, height));
      file.write(kind == MotKind::truth ? fmt::format("{},{},1\n", b.ignored ? 0 : 1, b.label)
                                        : fmt::format("{},-1,-1,-1\n", b.score));
    }
  });
}

}  // namespace detection
