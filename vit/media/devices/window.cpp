// A window of OpenCV's highgui.
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>

#include "vit/media/devices/devices_support.h"

namespace vitkit_devices {

namespace {

int open_window(const char* title, char* message, size_t message_size) {
  return guarded(message, message_size, [&] { cv::namedWindow(title, cv::WINDOW_NORMAL | cv::WINDOW_KEEPRATIO); });
}

int show_frame(const char* title, const uint8_t* rgb, int64_t height, int64_t width, int* closed, char* message,
               size_t message_size) {
  return guarded(message, message_size, [&] {
    const cv::Mat picture(static_cast<int>(height), static_cast<int>(width), CV_8UC3, const_cast<uint8_t*>(rgb));
    cv::Mat bgr;
    cv::cvtColor(picture, bgr, cv::COLOR_RGB2BGR);
    cv::imshow(title, bgr);
    constexpr int kEscape = 27;
    const int key = cv::waitKey(1) & 0xff;
    *closed = key == 'q' || key == kEscape || cv::getWindowProperty(title, cv::WND_PROP_VISIBLE) < 1.0;
  });
}

void close_window(const char* title) {
  char ignored[64];
  guarded(ignored, sizeof ignored, [&] { cv::destroyWindow(title); });
}

}  // namespace

const VitkitWindowTable kWindowTable = {open_window, show_frame, close_window};

}  // namespace vitkit_devices
