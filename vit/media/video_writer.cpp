#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/resize.h"
#include "vit/media/video.h"
#include "vit/media/video_module.h"

namespace vit {

namespace {

std::string ending_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  if (!ending.empty()) ending.erase(0, 1);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

/// The picture scaled into `size`, in the middle, black around it.
Image fitted(const Image& picture, Extent size) {
  const double scale = std::min(static_cast<double>(size.height) / static_cast<double>(picture.height()),
                                static_cast<double>(size.width) / static_cast<double>(picture.width()));
  const auto side = [scale](int64_t extent, int64_t limit) {
    return std::clamp<int64_t>(std::llround(scale * static_cast<double>(extent)), 1, limit);
  };
  const Image scaled =
      resize(picture, {.height = side(picture.height(), size.height), .width = side(picture.width(), size.width)});
  Image result(size.height, size.width);
  std::memset(result.row(0), 0, static_cast<size_t>(result.pixels.nbytes()));
  const int64_t top = (size.height - scaled.height()) / 2, left = (size.width - scaled.width()) / 2;
  for (int64_t y = 0; y < scaled.height(); ++y)
    std::memcpy(result.row(top + y) + 3 * left, scaled.row(y), static_cast<size_t>(3 * scaled.width()));
  return result;
}

}  // namespace

struct VideoWriter::Impl {
  std::string path;
  Extent size;
  AtomicFile file;
  const VitkitEncoderTable* table = nullptr;
  void* encoder = nullptr;
  int64_t frames = 0;
  bool finished = false;
  std::exception_ptr write_error;  // what the file said; FFmpeg knows only that it did

  Impl(const std::string& name, Extent extent) : path(name), size(extent), file(name) {}
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open(const VideoWriterOptions& options);
  void close() {
    if (encoder) table->close(std::exchange(encoder, nullptr));
  }
  template <class Call>
  void run(const Call& call);
  static int write(void* self, int64_t offset, const uint8_t* bytes, int64_t count);
};

/// Calls into the module; its failure, or the file's, is thrown, and nothing is written any more.
template <class Call>
void VideoWriter::Impl::run(const Call& call) {
  std::array<char, 512> message{};
  const int status = call(message.data(), message.size());
  if (status == kVitkitVideoOk) return;
  finished = true;
  close();
  if (write_error) std::rethrow_exception(write_error);
  const std::string reason = str("cannot write ", path, ": ", message.data());
  if (status == kVitkitVideoUnusable) fail_usage(reason);
  fail(reason);
}

int VideoWriter::Impl::write(void* self, int64_t offset, const uint8_t* bytes, int64_t count) {
  auto& impl = *static_cast<Impl*>(self);
  try {
    impl.file.write_at(offset, bytes, static_cast<size_t>(count));
    return 0;
  } catch (...) {
    impl.write_error = std::current_exception();
    return 1;
  }
}

void VideoWriter::Impl::open(const VideoWriterOptions& options) {
  table = &detail::video_module().encoder;
  const std::string ending = ending_of(path);
  const VitkitEncoderRequest request{.ending = ending.c_str(),
                                     .codec = options.codec.c_str(),
                                     .height = size.height & ~int64_t{1},
                                     .width = size.width & ~int64_t{1},
                                     .frame_rate = options.frame_rate,
                                     .write = write,
                                     .owner = this};
  run([&](char* message, size_t message_size) { return table->open(&request, &encoder, message, message_size); });
}

VideoWriter::VideoWriter(const std::string& path, Extent size, const VideoWriterOptions& options) {
  constexpr int64_t kMostSide = 16384;
  const bool encodable = std::min(size.height, size.width) >= 2 && std::max(size.height, size.width) <= kMostSide;
  if (!encodable)
    fail_usage("cannot write ", path, ": expected frames of 2 to ", kMostSide, " pixels a side, got ", size.width,
               " x ", size.height);
  if (!(options.frame_rate >= 0.01 && options.frame_rate <= 1000.0))
    fail_usage("cannot write ", path, ": expected 0.01 to 1000 frames per second, got ", options.frame_rate);
  impl_ = std::make_unique<Impl>(path, size);
  impl_->open(options);
}

VideoWriter::~VideoWriter() {
  try {
    if (impl_) finish();
  } catch (const std::exception&) {  // who wants to know calls finish()
  }
}

void VideoWriter::write(const Image& frame) {
  check(!impl_->finished, "cannot write ", impl_->path, ": it is finished");
  const Extent size = impl_->size;
  const Image picture = frame.height() == size.height && frame.width() == size.width ? frame : fitted(frame, size);
  impl_->run([&](char* message, size_t message_size) {
    return impl_->table->add(impl_->encoder, picture.row(0), 3 * picture.width(), message, message_size);
  });
  ++impl_->frames;
}

void VideoWriter::finish() {
  if (std::exchange(impl_->finished, true)) return;
  if (impl_->frames == 0) return impl_->close();
  impl_->run(
      [&](char* message, size_t message_size) { return impl_->table->finish(impl_->encoder, message, message_size); });
  impl_->close();
  impl_->file.commit();
}

}  // namespace vit
