#include "apps/detection_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "detection/detector.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"
#include "vit/media/source.h"
#include "vit/media/video.h"
#include "vit/models/labels.h"

namespace apps {

namespace fs = std::filesystem;

namespace {

using detection::FrameResult;
using Kind = vit::VideoEvent::Kind;

constexpr int kJpegQuality = 92;

std::string lower_ending(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool is_jpeg(const std::string& source) {
  const std::string ending = lower_ending(source);
  return ending == ".jpg" || ending == ".jpeg";
}

/// The ending of a film made from a source: its own where that is written and holds what it is read for.
std::string film_ending(const std::string& source) {
  const std::string ending = lower_ending(source);
  return ending == ".avi" || ending == ".mkv" || ending == ".mov" ? ending : ".mp4";
}

/// Whether what is made from `source`, under its name, would lie where it lies itself.
bool lies_in(const fs::path& folder, const std::string& source) {
  if (vit::is_live_source(source)) return false;
  std::error_code error;
  const fs::path path(source), parent = path.parent_path();
  const fs::path home = fs::is_directory(path, error) ? path : parent.empty() ? fs::path(".") : parent;
  return fs::equivalent(home, folder, error);
}

/// The part of a picture that a box covers, rounded outwards; undefined where there is none.
vit::Image crop_of(const vit::Image& picture, const vit::Corners& box) {
  const auto height = static_cast<double>(picture.height()), width = static_cast<double>(picture.width());
  const vit::Corners inside = vit::clip_box(box, width, height);
  if (!(vit::box_area(inside) > 0.0)) return {};
  const auto x0 = static_cast<int64_t>(std::floor(inside[0])), y0 = static_cast<int64_t>(std::floor(inside[1]));
  const auto x1 = static_cast<int64_t>(std::ceil(inside[2])), y1 = static_cast<int64_t>(std::ceil(inside[3]));
  vit::Image crop(y1 - y0, x1 - x0);
  for (int64_t y = y0; y < y1; ++y)
    std::memcpy(crop.row(y - y0), picture.row(y) + 3 * x0, static_cast<size_t>(3 * (x1 - x0)));
  return crop;
}

/// YOLO's rows: clipped to the picture, as their readers ask for.
std::string label_rows(const FrameResult& frame) {
  std::string rows;
  const auto height = static_cast<double>(frame.size.height), width = static_cast<double>(frame.size.width);
  for (const detection::TrackedDetection& found : frame.detections) {
    const vit::Corners inside = vit::clip_box(found.detection.box, width, height);
    if (!(vit::box_area(inside) > 0.0)) continue;
    const vit::CenterBox box = vit::to_center(inside);
    rows += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", found.detection.index, box[0] / width, box[1] / height,
                        box[2] / width, box[3] / height);
  }
  return rows;
}

}  // namespace

/// A video's annotated film: opened with its first frame.
class DetectionFiles::Film {
 public:
  explicit Film(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool broken() const { return broken_; }
  void set_broken() { broken_ = true; }

  /// Errors: as VideoWriter.
  void add(const FrameResult& frame, const DetectionFileOptions& options) {
    if (!writer_) open(frame, options);
    const double time_s = frame.item.event.time_s;
    if (frame.item.live) keep_pace(time_s);
    const bool early = frame.item.live && is_early(time_s);
    if (frame.item.live) last_ = frame.rendering.picture;
    if (early) return;
    writer_->write(frame.rendering.picture);
    ++written_;
  }

  /// The source was away: the film goes on from here.
  void skip(double from_s, double to_s) { away_s_ += std::max(0.0, to_s - from_s); }

  void finish() {
    if (writer_) writer_->finish();
  }

 private:
  void open(const FrameResult& frame, const DetectionFileOptions& options) {
    constexpr double kUsualRate = 25.0, kMostLive = 30.0;
    const double rate = frame.item.info.frame_rate > 0.0 ? frame.item.info.frame_rate : kUsualRate;
    rate_ = frame.item.live ? std::min(rate, kMostLive) : rate / static_cast<double>(options.stride);
    begin_s_ = frame.item.event.time_s;
    const fs::path path = fs::path(options.folder) / (name_ + film_ending(frame.item.source));
    writer_ = std::make_unique<vit::VideoWriter>(path.string(), frame.size, vit::VideoWriterOptions{rate_, {}});
  }

  /// Seconds by which the film is shorter than what was seen up to a time.
  double behind(double time_s) const { return (time_s - begin_s_ - away_s_) - static_cast<double>(written_) / rate_; }
  /// Shows the last picture until the next one's time.
  void keep_pace(double time_s) {
    constexpr double kLongestStill = 10.0;  // a clock that jumps fills no disk
    away_s_ += std::max(0.0, behind(time_s) - kLongestStill);
    for (; last_.defined() && behind(time_s) * rate_ >= 0.5; ++written_) writer_->write(last_);
  }
  /// Whether a picture came sooner than half a film frame before its turn, and is left out.
  bool is_early(double time_s) const { return last_.defined() && behind(time_s) * rate_ < -0.5; }

  std::string name_;
  std::unique_ptr<vit::VideoWriter> writer_;
  double rate_ = 0.0, begin_s_ = 0.0, away_s_ = 0.0;
  vit::Image last_;  // of a live source
  int64_t written_ = 0;
  bool broken_ = false;
};

DetectionFiles::DetectionFiles(const DetectionFileOptions& options, const vit::ClassLabels& labels,
                               std::function<void(const std::string&)> failed)
    : options_(options), labels_(labels), failed_(std::move(failed)) {
  for (const std::string& folder : {options_.folder, options_.attention})
    if (!folder.empty()) make_folder(folder);
  if (options_.txt) make_folder(fs::path(options_.folder) / "labels");
}

DetectionFiles::~DetectionFiles() = default;

bool DetectionFiles::attempt(const std::function<void()>& work) { return attempted(work, failed_); }

void DetectionFiles::encode(FrameResult& frame) const {
  if (!draws()) return;
  detection::Rendering& rendering = frame.rendering;
  const bool picture = frame.item.picture();
  if (picture)
    rendering.encoded = is_jpeg(frame.item.source) ? vit::encode_jpeg(rendering.picture, kJpegQuality)
                                                   : vit::encode_png(rendering.picture);
  else if (options_.frames)
    rendering.encoded = vit::encode_jpeg(rendering.picture, kJpegQuality);
  if (!options_.crops) return;
  for (const detection::TrackedDetection& found : frame.detections) {
    const vit::Image crop = crop_of(frame.item.event.image, found.detection.box);
    rendering.crops.push_back(crop.defined() ? vit::encode_jpeg(crop, kJpegQuality) : std::string());
  }
}

void DetectionFiles::encode_attention(FrameResult& frame, const detection::Detector& detector) const {
  const vit::Image& picture = frame.item.event.image;
  std::vector<detection::Detection> detections;
  for (const detection::TrackedDetection& found : frame.detections) detections.push_back(found.detection);
  if (detections.empty()) return;
  const auto maps = detection::attention_maps(detector, picture, detections, options_.looks);
  for (size_t i = 0; i < maps.size(); ++i)
    frame.rendering.looks.push_back(
        vit::encode_jpeg(detection::draw_attention(picture, maps[i], detections[i], labels_), kJpegQuality));
}

void DetectionFiles::write(const FrameResult& frame) {
  if (!enabled()) return;
  const vit::VideoEvent& event = frame.item.event;
  const auto film = films_.find(frame.item.stream);
  if (event.kind == Kind::gap && film != films_.end()) film->second->skip(event.from_s, event.to_s);
  if (event.kind == Kind::end || event.kind == Kind::error) end_film(frame.item.stream);
  if (!frame.is_frame() || !frame.error.empty() || is_own_folder(frame)) return;
  frame.item.picture() ? write_picture(frame) : write_frame(frame);
}

bool DetectionFiles::is_own_folder(const FrameResult& frame) {
  if (!draws() || !lies_in(options_.folder, frame.item.source)) return false;
  if (frame.item.event.number == 0)
    failed_(vit::str(frame.item.source, ": nothing of it is saved, for it lies in --save's folder ", options_.folder,
                     " itself and would be overwritten; give another folder"));
  return true;
}

void require_other_folder(const std::string& folder, const std::vector<std::string>& sources) {
  for (const std::string& source : sources)
    if (lies_in(folder, source))
      vit::fail_usage("--save ", folder, ": ", source,
                      " lies in that folder itself and would be overwritten; give another folder");
}

void DetectionFiles::write_picture(const FrameResult& frame) {
  const std::string name = names_.take(frame.item.source);
  const std::string ending = is_jpeg(frame.item.source) ? fs::path(frame.item.source).extension().string() : ".png";
  if (!frame.rendering.encoded.empty())
    attempt([&] { vit::write_file_atomically(fs::path(options_.folder) / (name + ending), frame.rendering.encoded); });
  write_objects(frame, name);
}

void DetectionFiles::write_frame(const FrameResult& frame) {
  std::unique_ptr<Film>& film = films_[frame.item.stream];
  if (!film) film = std::make_unique<Film>(names_.take(frame.item.source));
  if (frame.rendering.picture.defined() && !film->broken() && !attempt([&] { film->add(frame, options_); }))
    film->set_broken();
  const std::string number = fmt::format("{:06}", frame.item.event.number);
  if (options_.frames && !frame.rendering.encoded.empty())
    attempt([&] {
      const fs::path folder = fs::path(options_.folder) / film->name();
      make_folder(folder);
      vit::write_file_atomically(folder / (number + ".jpg"), frame.rendering.encoded);
    });
  write_objects(frame, film->name() + "_" + number);
}

void DetectionFiles::write_objects(const FrameResult& frame, const std::string& name) {
  const fs::path folder = options_.folder;
  if (options_.txt)
    attempt([&] { vit::write_file_atomically(folder / "labels" / (name + ".txt"), label_rows(frame)); });
  write_crops(frame, name);
  for (size_t i = 0; i < frame.rendering.looks.size(); ++i)
    attempt([&] {
      vit::write_file_atomically(fs::path(options_.attention) / fmt::format("{}_{}.jpg", name, i + 1),
                                 frame.rendering.looks[i]);
    });
}

void DetectionFiles::write_crops(const FrameResult& frame, const std::string& name) {
  for (size_t i = 0; i < frame.rendering.crops.size(); ++i) {
    if (frame.rendering.crops[i].empty()) continue;
    attempt([&] {
      const int64_t index = frame.detections[i].detection.index;
      const fs::path of_class =
          fs::path(options_.folder) / "crops" / as_file_name(labels_.name(index), fmt::format("class_{}", index));
      make_folder(of_class);
      vit::write_file_atomically(of_class / fmt::format("{}_{}.jpg", name, i + 1), frame.rendering.crops[i]);
    });
  }
}

void DetectionFiles::end_film(int64_t stream) {
  const auto found = films_.find(stream);
  if (found == films_.end()) return;
  const std::unique_ptr<Film> film = std::move(found->second);
  films_.erase(found);
  if (!film->broken()) attempt([&] { film->finish(); });
}

void DetectionFiles::finish() {
  while (!films_.empty()) end_film(films_.begin()->first);
}

}  // namespace apps
