#include "apps/detection_records.h"

#include <fmt/format.h>

#include <utility>

#include "vit/models/labels.h"

namespace apps {

namespace {

using detection::FrameResult;
using detection::TrackedDetection;
using Kind = vit::VideoEvent::Kind;

/// Milliseconds since the frame was read.
double lag_of(const vit::VideoEvent& event) { return 1e3 * (vit::steady_seconds() - event.captured_s); }

Record track_of(const TrackedDetection& found) { return found.track >= 0 ? Record(found.track) : Record(nullptr); }

Record gap_of(const vit::VideoEvent& event) {
  return {{"from", event.from_s}, {"to", event.to_s}, {"reason", event.reason}};
}

/// Every row of the CSV has these columns.
Record csv_row(const FrameResult& frame) {
  Record row = {{"source", frame.item.source}};
  for (const char* column : {"frame", "time_s", "width", "height", "label", "index", "score", "x1", "y1", "x2", "y2",
                             "track", "lag_ms", "dropped", "error"})
    row[column] = nullptr;
  if (!frame.is_frame()) return row;
  row["frame"] = frame.item.event.number;
  row["time_s"] = frame.item.event.time_s;
  return row;
}

void write_csv(Output& output, const FrameResult& frame, const vit::ClassLabels& labels) {
  Record row = csv_row(frame);
  if (const std::string& failure = failure_of(frame); !failure.empty()) {
    row["error"] = failure;
    return output.write(row, "");
  }
  const vit::VideoEvent& event = frame.item.event;
  if (event.kind == Kind::gap) {
    row["error"] = fmt::format("gap from {:.3f} s to {:.3f} s: {}", event.from_s, event.to_s, event.reason);
    return output.write(row, "");
  }
  if (!frame.is_frame()) return;
  row["width"] = frame.size.width;
  row["height"] = frame.size.height;
  if (frame.item.live) {
    row["lag_ms"] = lag_of(event);
    row["dropped"] = event.dropped;
  }
  for (const TrackedDetection& found : frame.detections) {
    row["label"] = labels.name(found.detection.index);
    row["index"] = found.detection.index;
    row["score"] = found.detection.score;
    const char* edges[] = {"x1", "y1", "x2", "y2"};
    for (size_t i = 0; i < 4; ++i) row[edges[i]] = found.detection.box[i];
    row["track"] = track_of(found);
    output.write(row, "");
  }
}

/// "  92.31 %  person (0)  [12.0, 30.5, 80.2, 199.0]"
std::string picture_text(const FrameResult& frame, const vit::ClassLabels& labels) {
  std::string text = fmt::format("{}: {} x {}\n", frame.item.source, frame.size.width, frame.size.height);
  for (const TrackedDetection& found : frame.detections) {
    const vit::Corners& box = found.detection.box;
    text += fmt::format("  {:6.2f} %  {} ({})  [{:.1f}, {:.1f}, {:.1f}, {:.1f}]\n", 100.0 * found.detection.score,
                        labels.name(found.detection.index), found.detection.index, box[0], box[1], box[2], box[3]);
  }
  return text + (frame.detections.empty() ? "  nothing\n" : "");
}

/// "film.mp4: frame 12, 0.480 s: #1 person 92 %, dog 51 %"
std::string frame_text(const FrameResult& frame, const vit::ClassLabels& labels) {
  const vit::VideoEvent& event = frame.item.event;
  std::string text = fmt::format("{}: frame {}, {:.3f} s", frame.item.source, event.number, event.time_s);
  if (frame.item.live) text += fmt::format(", {:.0f} ms ago, {} dropped", lag_of(event), event.dropped);
  const char* separator = ": ";
  for (const TrackedDetection& found : frame.detections) {
    text += std::exchange(separator, ", ");
    if (found.track >= 0) text += fmt::format("#{} ", found.track);
    text += fmt::format("{} {:.0f} %", labels.name(found.detection.index), 100.0 * found.detection.score);
  }
  return text + (frame.detections.empty() ? ": nothing\n" : "\n");
}

void write_text(Output& output, const FrameResult& frame, const vit::ClassLabels& labels) {
  const vit::VideoEvent& event = frame.item.event;
  if (const std::string& failure = failure_of(frame); !failure.empty()) {
    const bool of_video = frame.is_frame() && !frame.item.picture();
    print_error(of_video ? fmt::format("{}: frame {}: {}", frame.item.source, event.number, failure)
                         : fmt::format("{}: {}", frame.item.source, failure));
  } else if (event.kind == Kind::gap) {
    output.write({}, fmt::format("{}: gap from {:.3f} s to {:.3f} s: {}\n", frame.item.source, event.from_s, event.to_s,
                                 event.reason));
  } else if (frame.is_frame()) {
    output.write({}, frame.item.picture() ? picture_text(frame, labels) : frame_text(frame, labels));
  }
}

}  // namespace

const std::string& failure_of(const FrameResult& frame) {
  return frame.item.event.kind == Kind::error ? frame.item.event.reason : frame.error;
}

Record detection_record(const FrameResult& frame, const vit::ClassLabels& labels) {
  const vit::VideoEvent& event = frame.item.event;
  Record record = {{"source", frame.item.source}};
  if (event.kind == Kind::gap) {
    record["gap"] = gap_of(event);
    return record;
  }
  const std::string& failure = failure_of(frame);
  if (!frame.is_frame() && failure.empty()) return nullptr;
  if (frame.is_frame() && (failure.empty() || !frame.item.picture())) {
    record["frame"] = event.number;
    record["time_s"] = event.time_s;
  }
  if (!failure.empty()) {
    record["error"] = failure;
    return record;
  }
  record["width"] = frame.size.width;
  record["height"] = frame.size.height;
  Record list = Record::array();
  for (const TrackedDetection& found : frame.detections)
    list.push_back({{"label", labels.name(found.detection.index)},
                    {"index", found.detection.index},
                    {"score", found.detection.score},
                    {"box", found.detection.box},
                    {"track", track_of(found)}});
  record["detections"] = std::move(list);
  if (frame.item.live) {
    record["lag_ms"] = lag_of(event);
    record["dropped"] = event.dropped;
  }
  return record;
}

void write_detections(Output& output, const FrameResult& frame, const vit::ClassLabels& labels) {
  switch (output.format()) {
    case Format::csv:
      return write_csv(output, frame, labels);
    case Format::text:
      return write_text(output, frame, labels);
    case Format::json:
      break;
  }
  const Record record = detection_record(frame, labels);
  if (!record.is_null()) output.write(record, "");
}

}  // namespace apps
