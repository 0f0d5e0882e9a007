#include "apps/track_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "detection/mot_text.h"
#include "vit/core/file.h"

namespace apps {

namespace {

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

}  // namespace

void report_tracks(const TrackEvaluation& evaluation, bool per_sequence, const std::string& save,
                   const CommonOptions& common, Output& output) {
  detection::TrackCounts all;
  std::vector<Record> records;
  for (const TrackSequence& sequence : evaluation.sequences) {
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
  print_figures(output, common, per_sequence,
                {.summary = summary, .text = text_of(all), .classes = records, .table = [&](int64_t limit) {
                   return table_of(records, limit);
                 }});
  output.finish();
  if (save.empty()) return;
  const std::filesystem::path folder(save);
  vit::write_file_atomically(folder / "per_sequence.csv", csv_of(records));
  for (const TrackSequence& sequence : evaluation.sequences)
    detection::write_mot(folder / (sequence.name + ".txt"), sequence.found, detection::MotKind::results);
  summary["per_sequence"] = records;
  summary["unreadable"] = unreadable_records(evaluation.unreadable);
  write_report(folder, summary);
  note(common, "report, table and tracks are in {}", save);
}

}  // namespace apps
