// vitkit evaluate: how well objects are followed, by a detector with a tracker on clips, or by whoever wrote a file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include "apps/detect_pictures.h"
#include "apps/evaluate_options.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "datasets/box_dataset.h"
#include "detection/class_pairs.h"
#include "detection/mot_text.h"
#include "detection/track.h"
#include "detection/track_eval.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/timer.h"

namespace apps {

namespace {

namespace fs = std::filesystem;

/// Of generated clips, whose frames have no times.
constexpr double kFrameRate = 30.0;

/// One sequence with what was found in it.
struct Sequence {
  std::string name;
  std::vector<detection::TrackBox> truth{}, found{};
};

struct TrackEvaluation {
  Record about;  ///< what was evaluated: the first fields of the summary
  std::vector<Sequence> sequences{};
  detection::TrackEvalOptions options{};
  std::vector<Unreadable> unreadable{};
  double seconds = 0.0;
};

Record number(double value) { return std::isfinite(value) ? Record(value) : Record(nullptr); }
std::string percent(double value) { return std::isfinite(value) ? fmt::format("{:.2f} %", 100.0 * value) : "-"; }

/// The figures and counts of one sequence, or of all.
void add_figures(Record& record, const detection::TrackCounts& counts) {
  for (const auto& [name, value] : detection::figures_of(counts).figures()) record[name] = number(value);
  record["id_switches"] = counts.id_switches;
  record["fragments"] = counts.fragments;
  record["misses"] = counts.misses;
  record["false_positives"] = counts.false_positives;
  record["frames"] = counts.frames;
  record["objects"] = counts.objects;
  record["found"] = counts.detections;
  record["tracks"] = counts.tracks;
  record["found_tracks"] = counts.found_tracks;
  record["mostly_tracked"] = counts.mostly_tracked;
  record["mostly_lost"] = counts.mostly_lost;
}

std::string text_of(const detection::TrackCounts& counts) {
  const detection::TrackFigures f = detection::figures_of(counts);
  return fmt::format(
      "MOTA {}   IDF1 {}   HOTA {}   (DetA {}   AssA {}   LocA {}   MOTP {})\n"
      "{} switches, {} fragments, {} misses, {} false, of {} boxes in {} frames; {} of {} tracks mostly followed, {} "
      "mostly lost",
      percent(f.mota), percent(f.idf1), percent(f.hota), percent(f.deta), percent(f.assa), percent(f.loca),
      percent(f.motp), counts.id_switches, counts.fragments, counts.misses, counts.false_positives, counts.objects,
      counts.frames, counts.mostly_tracked, counts.tracks, counts.mostly_lost);
}

std::string table_of(const std::vector<Record>& records, int64_t limit) {
  const auto cell = [](const Record& value) { return value.is_null() ? "-" : percent(value.get<double>()); };
  std::string text = fmt::format("{:<24}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}\n", "sequence", "MOTA", "IDF1", "HOTA",
                                 "switches", "objects");
  const size_t shown = limit > 0 ? std::min(records.size(), static_cast<size_t>(limit)) : records.size();
  for (size_t i = 0; i < shown; ++i)
    text += fmt::format("{:<24.24}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}\n", records[i]["sequence"].get<std::string>(),
                        cell(records[i]["mota"]), cell(records[i]["idf1"]), cell(records[i]["hota"]),
                        records[i]["id_switches"].get<int64_t>(), records[i]["objects"].get<int64_t>());
  if (shown < records.size())
    text += fmt::format("({} of {} sequences; --per-class shows all)\n", shown, records.size());
  return text;
}

int finish(TrackEvaluation& evaluation, const EvaluateOptions& options, const CommonOptions& common, Output& output) {
  detection::TrackCounts all;
  std::vector<Record> records;
  for (const Sequence& sequence : evaluation.sequences) {
    const detection::TrackCounts counts = detection::count_tracks(sequence.truth, sequence.found, evaluation.options);
    records.push_back({{"sequence", sequence.name}});
    add_figures(records.back(), counts);
    all += counts;
  }
  Record summary = evaluation.about;
  summary["sequences"] = evaluation.sequences.size();
  summary["errors"] = evaluation.unreadable.size();
  add_figures(summary, all);
  if (evaluation.seconds > 0.0) summary["frames_per_s"] = static_cast<double>(all.frames) / evaluation.seconds;
  print_figures(output, common, options.per_class,
                {.summary = summary, .text = text_of(all), .classes = records, .table = [&](int64_t limit) {
                   return table_of(records, limit);
                 }});
  output.finish();
  if (!options.save.empty()) {
    const fs::path folder(options.save);
    vit::write_file_atomically(folder / "per_sequence.csv", csv_of(records));
    for (const Sequence& sequence : evaluation.sequences)
      detection::write_mot(folder / (sequence.name + ".txt"), sequence.found, detection::MotKind::results);
    summary["per_sequence"] = records;
    summary["unreadable"] = unreadable_records(evaluation.unreadable);
    write_report(folder, summary);
    note(common, "report, table and tracks are in {}", options.save);
  }
  return evaluation.unreadable.empty() ? 0 : 1;
}

/// The tracks of a data set, a sequence per clip. Frames count from 1 in each. Errors (usage): pictures that are no
/// frames, objects without tracks.
std::vector<Sequence> sequences_of(const datasets::BoxDataset& data, const std::string& where) {
  std::vector<Sequence> sequences;
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

/// Sequences of two files, or of two folders with a file per sequence.
std::vector<Sequence> sequences_of_files(const std::string& tracks, const std::string& truth) {
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
  std::vector<Sequence> sequences;
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
      if (object.track < 0) continue;
      evaluation_.sequences[sequence_ - 1].found.push_back(
          {.frame = number_,
           .track = object.track,
           .box = object.detection.box,
           .label = pairs_.of_model.at(static_cast<size_t>(object.detection.index)),
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
  return finish(evaluation, options, common, output);
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
  TrackEvaluation evaluation{.about = {{"model", options.model}, {"tracker", options.tracker}, {"data", data.name}},
                             .sequences = sequences_of(*boxes, data.name),
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
  return finish(evaluation, options, common, output);
}

}  // namespace apps
