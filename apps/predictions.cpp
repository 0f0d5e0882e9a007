#include "apps/predictions.h"

#include <fmt/format.h>

#include "apps/frame_pictures.h"
#include "apps/output.h"

namespace apps {

namespace {

/// Every row of the CSV has these columns.
Record row(const std::string& source, const FramePlace* frame) {
  Record row = {{"source", source}};
  for (const char* column : {"rank", "index", "label", "score", "error", "frame", "time_s"}) row[column] = nullptr;
  if (!frame) return row;
  row["frame"] = frame->number;
  row["time_s"] = frame->time_s;
  return row;
}

Record record(const std::string& source, const FramePlace* frame) {
  Record record = {{"source", source}};
  if (!frame) return record;
  record["frame"] = frame->number;
  record["time_s"] = frame->time_s;
  return record;
}

std::string heading(const std::string& source, const FramePlace* frame) {
  return frame ? fmt::format("{}: frame {}, {:.3f} s", source, frame->number, frame->time_s) : source;
}

/// The answer about one source; `result` is the JSON record without it.
void write_ranked(Output& output, const std::string& source, const FramePlace* frame, Record result,
                  const std::vector<vit::Prediction>& predictions) {
  Record list = Record::array();
  std::string text = heading(source, frame) + "\n";
  int rank = 0;
  for (const vit::Prediction& prediction : predictions) {
    ++rank;
    if (output.format() == Format::csv) {
      Record line = row(source, frame);
      line["rank"] = rank;
      line["index"] = prediction.index;
      line["label"] = prediction.label;
      line["score"] = prediction.score;
      output.write(line, "");
    }
    list.push_back({{"label", prediction.label}, {"index", prediction.index}, {"score", prediction.score}});
    text += fmt::format("  {:6.2f} %  {} ({})\n", 100.0 * prediction.score, prediction.label, prediction.index);
  }
  if (output.format() == Format::csv) return;
  result["predictions"] = std::move(list);
  output.write(result, text);
}

}  // namespace

void write_error(Output& output, const std::string& source, const FramePlace* frame, const std::string& error) {
  if (output.format() == Format::text) return print_error(fmt::format("{}: {}", heading(source, frame), error));
  Record result = output.format() == Format::csv ? row(source, frame) : record(source, frame);
  result["error"] = error;
  output.write(result, "");
}

void write_gap(Output& output, const std::string& source, const vit::VideoEvent& gap) {
  const std::string text = fmt::format("gap from {:.3f} s to {:.3f} s: {}", gap.from_s, gap.to_s, gap.reason);
  if (output.format() != Format::json) return write_error(output, source, nullptr, text);
  output.write({{"source", source}, {"gap", {{"from", gap.from_s}, {"to", gap.to_s}, {"reason", gap.reason}}}}, "");
}

void write_predictions(Output& output, const std::string& source, const FramePlace* frame,
                       const std::vector<vit::Prediction>& predictions) {
  write_ranked(output, source, frame, record(source, frame), predictions);
}

void write_film_predictions(Output& output, const std::string& source, const vit::FilmClip& clip,
                            const std::vector<vit::Prediction>& predictions) {
  write_ranked(output, source, nullptr, {{"source", source}, {"frames", clip.numbers}, {"times_s", clip.times_s}},
               predictions);
}

}  // namespace apps
