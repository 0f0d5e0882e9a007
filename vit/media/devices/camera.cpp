// Cameras of this machine, by number (Video4Linux).
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <string>

#include "vit/media/devices/devices_support.h"

namespace vitkit_devices {

namespace {

struct Camera {
  cv::VideoCapture capture;
  int64_t max_pixels;
};

void check_size(int64_t height, int64_t width, int64_t max_pixels) {
  if (height * width > max_pixels)
    throw Failure("its frames are " + std::to_string(width) + " x " + std::to_string(height) +
                      " pixels, more than the limit of " + std::to_string(max_pixels),
                  kVitkitVideoUnusable);
}

int open_camera(const VitkitCaptureRequest* request, void** camera, VitkitCaptureFacts* facts, char* message,
                size_t message_size) {
  return guarded(message, message_size, [&] {
    const int number = std::atoi(request->location);
    const std::string device = "/dev/video" + std::to_string(number);
    if (access(device.c_str(), F_OK) != 0) throw Failure("there is no camera " + device, kVitkitVideoUnusable);
    if (access(device.c_str(), R_OK | W_OK) != 0)
      throw Failure("no permission to use the camera " + device, kVitkitVideoUnusable);
    auto opened = std::make_unique<Camera>();
    opened->max_pixels = request->max_pixels;
    if (!opened->capture.open(number, cv::CAP_V4L2))
      throw Failure("the camera " + device + " cannot be opened; it may be in use");
    opened->capture.set(cv::CAP_PROP_BUFFERSIZE, 1);  // the newest frame, not four that wait
    facts->height = static_cast<int64_t>(opened->capture.get(cv::CAP_PROP_FRAME_HEIGHT));
    facts->width = static_cast<int64_t>(opened->capture.get(cv::CAP_PROP_FRAME_WIDTH));
    facts->frame_rate = opened->capture.get(cv::CAP_PROP_FPS);
    facts->frames = 0;
    facts->duration_s = 0.0;
    facts->has_end = 0;
    check_size(facts->height, facts->width, request->max_pixels);
    *camera = opened.release();
  });
}

int next_frame(void* camera, void** frame, VitkitFrameFacts* facts, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    auto& source = *static_cast<Camera*>(camera);
    auto picture = std::make_unique<cv::Mat>();
    if (!source.capture.read(*picture) || picture->empty()) throw Failure("the camera gives no frame");
    if (picture->type() != CV_8UC3)
      throw Failure("the camera's pixels are in a format that cannot be converted", kVitkitVideoUnusable);
    check_size(picture->rows, picture->cols, source.max_pixels);
    *facts = {picture->rows, picture->cols, 1, std::numeric_limits<double>::quiet_NaN(), 0.0};
    *frame = picture.release();
  });
}

void close_camera(void* camera) { delete static_cast<Camera*>(camera); }

int frame_pixels(const void* frame, uint8_t* rgb, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    const auto& picture = *static_cast<const cv::Mat*>(frame);
    cv::Mat target(picture.rows, picture.cols, CV_8UC3, rgb);
    cv::cvtColor(picture, target, cv::COLOR_BGR2RGB);
  });
}

void release_frame(void* frame) { delete static_cast<cv::Mat*>(frame); }

}  // namespace

const VitkitCaptureTable kCameraTable = {open_camera, next_frame, close_camera, frame_pixels, release_frame};

}  // namespace vitkit_devices
