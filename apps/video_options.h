// The options of verbs that read films and streams.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "vit/media/frame_feed.h"

namespace apps {

struct CommonOptions;

struct VideoChoice {
  int64_t vid_stride = 1;
  bool stream_buffer = false;
  double timeout = 10.0;
};

/// The name of their group in --help.
inline constexpr const char* kVideoGroup = "Films and streams";

/// Adds --vid-stride, --stream-buffer and --timeout.
void add_video_options(CLI::App& command, VideoChoice& choice);

/// A feed's options, as far as these decide.
vit::FeedOptions feed_options(const std::string& verb, const VideoChoice& choice, int64_t max_pixels,
                              const CommonOptions& common);

}  // namespace apps
