#include "vit/media/ffmpeg/ffmpeg_support.h"

namespace vitkit_video {

// What goes wrong reaches the user as one message of the toolkit's; FFmpeg's own lines would mix with the results.
void configure_once() {
  static const bool done = [] {
    av_log_set_level(AV_LOG_QUIET);
    avformat_network_init();
    return true;
  }();
  static_cast<void>(done);
}

std::string describe(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  return av_strerror(error, text, sizeof text) == 0 ? text : "unknown error";
}

}  // namespace vitkit_video

extern "C" {

__attribute__((visibility("default"))) int vitkit_video_version() { return kVitkitVideoVersion; }

__attribute__((visibility("default"))) const void* vitkit_video_table() {
  static const VitkitVideoTable table = {vitkit_video::kCaptureTable, vitkit_video::kEncoderTable};
  return &table;
}
}
