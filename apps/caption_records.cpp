#include "apps/caption_records.h"

#include <fmt/format.h>

#include <utility>

namespace apps {

namespace {

using captioning::Caption;

Record fields_of(const Caption& caption) {
  return {{"caption", caption.text}, {"ids", caption.ids}, {"score", caption.score}};
}

void write_csv(Output& output, const CaptionedItem& one) {
  Record row = {{"source", one.item.source}};
  for (const char* column : {"frame", "time_s", "rank", "caption", "score", "ids", "error"}) row[column] = nullptr;
  if (!one.item.picture()) {
    row["frame"] = one.item.event.number;
    row["time_s"] = one.item.event.time_s;
  }
  if (!one.error.empty()) {
    row["error"] = one.error;
    return output.write(row, "");
  }
  int64_t rank = 0;
  for (const Caption& caption : one.captions) {
    row["rank"] = ++rank;
    row["caption"] = caption.text;
    row["score"] = caption.score;
    row["ids"] = caption.ids;
    output.write(row, "");
  }
}

std::string heading(const CaptionedItem& one) {
  if (one.item.picture()) return one.item.source;
  return fmt::format("{}: {:.3f} s", one.item.source, one.item.event.time_s);
}

}  // namespace

Record caption_record(const CaptionedItem& one) {
  Record record = {{"source", one.item.source}};
  if (!one.item.picture()) {
    record["frame"] = one.item.event.number;
    record["time_s"] = one.item.event.time_s;
  }
  if (!one.error.empty()) {
    record["error"] = one.error;
    return record;
  }
  record.update(fields_of(one.captions.front()));
  if (one.captions.size() == 1) return record;
  Record others = Record::array();
  for (size_t i = 1; i < one.captions.size(); ++i) others.push_back(fields_of(one.captions[i]));
  record["alternatives"] = std::move(others);
  return record;
}

void write_caption(Output& output, const CaptionedItem& one) {
  if (output.format() == Format::csv) return write_csv(output, one);
  if (output.format() == Format::text && !one.error.empty())
    return print_error(fmt::format("{}: {}", heading(one), one.error));
  std::string text;
  if (one.error.empty()) {
    text = fmt::format("{}: {}\n", heading(one), one.captions.front().text);
    for (size_t i = 1; i < one.captions.size(); ++i) text += fmt::format("  or: {}\n", one.captions[i].text);
  }
  output.write(caption_record(one), text);
}

}  // namespace apps
