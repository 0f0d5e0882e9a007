#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <streambuf>

#include "vit/image/codecs/opencv_support.h"

namespace {

/// Set while this thread decodes.
thread_local bool decoding = false;

/// cv::imdecode writes the exceptions that it catches to std::cerr, whatever its log level. This passes on what others
/// write there and drops what a decoding thread does: the caller gets one message of its own.
class QuietBuffer : public std::streambuf {
 public:
  explicit QuietBuffer(std::streambuf* next) : next_(next) {}

 protected:
  int_type overflow(int_type letter) override {
    if (decoding || traits_type::eq_int_type(letter, traits_type::eof())) return traits_type::not_eof(letter);
    return next_->sputc(traits_type::to_char_type(letter));
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    return decoding ? count : next_->sputn(text, count);
  }
  int sync() override { return decoding ? 0 : next_->pubsync(); }

 private:
  std::streambuf* next_;
};

struct DecodingScope {
  DecodingScope() { decoding = true; }
  ~DecodingScope() { decoding = false; }
};

/// Samples of T to bytes: 16 bits lose their lower 8, as in Pillow.
template <class T>
void copy_bgr_to_rgb(uint8_t* rgb, const cv::Mat& picture) {
  constexpr int kShift = 8 * (sizeof(T) - 1);
  for (int y = 0; y < picture.rows; ++y) {
    const T* bgr = picture.ptr<T>(y);
    for (int x = 0; x < picture.cols; ++x, rgb += 3, bgr += 3)
      for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(bgr[2 - c] >> kShift);
  }
}

const char* decode(const uint8_t* bytes, size_t size, const VitkitPixelSink& sink) {
  if (size > INT32_MAX) return "the file is larger than 2 GB";
  const cv::Mat encoded(1, static_cast<int>(size), CV_8UC1, const_cast<uint8_t*>(bytes));
  // IMREAD_COLOR: three channels, alpha dropped, palette expanded. 16 bits are asked for as they are, because the
  // decoders do not agree on how to make 8 of them.
  constexpr int kFlags = cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION;
  const DecodingScope scope;
  const cv::Mat picture = cv::imdecode(encoded, kFlags);
  if (picture.empty()) return "the data are damaged or cut off";
  if (picture.type() != CV_8UC3 && picture.type() != CV_16UC3)
    return "the pixels have a format that cannot be converted to 8-bit RGB";
  uint8_t* rgb = sink.allocate(sink.owner, picture.rows, picture.cols);
  if (!rgb) return "no memory";
  if (picture.depth() == CV_8U)
    copy_bgr_to_rgb<uint8_t>(rgb, picture);
  else
    copy_bgr_to_rgb<uint16_t>(rgb, picture);
  return nullptr;
}

int decode_file(const uint8_t* bytes, size_t size, const VitkitPixelSink* sink, char* message, size_t message_size) {
  return vitkit_codecs::guarded(message, message_size, [&] { return decode(bytes, size, *sink); });
}

constexpr VitkitCodecs kTable = {decode_file, vitkit_codecs::encode, vitkit_codecs::measure_text,
                                 vitkit_codecs::draw_text};

}  // namespace

namespace vitkit_codecs {

// The toolkit's threads are TBB's; OpenCV's own log would mix with the results' messages.
void configure_once() {
  static const bool done = [] {
    // Never freed: std::cerr is used until the very end of the process.
    std::cerr.rdbuf(new QuietBuffer(std::cerr.rdbuf()));
    cv::setNumThreads(1);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace vitkit_codecs

extern "C" {

__attribute__((visibility("default"))) int vitkit_codecs_version() { return kVitkitCodecsVersion; }

__attribute__((visibility("default"))) const void* vitkit_codecs_table() { return &kTable; }
}
