#include "apps/explain_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <utility>

#include "apps/common.h"
#include "apps/explain_files.h"
#include "apps/film_clips.h"
#include "apps/frame_pictures.h"
#include "apps/output.h"
#include "apps/plural.h"
#include "apps/predictions.h"
#include "apps/progress.h"
#include "apps/stop.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"
#include "vit/explain/frames.h"
#include "vit/media/source.h"

namespace apps {

namespace {

using Kind = vit::VideoEvent::Kind;

Record number_or_null(const std::optional<double>& value) { return value ? Record(*value) : Record(nullptr); }

/// {"source","frame","time_s","method","target","index","score","layer","map","deletion_auc","insertion_auc","road",
/// "sanity","notes","seconds"}
Record map_record(const vit::FeedItem& item, const ExplainedMap& map) {
  Record record = {{"source", item.source}};
  if (!item.picture()) {
    record["frame"] = item.event.number;
    record["time_s"] = item.event.time_s;
  }
  record["method"] = map.method;
  record["target"] = map.answer->label;
  record["index"] = map.answer->index ? Record(*map.answer->index) : Record(nullptr);
  record["score"] = map.answer->score;
  if (map.answer->box) record["box"] = *map.answer->box;
  record["layer"] = map.explanation.layer.empty() ? Record(nullptr) : Record(map.explanation.layer);
  record["map"] = map.npy.empty() ? Record(nullptr) : Record(map.npy);
  record["window"] = {map.window.top, map.window.left, map.window.rows, map.window.columns};
  const auto figure = [&](auto of) {
    return number_or_null(map.faithfulness ? std::optional(of(*map.faithfulness)) : std::nullopt);
  };
  record["deletion_auc"] = figure([](const vit::Faithfulness& f) { return f.deletion.auc; });
  record["insertion_auc"] = figure([](const vit::Faithfulness& f) { return f.insertion.auc; });
  record["road"] = figure([](const vit::Faithfulness& f) { return f.road.combined; });
  record["sanity"] = map.faithfulness ? Record(vit::to_json(*map.faithfulness)["sanity"]) : Record(nullptr);
  if (const int64_t frames = vit::frames_of(*map.answer->subject); frames > 0)
    record["frame_shares"] = vit::frame_shares(map.explanation.map, frames);
  record["notes"] = map.explanation.notes;
  record["seconds"] = map.seconds;
  return record;
}

/// The same on one level, for tables: every row has every column.
Record map_row(const vit::FeedItem& item, const ExplainedMap& map) {
  const Record full = map_record(item, map);
  Record row;
  for (const char* column : {"source", "frame", "time_s", "method", "target", "index", "score", "layer", "map",
                             "deletion_auc", "insertion_auc", "road", "sanity", "seconds"})
    row[column] = full.value(column, Record(nullptr));
  if (row["sanity"].is_object()) row["sanity"] = Record(row["sanity"]["verdict"]);
  row["error"] = nullptr;
  return row;
}

Record error_row(const vit::FeedItem& item, const std::string& method, const std::string& error) {
  Record row = {{"source", item.source}};
  const bool is_frame = !item.picture() && item.event.kind == Kind::frame;
  row["frame"] = is_frame ? Record(item.event.number) : Record(nullptr);
  row["time_s"] = is_frame ? Record(item.event.time_s) : Record(nullptr);
  row["method"] = method.empty() ? Record(nullptr) : Record(method);
  for (const char* column :
       {"target", "index", "score", "layer", "map", "deletion_auc", "insertion_auc", "road", "sanity", "seconds"})
    row[column] = nullptr;
  row["error"] = error;
  return row;
}

std::string map_text(const vit::FeedItem& item, const ExplainedMap& map) {
  std::string text = item.source;
  if (!item.picture()) text += fmt::format(" frame {}", item.event.number);
  text += fmt::format("\n  {}: {} {:.1f} %", map.method, map.answer->label, 100.0 * map.answer->score);
  if (map.faithfulness) {
    text += fmt::format("; deletion {:.3f}, insertion {:.3f}, ROAD {:.3f}", map.faithfulness->deletion.auc,
                        map.faithfulness->insertion.auc, map.faithfulness->road.combined);
    if (map.faithfulness->sanity) text += "\n  " + map.faithfulness->sanity->verdict;
  }
  for (const std::string& note : map.explanation.notes) text += "\n  " + note;
  if (!map.npy.empty()) text += "\n  " + map.npy;
  return text + "\n";
}

/// A question that no picture can answer: a layer, a head that is not there.
class Unanswerable : public vit::Error {
 public:
  explicit Unanswerable(const vit::Error& error) : Error(error.what(), vit::ErrorKind::kUsage) {}
};

class ExplainRun {
 public:
  ExplainRun(const ExplainOptions& options, const CommonOptions& common, const ExplainedAnswers& model,
             std::vector<std::string> methods, const std::string& title)
      : options_(options),
        model_(model),
        methods_(std::move(methods)),
        output_(common),
        files_({.folder = options.save,
                .report_mb = options.report_mb,
                .stride = options.video.vid_stride,
                .title = title},
               model,
               [this](const std::string& message) {
                 ++failed_;
                 print_error("vitkit explain: " + message);
               }),
        progress_(common, "maps", /*prints_results=*/true) {}

  void take(const vit::FeedItem& item) {
    switch (item.event.kind) {
      case Kind::frame:
        return answer(item);
      case Kind::gap:
        return write_gap(output_, item.source, item.event);
      case Kind::error:
        ++failed_;
        tell_error(item, "", item.event.reason.empty() ? "unknown" : item.event.reason);
        return files_.end(item);
      case Kind::end:
        return files_.end(item);
      case Kind::lost:  // has been told when it happened
        return;
    }
  }

  void finish() {
    files_.finish();
    output_.finish();
  }

  int64_t answered() const { return answered_; }
  int64_t failed() const { return failed_; }

 private:
  void answer(const vit::FeedItem& item) {
    try {
      const vit::Image picture = item.event.image.defined()
                                     ? item.event.image
                                     : vit::load_image(item.source, {.max_pixels = options_.max_pixels});
      explain_picture(item, picture);
      ++answered_;
    } catch (const Unanswerable&) {
      throw;
    } catch (const std::exception& error) {
      ++failed_;
      tell_error(item, "", vit::without_source(error.what(), item.source));
    }
  }

  void tell_error(const vit::FeedItem& item, const std::string& method, const std::string& error) {
    if (output_.format() == Format::csv) return output_.write(error_row(item, method, error), "");
    const FramePlace place{item.event.number, item.event.time_s};
    const bool is_frame = !item.picture() && item.event.kind == Kind::frame;
    write_error(output_, item.source, is_frame ? &place : nullptr, (method.empty() ? "" : method + ": ") + error);
  }

  void explain_picture(const vit::FeedItem& item, const vit::Image& picture) {
    const vit::Tensor pixels = model_.pixels(picture);
    const std::vector<ExplainedAnswer> answers = model_.answers(picture, pixels);
    if (answers.empty() && item.picture()) vit::fail(model_.nothing_found());
    std::vector<ExplainedMap> maps;
    for (const ExplainedAnswer& answer : answers)
      for (const std::string& method : methods_) {
        if (stop_requested()) break;
        explain_answer(item, answer, method, pixels, maps);
      }
    files_.add({item, picture, pixels, answers}, maps);
    for (const ExplainedMap& map : maps)
      output_.write(output_.format() == Format::csv ? map_row(item, map) : map_record(item, map), map_text(item, map));
  }

  /// One map; a method that fails costs the others nothing. What no picture can have ends the run before anything was
  /// explained.
  void explain_answer(const vit::FeedItem& item, const ExplainedAnswer& answer, const std::string& method,
                      const vit::Tensor& pixels, std::vector<ExplainedMap>& maps) {
    try {
      const vit::Timer timer;
      ExplainedMap map{.method = method,
                       .answer = &answer,
                       .explanation = vit::explain(method, *answer.subject, pixels, options_.method)};
      map.seconds = timer.seconds();
      if (options_.judge == Judge::always || (options_.judge == Judge::pictures && item.picture()))
        map.faithfulness = vit::measure_faithfulness(method, *answer.subject, pixels, map.explanation, options_.method,
                                                     {.sanity = !options_.no_sanity,
                                                      .batch_size = options_.method.batch_size,
                                                      .seed = options_.method.seed + 1});
      maps.push_back(std::move(map));
    } catch (const vit::Error& error) {
      if (error.kind() == vit::ErrorKind::kUsage && answered_ == 0 && maps.empty()) throw Unanswerable(error);
      ++failed_;
      tell_error(item, method, error.what());
    }
    progress_.advance();
  }

  const ExplainOptions& options_;
  const ExplainedAnswers& model_;
  std::vector<std::string> methods_;
  Output output_;
  ExplainFiles files_;
  Progress progress_;
  int64_t answered_ = 0, failed_ = 0;
};

/// Pictures, and films frame by frame.
void take_frames(ExplainRun& run, const std::vector<std::string>& sources, vit::FeedOptions options) {
  vit::FrameFeed feed(sources, std::move(options));
  for (vit::FeedItem item; !stop_requested() && feed.next(item);) run.take(item);
}

/// Whole films, for a model of clips: each is one picture, the strip of the frames that the model sees.
void take_films(ExplainRun& run, const std::vector<std::string>& sources, vit::FeedOptions options,
                const ExplainedAnswers& model) {
  const std::unique_ptr<vit::Subject> subject = model.sample();
  const auto feed = clip_feed(sources, std::move(options), dynamic_cast<const vit::ClipModel&>(subject->model()));
  vit::FeedItem item;
  std::optional<vit::FilmClip> clip;
  while (!stop_requested() && feed->next(item, clip)) {
    if (clip) {
      item.stream = -1;
      item.event = {};
      item.event.kind = Kind::frame;
      item.event.image = clip->strip;
    }
    run.take(item);
  }
}

int conclude(const ExplainRun& run, const CommonOptions& common) {
  clear_progress();
  if (stop_requested()) note(common, "stopped; what was written is kept");
  if (run.answered() + run.failed() == 0 && !stop_requested())
    print_error("vitkit explain: there was no picture and no frame in the sources");
  if (run.failed() > 0 && run.answered() > 0)
    note(common, "{}, {}", counted(run.failed(), "failure"),
         counted(run.answered(), "picture is explained", "pictures are explained"));
  return run.failed() > 0 || (run.answered() == 0 && !stop_requested()) ? 1 : 0;
}

}  // namespace

const std::vector<std::pair<Judge, std::string>>& enum_names(Judge) {
  static const std::vector<std::pair<Judge, std::string>> names = {
      {Judge::pictures, "pictures"}, {Judge::always, "always"}, {Judge::never, "never"}};
  return names;
}

std::vector<std::string> chosen_methods(const std::string& list, const ExplainedAnswers& model,
                                        const vit::MethodOptions& options) {
  const std::unique_ptr<vit::Subject> sample = model.sample();
  const vit::Subject& subject = *sample;
  if (list == "all") {
    // A layer or head that is asked for is no question to all of them.
    std::vector<std::string> asked;
    for (const std::string& name : vit::methods_for(subject)) {
      const vit::MethodEntry& entry = vit::method_registry().find(name);
      if ((options.head && !entry.takes_head) || (options.layer && !entry.layers)) continue;
      vit::check_method(name, subject, options);
      asked.push_back(name);
    }
    return asked;
  }
  if (list.empty()) {
    const std::vector<std::string> possible = vit::methods_for(subject);
    for (const std::string& wanted : {std::string("relevance"), model.usual_map_method()})
      if (std::find(possible.begin(), possible.end(), wanted) != possible.end()) {
        vit::check_method(wanted, subject, options);
        return {wanted};
      }
    vit::check_method("integrated_gradients", subject, options);
    return {"integrated_gradients"};
  }
  std::vector<std::string> chosen;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    if (name.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end()) continue;
    vit::check_method(name, subject, options);
    chosen.push_back(name);
  }
  if (chosen.empty()) vit::fail_usage("--method: no method is named in '", list, "'");
  return chosen;
}

int explain(const ExplainOptions& options, const CommonOptions& common) {
  const std::string model = model_or_bundled("explain", options.model, "cifar10", common);
  const auto answers = ExplainedAnswers::load(model, options.answers, common);
  std::vector<std::string> methods = chosen_methods(options.methods, *answers, options.method);
  // The bundled model is known by its name, wherever it is installed.
  const std::string title = options.model.empty() ? std::filesystem::path(model).filename().string() : model;
  ExplainRun run(options, common, *answers, std::move(methods), title);
  stop_on_signals();
  vit::FeedOptions feeding = feed_options("explain", options.video, options.max_pixels, common);
  feeding.stop_requested = stop_requested;
  try {
    if (vit::frames_of(*answers->sample()) > 0)
      take_films(run, options.sources, std::move(feeding), *answers);
    else
      take_frames(run, options.sources, std::move(feeding));
  } catch (...) {
    run.finish();
    throw;
  }
  run.finish();
  if (!options.save.empty() && run.answered() > 0) {
    clear_progress();
    note(common, "maps, overlays and report.html (of films: films of overlays) are in {}", options.save);
  }
  return conclude(run, common);
}

}  // namespace apps
