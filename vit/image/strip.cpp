#include "vit/image/strip.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "vit/core/check.h"

namespace vit {

Image make_strip(const std::vector<Image>& frames) {
  check(!frames.empty(), "strip: there is no frame");
  const int64_t height = frames[0].height(), width = frames[0].width();
  Image strip(static_cast<int64_t>(frames.size()) * height, width);
  uint8_t* to = strip.row(0);
  for (const Image& frame : frames) {
    check(frame.height() == height && frame.width() == width, "strip: frames of ", height, " x ", width, " and of ",
          frame.height(), " x ", frame.width(), " make none");
    std::memcpy(to, frame.row(0), static_cast<size_t>(frame.pixels.nbytes()));
    to += frame.pixels.nbytes();
  }
  return strip;
}

Image strip_frame(const Image& strip, int64_t frames, int64_t number) {
  check(frames > 0 && strip.height() % frames == 0, "strip: ", strip.height(), " rows are no ", frames, " frames");
  check(number >= 0 && number < frames, "strip: expected a frame from 0 to ", frames - 1, ", got ", number);
  const int64_t height = strip.height() / frames;
  return Image(strip.pixels.slice(number * height, (number + 1) * height));
}

Image fit_frame(const Image& frame, const Extent& size, Filter filter) {
  if (frame.height() == size.height && frame.width() == size.width) return frame;
  const double ratio = std::max(static_cast<double>(size.height) / static_cast<double>(frame.height()),
                                static_cast<double>(size.width) / static_cast<double>(frame.width()));
  const auto scaled = [&](int64_t extent, int64_t least) {
    return std::max(least, static_cast<int64_t>(std::llround(ratio * static_cast<double>(extent))));
  };
  ResizeOptions options{
      .height = scaled(frame.height(), size.height), .width = scaled(frame.width(), size.width), .filter = filter};
  options.window =
      Window{(options.height - size.height) / 2, (options.width - size.width) / 2, size.height, size.width};
  return resize(frame, options);
}

Image fit_strip(const Image& strip, int64_t frames, const Extent& size, Filter filter) {
  if (strip.height() % frames != 0 || strip.height() / frames * size.width != strip.width() * size.height)
    fail_usage("the model wants a clip of ", frames, " frames, beneath one another; a picture of ", strip.height(),
               " x ", strip.width(), " is none: give it a film");
  if (strip.height() / frames == size.height) return strip;
  std::vector<Image> fitted;
  for (int64_t t = 0; t < frames; ++t) fitted.push_back(fit_frame(strip_frame(strip, frames, t), size, filter));
  return make_strip(fitted);
}

}  // namespace vit
