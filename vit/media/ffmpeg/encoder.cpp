// Films: encoding and multiplexing, through a function that takes the file's bytes.
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "vit/media/ffmpeg/ffmpeg_support.h"

extern "C" {
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
}

namespace vitkit_video {

namespace {

/// A way to encode: the names by which it is asked for, and its settings.
struct EncoderChoice {
  std::string_view letters;  // as in files' headers; several, parted by blanks
  const char* name;          // FFmpeg's
  AVPixelFormat format;
  int quality;            // of encoders with a fixed quantiser: 1 (best) to 31; 0: `options` say it
  double bits_per_pixel;  // at most; 0: not limited
  const char* options;    // name=value:name=value
};
// H.264 without frames that refer to the future: what is written is what plays, from the first frame on, at any place.
constexpr EncoderChoice kEncoders[] = {
    {"avc1 H264 h264 X264", "libx264", AV_PIX_FMT_YUV420P, 0, 0.0, "preset=veryfast:crf=23:bf=0"},
    {"mp4v FMP4 XVID DIVX", "mpeg4", AV_PIX_FMT_YUV420P, 3, 0.0, ""},
    {"MJPG mjpg", "mjpeg", AV_PIX_FMT_YUVJ420P, 3, 0.0, ""},
    {"VP80", "libvpx", AV_PIX_FMT_YUV420P, 0, 0.2, "deadline=realtime:cpu-used=8:crf=20"},
    {"VP90", "libvpx-vp9", AV_PIX_FMT_YUV420P, 0, 0.2, "deadline=realtime:cpu-used=8:crf=30"},
    {"hvc1 hev1 HEVC", "libx265", AV_PIX_FMT_YUV420P, 0, 0.0, "preset=ultrafast:crf=26:x265-params=log-level=none"},
};

/// What a file's ending means: FFmpeg's container, and encoders in the order in which they are tried.
struct Container {
  std::string_view ending;
  const char* name;
  std::array<std::string_view, 2> codecs;
};
constexpr Container kContainers[] = {
    {"mp4", "mp4", {"avc1", "mp4v"}},      {"m4v", "mp4", {"avc1", "mp4v"}},     {"mov", "mov", {"avc1", "mp4v"}},
    {"mkv", "matroska", {"avc1", "mp4v"}}, {"avi", "avi", {"MJPG", "MJPG"}},     {"webm", "webm", {"VP80", "VP90"}},
    {"ts", "mpegts", {"avc1", "mp4v"}},    {"mjpeg", "mjpeg", {"MJPG", "MJPG"}},
};

const Container& container_of(std::string_view ending) {
  std::string known;
  for (const Container& container : kContainers) {
    if (container.ending == ending) return container;
    known += (known.empty() ? "." : ", .") + std::string(container.ending);
  }
  throw Failure("no video is written to files that end in ." + std::string(ending) + "; known: " + known,
                kVitkitVideoUnusable);
}

bool has_word(std::string_view words, std::string_view word) {
  return !word.empty() && (" " + std::string(words) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

const EncoderChoice& encoder_of(std::string_view codec, const Container& container) {
  std::string known;
  for (const EncoderChoice& choice : kEncoders) {
    if (has_word(choice.letters, codec)) {
      if (avcodec_find_encoder_by_name(choice.name)) return choice;
      throw Failure("this FFmpeg has no encoder " + std::string(choice.name), kVitkitVideoUnusable);
    }
    known += (known.empty() ? "" : ", ") + std::string(choice.letters.substr(0, choice.letters.find(' ')));
  }
  if (!codec.empty())
    throw Failure("no encoder is known for the codec '" + std::string(codec) + "'; known: " + known,
                  kVitkitVideoUnusable);
  for (const std::string_view preferred : container.codecs)
    for (const EncoderChoice& choice : kEncoders)
      if (has_word(choice.letters, preferred) && avcodec_find_encoder_by_name(choice.name)) return choice;
  throw Failure("this FFmpeg has no encoder for files that end in ." + std::string(container.ending),
                kVitkitVideoUnusable);
}

struct CloseOutput {
  void operator()(AVFormatContext* format) const {
    if (format->pb) av_freep(&format->pb->buffer);
    avio_context_free(&format->pb);
    avformat_free_context(format);
  }
};

class Encoder {
 public:
  explicit Encoder(const VitkitEncoderRequest& request);
  void add(const uint8_t* rgb, int64_t stride);
  void finish();

 private:
  void open_codec(const EncoderChoice& choice, const VitkitEncoderRequest& request);
  Frame new_frame(AVPixelFormat format) const;
  void open_file();
  void take_packets();
  void send(const AVFrame* frame);
  static int write(void* self, uint8_t* bytes, int count);
  static int64_t seek(void* self, int64_t offset, int whence);

  int (*sink_)(void* owner, int64_t offset, const uint8_t* bytes, int64_t count);
  void* owner_;
  int64_t position_ = 0, size_ = 0;
  bool write_failed_ = false;
  std::unique_ptr<AVFormatContext, CloseOutput> format_;
  AVStream* stream_ = nullptr;
  CodecContext codec_;
  Scaler scaler_;
  Frame rgb_;  // a padded copy: the scaler reads whole vectors
  Frame frame_;
  Packet packet_{av_packet_alloc()};
  int64_t frames_ = 0;
};

Encoder::Encoder(const VitkitEncoderRequest& request) : sink_(request.write), owner_(request.owner) {
  const Container& container = container_of(request.ending);
  const EncoderChoice& choice = encoder_of(request.codec, container);
  AVFormatContext* format = nullptr;
  avformat_alloc_output_context2(&format, nullptr, container.name, nullptr);
  format_.reset(format);
  if (!format_ || !packet_) throw Failure("this FFmpeg does not write such files", kVitkitVideoUnusable);
  format_->flags |= AVFMT_FLAG_BITEXACT;  // no date, no version: the same frames make the same file
  open_codec(choice, request);
  open_file();
}

void Encoder::open_codec(const EncoderChoice& choice, const VitkitEncoderRequest& request) {
  const AVCodec* encoder = avcodec_find_encoder_by_name(choice.name);
  codec_.reset(avcodec_alloc_context3(encoder));
  stream_ = avformat_new_stream(format_.get(), nullptr);
  if (!codec_ || !stream_) throw Failure("no memory");
  const AVRational rate = av_d2q(request.frame_rate, 60000);  // MPEG-4 part 2 counts to 65535
  codec_->width = static_cast<int>(request.width);
  codec_->height = static_cast<int>(request.height);
  codec_->pix_fmt = choice.format;
  codec_->colorspace = AVCOL_SPC_SMPTE170M;  // what sws_scale makes unless told otherwise
  codec_->color_range = choice.format == AV_PIX_FMT_YUVJ420P ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  codec_->time_base = av_inv_q(rate);
  codec_->framerate = rate;
  codec_->gop_size = 50;
  codec_->thread_count = 1;  // the toolkit's threads are TBB's
  codec_->flags |= AV_CODEC_FLAG_BITEXACT;
  if (format_->oformat->flags & AVFMT_GLOBALHEADER) codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (choice.quality > 0) {
    codec_->flags |= AV_CODEC_FLAG_QSCALE;
    codec_->global_quality = choice.quality * FF_QP2LAMBDA;
  }
  const double pixels_per_s = request.frame_rate * static_cast<double>(request.height * request.width);
  codec_->bit_rate = static_cast<int64_t>(choice.bits_per_pixel * pixels_per_s);
  AVDictionary* options = nullptr;
  av_dict_parse_string(&options, choice.options, "=", ":", 0);
  const int error = avcodec_open2(codec_.get(), encoder, &options);
  av_dict_free(&options);
  if (error < 0)
    throw Failure(std::string("the encoder ") + choice.name + " does not take " + std::to_string(request.width) +
                      " x " + std::to_string(request.height) + " pixels at " + std::to_string(request.frame_rate) +
                      " frames per second: " + describe(error),
                  kVitkitVideoUnusable);
  stream_->time_base = codec_->time_base;
  stream_->avg_frame_rate = rate;
  if (avcodec_parameters_from_context(stream_->codecpar, codec_.get()) < 0) throw Failure("no memory");
  scaler_.reset(sws_getContext(codec_->width, codec_->height, AV_PIX_FMT_RGB24, codec_->width, codec_->height,
                               codec_->pix_fmt, SWS_BICUBIC, nullptr, nullptr, nullptr));
  rgb_ = new_frame(AV_PIX_FMT_RGB24);
  frame_ = new_frame(codec_->pix_fmt);
  if (!scaler_) throw Failure("no memory");
}

Frame Encoder::new_frame(AVPixelFormat format) const {
  Frame frame(av_frame_alloc());
  if (!frame) throw Failure("no memory");
  frame->format = format;
  frame->width = codec_->width;
  frame->height = codec_->height;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw Failure("no memory");
  return frame;
}

void Encoder::open_file() {
  constexpr int kBuffer = 1 << 16;
  auto* buffer = static_cast<uint8_t*>(av_malloc(kBuffer));
  if (!buffer) throw Failure("no memory");
  format_->pb = avio_alloc_context(buffer, kBuffer, 1, this, nullptr, write, seek);
  if (!format_->pb) {
    av_free(buffer);
    throw Failure("no memory");
  }
  const int error = avformat_write_header(format_.get(), nullptr);
  if (error < 0)
    throw Failure("the codec and the file's ending do not go together: " + describe(error), kVitkitVideoUnusable);
}

int Encoder::write(void* self, uint8_t* bytes, int count) {
  auto& encoder = *static_cast<Encoder*>(self);
  if (encoder.write_failed_ || encoder.sink_(encoder.owner_, encoder.position_, bytes, count) != 0) {
    encoder.write_failed_ = true;
    return AVERROR(EIO);
  }
  encoder.position_ += count;
  encoder.size_ = std::max(encoder.size_, encoder.position_);
  return count;
}

int64_t Encoder::seek(void* self, int64_t offset, int whence) {
  auto& encoder = *static_cast<Encoder*>(self);
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
      return encoder.size_;
    case SEEK_SET:
      return encoder.position_ = offset;
    case SEEK_CUR:
      return encoder.position_ += offset;
    case SEEK_END:
      return encoder.position_ = encoder.size_ + offset;
    default:
      return AVERROR(EINVAL);
  }
}

/// The sink knows better than FFmpeg why it refused bytes.
void check_written(int error, bool write_failed) {
  if (write_failed) throw Failure("the file cannot be written");
  if (error < 0) throw Failure(describe(error));
}

void Encoder::take_packets() {
  while (avcodec_receive_packet(codec_.get(), packet_.get()) >= 0) {
    av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
    packet_->stream_index = stream_->index;
    if (packet_->duration == 0) packet_->duration = av_rescale_q(1, codec_->time_base, stream_->time_base);
    check_written(av_interleaved_write_frame(format_.get(), packet_.get()), write_failed_);
  }
}

void Encoder::send(const AVFrame* frame) {
  const int error = avcodec_send_frame(codec_.get(), frame);
  if (error < 0) throw Failure("the encoder failed: " + describe(error));
  take_packets();
}

void Encoder::add(const uint8_t* rgb, int64_t stride) {
  if (av_frame_make_writable(frame_.get()) < 0) throw Failure("no memory");
  av_image_copy_plane(rgb_->data[0], rgb_->linesize[0], rgb, static_cast<int>(stride), 3 * codec_->width,
                      codec_->height);
  sws_scale(scaler_.get(), rgb_->data, rgb_->linesize, 0, codec_->height, frame_->data, frame_->linesize);
  frame_->pts = frames_++;
  frame_->quality = codec_->global_quality;
  send(frame_.get());
  check_written(0, write_failed_);
}

void Encoder::finish() {
  send(nullptr);
  const int error = av_write_trailer(format_.get());
  avio_flush(format_->pb);
  check_written(error, write_failed_);
}

int open_encoder(const VitkitEncoderRequest* request, void** encoder, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    *encoder = new Encoder(*request);
    return kVitkitVideoOk;
  });
}

int add_frame(void* encoder, const uint8_t* rgb, int64_t stride, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    static_cast<Encoder*>(encoder)->add(rgb, stride);
    return kVitkitVideoOk;
  });
}

int finish_encoder(void* encoder, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    static_cast<Encoder*>(encoder)->finish();
    return kVitkitVideoOk;
  });
}

void close_encoder(void* encoder) { delete static_cast<Encoder*>(encoder); }

}  // namespace

const VitkitEncoderTable kEncoderTable = {open_encoder, add_frame, finish_encoder, close_encoder};

}  // namespace vitkit_video
