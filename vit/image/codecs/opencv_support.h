// What the module's files share: OpenCV is configured once, and nothing is thrown across the C boundary.
#pragma once

#include <cstdio>
#include <opencv2/core.hpp>

#include "vit/image/codecs/codecs.h"

namespace vitkit_codecs {

/// One thread, no log: called before anything of OpenCV is.
void configure_once();

/// Runs `work`, which returns a reason for failing or null; what it throws becomes the reason.
template <class Work>
int guarded(char* message, size_t message_size, const Work& work) {
  try {
    configure_once();
    const char* reason = work();
    if (!reason) return 0;
    std::snprintf(message, message_size, "%s", reason);
  } catch (const cv::Exception& error) {
    std::snprintf(message, message_size, "%s", error.err.c_str());
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, message_size, "unknown error");
  }
  return 1;
}

// The entries of VitkitCodecs (codecs.h).
int encode(const VitkitPicture* picture, VitkitFileFormat format, int quality, const VitkitByteSink* sink,
           char* message, size_t message_size);
int measure_text(const VitkitText* text, VitkitTextExtent* extent, char* message, size_t message_size);
int draw_text(const VitkitText* text, int32_t x, int32_t y, uint8_t* mask, int32_t height, int32_t width, char* message,
              size_t message_size);

}  // namespace vitkit_codecs
