#include "apps/video_options.h"

#include "apps/common.h"

namespace apps {

void add_video_options(CLI::App& command, VideoChoice& choice) {
  command.add_option("--vid-stride", choice.vid_stride, with_example("Every so many frames only", "--vid-stride 5"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->group(kVideoGroup);
  command
      .add_flag("--stream-buffer", choice.stream_buffer,
                with_example("Live sources: all frames in order; else the newest (default: off)", "--stream-buffer"))
      ->group(kVideoGroup);
  command
      .add_option("--timeout", choice.timeout,
                  with_example("Live sources: seconds that opening, and each frame, may take", "--timeout 30"))
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 3600.0))
      ->group(kVideoGroup);
}

vit::FeedOptions feed_options(const std::string& verb, const VideoChoice& choice, int64_t max_pixels,
                              const CommonOptions& common) {
  vit::FeedOptions options;
  options.verb = verb;
  options.video = {.timeout = choice.timeout,
                   .stride = choice.vid_stride,
                   .keep_all = choice.stream_buffer,
                   .seed = common.seed,
                   .max_pixels = max_pixels};
  options.on_lost = [&common](const vit::FeedItem& item) {
    note(common, "{}: lost at {:.3f} s: {}; it is tried again", item.source, item.event.from_s, item.event.reason);
  };
  return options;
}

}  // namespace apps
