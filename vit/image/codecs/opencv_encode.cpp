// Writes PNG and JPEG with OpenCV's encoders.
#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "vit/image/codecs/opencv_support.h"

namespace vitkit_codecs {

int encode(const VitkitPicture* picture, VitkitFileFormat format, int quality, const VitkitByteSink* sink,
           char* message, size_t message_size) {
  return guarded(message, message_size, [&]() -> const char* {
    const int rows = static_cast<int>(picture->height), cols = static_cast<int>(picture->width);
    cv::Mat bgr(rows, cols, CV_8UC3);
    for (int y = 0; y < rows; ++y) {
      const uint8_t* from = picture->rgb + static_cast<size_t>(y) * static_cast<size_t>(cols) * 3;
      uint8_t* to = bgr.ptr<uint8_t>(y);
      for (int x = 0; x < cols; ++x, from += 3, to += 3)
        for (int c = 0; c < 3; ++c) to[c] = from[2 - c];
    }
    // OpenCV's own choice for PNG is made for speed: runs of equal bytes only, files ten times as large for plots.
    std::vector<int> options = {cv::IMWRITE_PNG_COMPRESSION, 4, cv::IMWRITE_PNG_STRATEGY,
                                cv::IMWRITE_PNG_STRATEGY_DEFAULT};
    if (format == kVitkitJpeg) options = {cv::IMWRITE_JPEG_QUALITY, quality};
    std::vector<uint8_t> file;
    if (!cv::imencode(format == kVitkitJpeg ? ".jpg" : ".png", bgr, file, options)) return "the encoder failed";
    uint8_t* bytes = sink->allocate(sink->owner, file.size());
    if (!bytes) return "no memory";
    std::memcpy(bytes, file.data(), file.size());
    return nullptr;
  });
}

}  // namespace vitkit_codecs
