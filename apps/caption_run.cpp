#include "apps/caption_run.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "apps/caption_batch.h"
#include "apps/caption_files.h"
#include "apps/caption_records.h"
#include "apps/common.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/plural.h"
#include "apps/predictions.h"
#include "apps/progress.h"
#include "apps/stop.h"
#include "captioning/captioner.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"

namespace apps {

namespace {

using Kind = vit::VideoEvent::Kind;

class CaptionRun {
 public:
  CaptionRun(const CaptionOptions& options, const CommonOptions& common, const captioning::Captioner& captioner,
             CaptionBatchOptions batch, double every)
      : options_(options),
        common_(common),
        captioner_(captioner),
        batch_options_(std::move(batch)),
        output_(common),
        files_({.attention = options.attention,
                .looks = {options.attention_layer, options.attention_head},
                .srt = options.srt,
                .last_s = every > 0.0 ? every : 2.0},
               captioner,
               [this](const std::string& message) {
                 ++failed_;
                 print_error("vitkit caption: " + message);
               }),
        progress_(common, "pictures", /*prints_results=*/true) {}

  void take(vit::FeedItem item) {
    if (item.event.kind == Kind::frame) {
      const bool live = item.live;
      waiting_.push_back({.item = std::move(item)});
      // A live source's frame is answered before the next is there, not with a batch of later ones.
      if (live || static_cast<int64_t>(waiting_.size()) >= options_.batch_size) answer();
      return;
    }
    answer();
    tell(item);
  }

  /// Captions what waits.
  void answer() {
    if (waiting_.empty()) return;
    std::vector<CaptionedItem> items = std::exchange(waiting_, {});
    caption_batch(captioner_, batch_options_, items);
    for (const CaptionedItem& one : items) {
      write_caption(output_, one);
      files_.add(one);
      ++(one.error.empty() ? answered_ : failed_);
      progress_.advance();
    }
  }

  /// What is kept however the work ended.
  void finish() {
    files_.finish();
    output_.finish();
  }

  /// What was done, for people -> exit status.
  int conclude(double seconds) {
    clear_progress();
    detail_note(common_, "{} in {:.3f} s: {:.2f} captions/s, start-up excluded", counted(answered_, "caption"), seconds,
                static_cast<double>(answered_) / seconds);
    if (stop_requested()) note(common_, "stopped; what was written is kept");
    if (answered_ + failed_ == 0 && !stop_requested())
      print_error("vitkit caption: there was no picture and no frame in the sources");
    if (failed_ > 0 && answered_ > 0)
      note(common_, "{}, {}", counted(failed_, "failure"), counted(answered_, "caption is fine", "captions are fine"));
    return failed_ > 0 || (answered_ == 0 && !stop_requested()) ? 1 : 0;
  }

 private:
  /// What is no picture and no frame.
  void tell(const vit::FeedItem& item) {
    switch (item.event.kind) {
      case Kind::gap:
        return write_gap(output_, item.source, item.event);
      case Kind::error:
        ++failed_;
        write_error(output_, item.source, nullptr, item.event.reason.empty() ? "unknown" : item.event.reason);
        return files_.end(item);
      case Kind::end:
        return files_.end(item);
      case Kind::lost:  // has been told when it happened
      case Kind::frame:
        return;
    }
  }

  const CaptionOptions& options_;
  const CommonOptions& common_;
  const captioning::Captioner& captioner_;
  CaptionBatchOptions batch_options_;
  Output output_;
  CaptionFiles files_;
  Progress progress_;
  std::vector<CaptionedItem> waiting_;
  int64_t answered_ = 0, failed_ = 0;
};

/// Errors (usage): options that do not go together, or with the model.
CaptionBatchOptions batch_options(const CaptionOptions& options, const CommonOptions& common,
                                  const captioning::Captioner& captioner) {
  CaptionBatchOptions batch{.generation = chosen_generation(captioner.generation(), options.generation, common.seed),
                            .prompt = captioner.prompt_ids(options.prompt),
                            .max_pixels = options.max_pixels};
  captioning::check_generation(captioner.model(), batch.prompt, batch.generation);
  if (options.attention_layer && *options.attention_layer >= captioner.model().attention_layers())
    vit::fail_usage("--attention-layer: the model has ", captioner.model().attention_layers(),
                    " layers of attention to look at, counted from 0");
  return batch;
}

}  // namespace

double parse_seconds(const std::string& option, const std::string& text) {
  constexpr double kDay = 86400.0;
  const std::map<std::string, double> units = {{"", 1.0}, {"s", 1.0}, {"ms", 1e-3}, {"m", 60.0}, {"min", 60.0}};
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const auto unit = units.find(std::string(end));
  const double seconds = unit == units.end() ? -1.0 : number * unit->second;
  if (end == text.c_str() || !std::isfinite(seconds) || seconds < 0.0 || seconds > kDay)
    vit::fail_usage(option, ": expected a time from 0 to a day such as 2s, 500ms or 1m, got '", text, "'");
  return seconds;
}

int caption(const CaptionOptions& options, const CommonOptions& common) {
  const double every = parse_seconds("--every", options.every);
  if ((options.attention_layer || options.attention_head) && options.attention.empty())
    vit::fail_usage("--attention-layer and --attention-head need --attention DIR, the folder that it writes to");
  const std::string model = model_or_bundled("caption", options.model, "scenes_captioner", common);
  const vit::Timer loading;
  const auto captioner = captioning::Captioner::load(model);
  note_model(common, model, captioner, loading.milliseconds());

  CaptionRun run(options, common, captioner, batch_options(options, common, captioner), every);
  stop_on_signals();
  vit::FeedOptions feeding = feed_options("caption", options.video, options.max_pixels, common);
  feeding.video.every = every;
  feeding.stop_requested = stop_requested;
  vit::FrameFeed feed(options.sources, std::move(feeding));
  const vit::Timer working;
  try {
    for (vit::FeedItem item; !stop_requested() && feed.next(item);) run.take(std::move(item));
    run.answer();
  } catch (...) {
    run.finish();
    throw;
  }
  run.finish();
  return run.conclude(working.seconds());
}

}  // namespace apps
