#include "datasets/clips.h"

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "datasets/spec_numbers.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr const char* kPrefix = "clips:";
constexpr int64_t kMaxClips = int64_t{1} << 20;
constexpr int64_t kMaxFrames = 100'000;
/// Clips that are kept planned: more than threads read frames of at once.
constexpr size_t kMaxPlanned = 64;

}  // namespace

/// Clips that were planned last.
struct ClipsDataset::Clips {
  std::mutex mutex;
  std::deque<std::pair<int64_t, std::shared_ptr<const SceneClip>>> recent;
};

ClipsDataset::ClipsDataset(uint64_t seed, int64_t clips, int64_t frames, int64_t side)
    : seed_(seed), clips_(clips), frames_(frames), side_(side), planned_(std::make_unique<Clips>()) {
  const auto require = [](int64_t value, int64_t low, int64_t high, const char* what) {
    if (value < low || value > high) vit::fail_usage("clips: expected ", low, " to ", high, " ", what, ", got ", value);
  };
  require(clips, 1, kMaxClips, "clips");
  require(frames, 1, kMaxFrames, "frames");
  require(side, kMinSceneSide, kMaxSceneSide, "pixels along each side");
}

ClipsDataset::~ClipsDataset() = default;

std::shared_ptr<const SceneClip> ClipsDataset::clip_of(int64_t index) const {
  vit::check(index >= 0 && index < size(), "clips: expected an index from 0 to ", size() - 1, ", got ", index);
  const int64_t number = clip(index);
  const std::lock_guard lock(planned_->mutex);
  for (const auto& [known, clip] : planned_->recent)
    if (known == number) return clip;
  auto clip = std::make_shared<const SceneClip>(seed_, number, frames_, side_);
  planned_->recent.emplace_front(number, clip);
  if (planned_->recent.size() > kMaxPlanned) planned_->recent.pop_back();
  return clip;
}

int64_t ClipsDataset::label(int64_t index) const { return clip_of(index)->label(); }

std::string ClipsDataset::source(int64_t index) const {
  return vit::str(kPrefix, seed_, ":", clip(index), ":", index % frames_, ":", side_);
}

vit::Image ClipsDataset::load(int64_t index) const {
  const Scene frame = clip_of(index)->frame(index % frames_);
  memory_.keep(index, scene_boxes(frame, /*tracks=*/true));
  return frame.image;
}

std::vector<BoxAnnotation> ClipsDataset::boxes(int64_t index) const {
  std::vector<BoxAnnotation> boxes;
  if (memory_.find(index, boxes)) return boxes;
  boxes = scene_boxes(clip_of(index)->frame(index % frames_), /*tracks=*/true);
  memory_.keep(index, boxes);
  return boxes;
}

std::unique_ptr<ClipsDataset> open_clips(const std::string& spec) {
  const std::string prefix = kPrefix;
  const auto numbers = spec.starts_with(prefix) ? spec_numbers(spec.substr(prefix.size())) : std::nullopt;
  if (!numbers || numbers->size() < 3 || numbers->size() > 4)
    vit::fail_usage("'", spec,
                    "': expected clips:SEED:COUNT:FRAMES[:SIDE], such as clips:7:10:100 or clips:7:10:100:256");
  // Numbers beyond 2^63 become negative, which the constructor refuses.
  const auto number = [&](size_t i) { return static_cast<int64_t>((*numbers)[i]); };
  return std::make_unique<ClipsDataset>((*numbers)[0], number(1), number(2),
                                        numbers->size() > 3 ? number(3) : kDefaultSceneSide);
}

}  // namespace datasets
