#include <opencv2/core/utils/logger.hpp>

#include "vit/media/devices/devices_support.h"

namespace vitkit_devices {

// The toolkit's threads are TBB's; OpenCV's own log would mix with the results' messages.
void configure_once() {
  static const bool done = [] {
    cv::setNumThreads(1);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace vitkit_devices

extern "C" {

__attribute__((visibility("default"))) int vitkit_devices_version() { return kVitkitVideoVersion; }

__attribute__((visibility("default"))) const void* vitkit_devices_table() {
  static const VitkitDevicesTable table = {vitkit_devices::kCameraTable, vitkit_devices::kWindowTable};
  return &table;
}
}
