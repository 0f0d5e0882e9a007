#include "apps/scene_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "detection/mot_text.h"
#include "vit/core/check.h"
#include "vit/image/encode.h"
#include "vit/image/strip.h"
#include "vit/media/video.h"

namespace apps {

namespace fs = std::filesystem;

namespace {

vit::Extent size_of(const vit::Image& image) { return {image.height(), image.width()}; }

}  // namespace

SceneFiles::SceneFiles(fs::path folder, bool coco, bool video) : folder_(std::move(folder)), video_(video) {
  if (coco) coco_.emplace(datasets::scene_class_names());
}

fs::path SceneFiles::make_folder(const fs::path& relative) const {
  const fs::path folder = folder_ / relative;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) vit::fail(folder.string(), ": cannot be made: ", error.message());
  return folder;
}

std::string SceneFiles::add_scene(int64_t number, const datasets::Scene& scene) {
  const fs::path kind = name_of(scene.objects.front().kind);
  const fs::path name = fmt::format("{:06d}.png", number), file = make_folder(kind) / name;
  vit::save_image(file, scene.image);
  if (coco_) coco_->add((kind / name).string(), size_of(scene.image), datasets::scene_boxes(scene));
  return file.string();
}

ClipFiles SceneFiles::add_clip(int64_t number, const datasets::SceneClip& clip, const std::function<void()>& advance) {
  const fs::path name = fmt::format("clip_{:06d}", number), frames = name / "img1";
  const fs::path folder = make_folder(frames), truth = make_folder(name / "gt") / "gt.txt";
  std::vector<detection::TrackBox> tracks;
  std::set<int64_t> seen;
  const std::string film = video_ ? (folder_ / (name.string() + ".mp4")).string() : std::string();
  std::optional<vit::VideoWriter> writer;
  if (video_) writer.emplace(film, vit::Extent{clip.side(), clip.side()});
  for (int64_t i = 0; i < clip.frames(); ++i) {
    const datasets::Scene frame = clip.frame(i);
    const std::string file = fmt::format("{:06d}.png", i + 1);
    vit::save_image(folder / file, frame.image);
    if (writer) writer->write(frame.image);
    const std::vector<datasets::BoxAnnotation> boxes = datasets::scene_boxes(frame, /*tracks=*/true);
    for (const datasets::BoxAnnotation& box : boxes) {
      // Tracks count from 1 there.
      tracks.push_back(
          {.frame = i + 1, .track = box.track + 1, .box = box.box, .label = box.label, .ignored = box.difficult});
      seen.insert(box.track);
    }
    if (coco_) coco_->add((frames / file).string(), size_of(frame.image), boxes);
    advance();
  }
  detection::write_mot(truth, tracks, detection::MotKind::truth);
  if (writer) writer->finish();
  return {folder.string(), truth.string(), film, static_cast<int64_t>(seen.size())};
}

std::string SceneFiles::add_action(int64_t number, const datasets::ActionClip& clip, int64_t frames) const {
  std::string kind = datasets::action_names()[static_cast<size_t>(clip.action)];
  std::replace(kind.begin(), kind.end(), ' ', '_');
  const std::string film = (make_folder(kind) / fmt::format("{:06d}.avi", number)).string();
  const int64_t side = clip.strip.width();
  vit::VideoWriter writer(film, {side, side}, {.frame_rate = 10.0});
  for (int64_t t = 0; t < frames; ++t) writer.write(vit::strip_frame(clip.strip, frames, t));
  writer.finish();
  return film;
}

void SceneFiles::finish() const {
  if (coco_) coco_->write(folder_ / "_annotations.coco.json");
}

}  // namespace apps
