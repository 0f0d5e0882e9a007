// vitkit evaluate: how well objects are followed, by a detector with a tracker on clips, or by whoever wrote a file.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "apps/detect_pictures.h"
#include "apps/evaluate_options.h"
#include "apps/model_facts.h"
#include "apps/progress.h"
#include "apps/track_report.h"
#include "datasets/box_dataset.h"
#include "detection/class_pairs.h"
#include "detection/mot_text.h"
#include "detection/track.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"

namespace apps {

namespace {

namespace fs = std::filesystem;

/// Of generated clips, whose frames have no times.
constexpr double kFrameRate = 30.0;

/// The tracks of a data set, a sequence per clip. Frames count from 1 in each. Errors (usage): pictures that are no
/// frames, objects without tracks.
std::vector<TrackSequence> sequences_of(const datasets::BoxDataset& data, const std::string& where,
                                        const std::set<int64_t>& known) {
  std::vector<TrackSequence> sequences;
  int64_t clip = -1, first = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    if (data.clip(i) < 0)
      vit::fail_usage("data ", where,
                      ": pictures are no frames of clips; tracking is evaluated on clips:SEED:COUNT:FRAMES "
                      "or on MOT Challenge text");
    if (i == 0 || data.clip(i) != clip) {
      clip = data.clip(i);
      first = i;
      sequences.push_back({.name = fmt::format("clip_{}", clip)});
    }
    for (const datasets::BoxAnnotation& object : data.boxes(i)) {
      if (known.count(object.label) == 0) continue;
      if (object.track < 0) vit::fail_usage("data ", where, ": ", data.source(i), ": an object has no track");
      sequences.back().truth.push_back({.frame = i - first + 1,
                                        .track = object.track,
                                        .box = object.box,
                                        .label = object.label,
                                        .ignored = object.crowd || object.difficult});
    }
  }
  return sequences;
}

/// gt.txt of a MOT Challenge folder SEQUENCE/gt/gt.txt, or SEQUENCE.txt; empty: there is none.
fs::path truth_file(const fs::path& folder, const std::string& name) {
  for (const fs::path& path : {folder / name / "gt" / "gt.txt", folder / (name + ".txt")})
    if (std::error_code error; fs::is_regular_file(path, error)) return path;
  return {};
}

/// The data's classes that the model knows.
std::set<int64_t> classes_of_model(const detection::ClassPairs& pairs) {
  std::set<int64_t> known(pairs.of_model.begin(), pairs.of_model.end());
  known.erase(-1);
  return known;
}

/// Sequences of two files, or of two folders with a file per sequence.
std::vector<TrackSequence> sequences_of_files(const std::string& tracks, const std::string& truth) {
  using detection::MotKind;
  std::error_code error;
  const bool folders = fs::is_directory(tracks, error);
  if (folders != fs::is_directory(truth, error))
    vit::fail_usage("--tracks ", tracks, " and --data ", truth, ": expected two files, or two folders");
  if (!folders)
    return {{.name = fs::path(tracks).stem().string(),
             .truth = detection::read_mot(truth, MotKind::truth),
             .found = detection::read_mot(tracks, MotKind::results)}};
  std::map<std::string, fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(tracks))
    if (entry.path().extension() == ".txt") files[entry.path().stem().string()] = entry.path();
  if (files.empty()) vit::fail_usage("--tracks ", tracks, ": there is no .txt file in it");
  std::vector<TrackSequence> sequences;
  for (const auto& [name, file] : files) {
    const fs::path path = truth_file(truth, name);
    if (path.empty())
      vit::fail_usage("--data ", truth, ": there is no ", name, "/gt/gt.txt and no ", name, ".txt for ", file.string());
    sequences.push_back({.name = name,
                         .truth = detection::read_mot(path, MotKind::truth),
                         .found = detection::read_mot(file, MotKind::results)});
  }
  return sequences;
}

/// Adds the tracks of one stream after the other, as their frames come.
class Follower {
 public:
  Follower(TrackEvaluation& evaluation, const datasets::BoxDataset& data, const detection::ClassPairs& pairs,
           const std::string& tracker)
      : evaluation_(evaluation), data_(data), pairs_(pairs), tracker_name_(tracker) {}

  void add(const PictureDetections& frame) {
    if (!tracker_ || data_.clip(frame.index) != clip_) {
      tracker_ = detection::make_tracker(tracker_name_);
      clip_ = data_.clip(frame.index);
      number_ = 0;
      ++sequence_;
    }
    ++number_;
    if (!frame.error.empty()) {
      print_error(fmt::format("{}: {}", data_.source(frame.index), frame.error));
      evaluation_.unreadable.push_back({data_.source(frame.index), frame.error});
    }
    for (const detection::TrackedDetection& object :
         tracker_->update(frame.found, static_cast<double>(number_) / kFrameRate)) {
      const int64_t label = pairs_.of_model.at(static_cast<size_t>(object.detection.index));
      if (object.track < 0 || label < 0) continue;  // the data know no such class: nobody can say what is right
      evaluation_.sequences[sequence_ - 1].found.push_back({.frame = number_,
                                                            .track = object.track,
                                                            .box = object.detection.box,
                                                            .label = label,
                                                            .score = object.detection.score});
    }
  }

 private:
  TrackEvaluation& evaluation_;
  const datasets::BoxDataset& data_;
  const detection::ClassPairs& pairs_;
  std::string tracker_name_;
  std::unique_ptr<detection::Tracker> tracker_;
  int64_t clip_ = -1, number_ = 0;
  size_t sequence_ = 0;
};

}  // namespace

int evaluate_tracks(const EvaluateOptions& options, const CommonOptions& common) {
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  TrackEvaluation evaluation{.about = {{"tracks_file", options.tracks}, {"data", options.data.data}}};
  evaluation.sequences = sequences_of_files(options.tracks, options.data.data);
  report_tracks(evaluation, options.per_class, options.save, common, output);
  return evaluation.unreadable.empty() ? 0 : 1;
}

int evaluate_tracking(const EvaluateOptions& options, const CommonOptions& common) {
  const EvaluationData data = open_evaluation_data(options.data, options.model, EvaluatedLabels::boxes, common);
  const auto boxes = datasets::require_boxes(data.data, data.name);
  const double least = detection::make_tracker(options.tracker)->least_score();
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  const auto detector =
      detection::Detector::load(options.model, {.img_size = options.img_size, .seed = common.seed, .post = {}});
  note_random_weights(common, options.model, detector.trained());
  const detection::ClassPairs pairs = detection::pair_classes(*boxes, detector.labels());
  note_unknown_classes(common, pairs, *boxes);
  TrackEvaluation evaluation{.about = {{"model", options.model}, {"tracker", options.tracker}, {"data", data.name}},
                             .sequences = sequences_of(*boxes, data.name, classes_of_model(pairs)),
                             .options = {.by_class = true}};
  Follower follower(evaluation, *boxes, pairs, options.tracker);
  Progress progress(common, "frames", /*prints_results=*/false, boxes->size());
  const vit::Timer timer;
  detect_pictures(detector, *boxes, options.batch_size, {.threshold = least, .max_det = options.max_det},
                  [&](const PictureDetections& frame) {
                    follower.add(frame);
                    progress.advance();
                  });
  evaluation.seconds = timer.seconds();
  report_tracks(evaluation, options.per_class, options.save, common, output);
  return evaluation.unreadable.empty() ? 0 : 1;
}

}  // namespace apps
