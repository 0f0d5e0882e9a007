// What the module's files share: nothing is thrown across the C boundary.
#pragma once

#include <cstdio>
#include <opencv2/core.hpp>
#include <stdexcept>

#include "vit/media/video_tables.h"

namespace vitkit_devices {

/// Why a call fails.
struct Failure : std::runtime_error {
  explicit Failure(const std::string& reason, VitkitVideoStatus what = kVitkitVideoFailed)
      : std::runtime_error(reason), status(what) {}
  VitkitVideoStatus status;
};

/// One thread, no log: called before anything of OpenCV is.
void configure_once();

template <class Work>
int guarded(char* message, size_t message_size, const Work& work) {
  try {
    configure_once();
    work();
    return kVitkitVideoOk;
  } catch (const Failure& failure) {
    std::snprintf(message, message_size, "%s", failure.what());
    return failure.status;
  } catch (const cv::Exception& error) {
    std::snprintf(message, message_size, "%s", error.err.c_str());
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, message_size, "unknown error");
  }
  return kVitkitVideoFailed;
}

extern const VitkitCaptureTable kCameraTable;
extern const VitkitWindowTable kWindowTable;

}  // namespace vitkit_devices
