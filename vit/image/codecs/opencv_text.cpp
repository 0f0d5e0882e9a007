// Letters: OpenCV's Hershey fonts, drawn as coverage.
#include <algorithm>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "vit/image/codecs/opencv_support.h"

namespace vitkit_codecs {

namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
/// Height of a capital letter in the font's own units.
constexpr double kCapitalHeight = 21.0;

}  // namespace

int measure_text(const VitkitText* text, VitkitTextExtent* extent, char* message, size_t message_size) {
  return guarded(message, message_size, [&]() -> const char* {
    int below = 0;
    const cv::Size size = cv::getTextSize(text->text, kFont, text->height / kCapitalHeight, text->thickness, &below);
    *extent = {size.width, size.height, below + text->thickness};
    return nullptr;
  });
}

int draw_text(const VitkitText* text, int32_t x, int32_t y, uint8_t* mask, int32_t height, int32_t width, char* message,
              size_t message_size) {
  return guarded(message, message_size, [&]() -> const char* {
    std::memset(mask, 0, static_cast<size_t>(height) * static_cast<size_t>(width));
    cv::Mat target(height, width, CV_8UC1, mask);
    cv::putText(target, text->text, {x, y}, kFont, text->height / kCapitalHeight, cv::Scalar(255), text->thickness,
                cv::LINE_AA);
    return nullptr;
  });
}

}  // namespace vitkit_codecs
