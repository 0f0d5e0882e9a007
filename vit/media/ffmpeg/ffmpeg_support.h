// What the module's files share: owners of FFmpeg's objects, its errors as text, and nothing thrown across the C
// boundary.
#pragma once

#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "vit/media/video_tables.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

namespace vitkit_video {

/// Why a call fails.
struct Failure : std::runtime_error {
  explicit Failure(const std::string& reason, VitkitVideoStatus what = kVitkitVideoFailed)
      : std::runtime_error(reason), status(what) {}
  VitkitVideoStatus status;
};

/// FFmpeg's words for an error code.
std::string describe(int error);

template <class T, void (*free_one)(T**)>
struct Free {
  void operator()(T* object) const { free_one(&object); }
};
using CodecContext = std::unique_ptr<AVCodecContext, Free<AVCodecContext, avcodec_free_context>>;
using Frame = std::unique_ptr<AVFrame, Free<AVFrame, av_frame_free>>;
using Packet = std::unique_ptr<AVPacket, Free<AVPacket, av_packet_free>>;
using InputFormat = std::unique_ptr<AVFormatContext, Free<AVFormatContext, avformat_close_input>>;
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using Scaler = std::unique_ptr<SwsContext, FreeScaler>;

/// No log, network ready: called before anything of FFmpeg is.
void configure_once();

/// Runs `work`, which returns a status; a Failure that it throws is status and message.
template <class Work>
int guarded(char* message, size_t message_size, const Work& work) {
  try {
    configure_once();
    return work();
  } catch (const Failure& failure) {
    std::snprintf(message, message_size, "%s", failure.what());
    return failure.status;
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, message_size, "unknown error");
  }
  return kVitkitVideoFailed;
}

/// The halves of VitkitVideoTable.
extern const VitkitCaptureTable kCaptureTable;
extern const VitkitEncoderTable kEncoderTable;

}  // namespace vitkit_video
