// Films and streams: demultiplexing and decoding.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "vit/media/ffmpeg/ffmpeg_support.h"

extern "C" {
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
}

namespace vitkit_video {

namespace {

// What may be opened. Left out: lists and scripts that name other files (concat, dash), and what takes any text for a
// picture (tty). HLS names other addresses, which the protocols below hold to the network.
constexpr const char* kFormats =
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,mpegvideo,m4v,mjpeg,mpjpeg,mjpeg_2000,flv,live_flv,asf,ogg,"
    "h264,hevc,ivf,gif,yuv4mpegpipe,dv,obu,nut,mxf,rm,hls,rtsp,rtp,sdp,jpeg_pipe";
constexpr const char* kFileProtocols = "file";
constexpr const char* kNetworkProtocols =
    "http,https,tcp,tls,udp,rtp,rtsp,rtmp,rtmps,rtmpt,srt,crypto,httpproxy,subfile";

struct Options {
  AVDictionary* entries = nullptr;
  Options() = default;
  Options(Options&& other) noexcept : entries(std::exchange(other.entries, nullptr)) {}
  ~Options() { av_dict_free(&entries); }
  void set(const char* name, const char* value) { av_dict_set(&entries, name, value, 0); }
};

int interrupted(void* request) {
  const auto* source = static_cast<const VitkitCaptureRequest*>(request);
  return source->interrupted ? source->interrupted(source->owner) : 0;
}

/// Whether trying again cannot help, as far as an error code tells.
bool is_lasting(int error) {
  switch (error) {
    case AVERROR_INVALIDDATA:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_PATCHWELCOME:
    case AVERROR_HTTP_BAD_REQUEST:
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
    case AVERROR_HTTP_NOT_FOUND:
    case AVERROR(EINVAL):
    case AVERROR(ENOENT):
    case AVERROR(EACCES):
      return true;
    default:
      return false;
  }
}

/// FFmpeg's HTTP says that a server that has closed the connection is an I/O error.
std::string reason_for(int error, bool is_file) {
  return error == AVERROR(EIO) && !is_file ? "the connection was closed" : describe(error);
}

[[noreturn]] void refuse_opening(int error, bool is_file) {
  if (error == AVERROR_INVALIDDATA || error == AVERROR(EINVAL))
    throw Failure("no video in a known format, or damaged or cut off at its beginning", kVitkitVideoUnusable);
  throw Failure(reason_for(error, is_file), is_lasting(error) ? kVitkitVideoUnusable : kVitkitVideoFailed);
}

/// EXIF's number for the turn that a stream asks for; mirrored ones, which no camera writes, are shown as they are.
int orientation_of(const AVStream& stream) {
  const uint8_t* matrix = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr);
  if (!matrix) return 1;
  const double counter_clockwise = av_display_rotation_get(reinterpret_cast<const int32_t*>(matrix));
  if (!std::isfinite(counter_clockwise)) return 1;
  const int quarter_turns = static_cast<int>(std::lround(-counter_clockwise / 90.0)) & 3;  // clockwise
  constexpr int kExif[] = {1, 6, 3, 8};
  return kExif[quarter_turns];
}

/// A decoded frame and what it says about itself.
struct DecodedFrame {
  Frame picture;
};

class Capture {
 public:
  explicit Capture(const VitkitCaptureRequest& request) : request_(request), location_(request.location) {
    request_.location = location_.c_str();
    open_format();
    open_decoder();
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  VitkitCaptureFacts facts() const;
  int next(void** frame, VitkitFrameFacts* facts);

 private:
  void open_format();
  void probe_streams();
  void open_decoder();
  void check_size(int64_t height, int64_t width) const;
  bool feed_decoder();
  double seconds(int64_t time) const;

  VitkitCaptureRequest request_;
  std::string location_;
  InputFormat format_;
  AVStream* stream_ = nullptr;
  CodecContext decoder_;
  Packet packet_{av_packet_alloc()};
  bool draining_ = false;
  std::string broken_;  // why the source ended before its end
  int64_t decoded_ = 0;
};

void Capture::open_format() {
  format_.reset(avformat_alloc_context());
  if (!format_) throw Failure("no memory");
  format_->interrupt_callback = {interrupted, &request_};
  Options options;
  options.set("format_whitelist", kFormats);
  options.set("protocol_whitelist", request_.is_file ? kFileProtocols : kNetworkProtocols);
  if (!request_.is_file) {
    // A picture soon is worth more than knowing all about the stream beforehand.
    options.set("analyzeduration", "2000000");
    options.set("fpsprobesize", "2");
    options.set("rtsp_transport", "tcp");
  }
  // With its protocol, because a path may have a colon in it.
  const std::string address = request_.is_file ? "file:" + location_ : location_;
  AVFormatContext* opening = format_.release();  // which is freed when opening fails
  const int error = avformat_open_input(&opening, address.c_str(), nullptr, &options.entries);
  if (error < 0) refuse_opening(error, request_.is_file != 0);
  format_.reset(opening);
  probe_streams();
}

/// Decodes what is needed to know the streams, within the limit of pixels.
void Capture::probe_streams() {
  std::vector<Options> options(format_->nb_streams);
  std::vector<AVDictionary*> entries;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    check_size(format_->streams[i]->codecpar->height, format_->streams[i]->codecpar->width);
    options[i].set("max_pixels", std::to_string(request_.max_pixels).c_str());
    entries.push_back(std::exchange(options[i].entries, nullptr));
  }
  const int error = avformat_find_stream_info(format_.get(), entries.empty() ? nullptr : entries.data());
  for (size_t i = 0; i < entries.size(); ++i) options[i].entries = entries[i];
  if (error < 0) refuse_opening(error, request_.is_file != 0);
}

void Capture::open_decoder() {
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index == AVERROR_DECODER_NOT_FOUND)
    throw Failure("its video is in a format that cannot be decoded", kVitkitVideoUnusable);
  const bool cover = index >= 0 && (format_->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
  if (index < 0 || cover)
    throw Failure(format_->nb_streams > 0 ? "there is no video in it, only sound or data" : "there is no video in it",
                  kVitkitVideoUnusable);
  stream_ = format_->streams[index];
  check_size(stream_->codecpar->height, stream_->codecpar->width);
  for (unsigned i = 0; i < format_->nb_streams; ++i)
    if (static_cast<int>(i) != index) format_->streams[i]->discard = AVDISCARD_ALL;
  decoder_.reset(avcodec_alloc_context3(codec));
  if (!decoder_ || !packet_) throw Failure("no memory");
  if (avcodec_parameters_to_context(decoder_.get(), stream_->codecpar) < 0)
    throw Failure("its header says nonsense", kVitkitVideoUnusable);
  // One: the toolkit's threads are TBB's, and the pipeline overlaps decoding with the rest. More would also hold frames
  // back, of which a live source's newest is the one that is wanted.
  decoder_->thread_count = 1;
  decoder_->max_pixels = request_.max_pixels;
  decoder_->pkt_timebase = stream_->time_base;
  const int error = avcodec_open2(decoder_.get(), codec, nullptr);
  if (error < 0) refuse_opening(error, request_.is_file != 0);
}

void Capture::check_size(int64_t height, int64_t width) const {
  if (height > 0 && width > 0 && width > request_.max_pixels / height)
    throw Failure("its frames are " + std::to_string(width) + " x " + std::to_string(height) +
                      " pixels, more than the limit of " + std::to_string(request_.max_pixels),
                  kVitkitVideoUnusable);
}

VitkitCaptureFacts Capture::facts() const {
  VitkitCaptureFacts facts{};
  facts.height = stream_->codecpar->height;
  facts.width = stream_->codecpar->width;
  if (orientation_of(*stream_) >= 5) std::swap(facts.height, facts.width);
  const AVRational rate = av_guess_frame_rate(format_.get(), stream_, nullptr);
  facts.frame_rate = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0.0;
  facts.frames = stream_->nb_frames > 0 ? stream_->nb_frames : 0;
  const bool guessed = format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
  if (stream_->duration > 0 && !guessed)
    facts.duration_s = static_cast<double>(stream_->duration) * av_q2d(stream_->time_base);
  else if (format_->duration > 0 && !guessed && format_->nb_streams == 1)  // of the longest stream
    facts.duration_s = static_cast<double>(format_->duration) / AV_TIME_BASE;
  // QuickTime's files may hold samples that are not shown, before the place where a film was cut: their duration knows.
  const bool has_edits = std::string_view(format_->iformat->name).find("mov") != std::string_view::npos;
  if (has_edits && facts.duration_s > 0.0 && facts.frame_rate > 0.0)
    facts.frames = std::min<int64_t>(facts.frames, std::llround(facts.duration_s * facts.frame_rate));
  const bool known_length = format_->pb ? avio_size(format_->pb) > 0 : format_->duration > 0;
  facts.has_end = request_.is_file || known_length;
  return facts;
}

double Capture::seconds(int64_t time) const { return static_cast<double>(time) * av_q2d(stream_->time_base); }

/// The next packet of the video goes to the decoder; at the end it is told to give what it holds. False: interrupted.
bool Capture::feed_decoder() {
  for (;;) {
    if (interrupted(&request_)) return false;
    const int error = av_read_frame(format_.get(), packet_.get());
    if (error == AVERROR(EAGAIN)) continue;
    if (error == AVERROR_EXIT) return false;
    if (error < 0) {
      if (error != AVERROR_EOF)
        broken_ = reason_for(error, request_.is_file != 0);
      else if (format_->pb && format_->pb->error < 0 && format_->pb->error != AVERROR_EOF)
        broken_ = reason_for(format_->pb->error, request_.is_file != 0);
      draining_ = true;
      avcodec_send_packet(decoder_.get(), nullptr);
      return true;
    }
    const bool wanted = packet_->stream_index == stream_->index;
    // A damaged packet costs its frame; the next key frame repairs the picture.
    if (wanted) avcodec_send_packet(decoder_.get(), packet_.get());
    av_packet_unref(packet_.get());
    if (wanted) return true;
  }
}

int Capture::next(void** frame, VitkitFrameFacts* facts) {
  Frame picture(av_frame_alloc());
  if (!picture) throw Failure("no memory");
  for (;;) {
    const int error = avcodec_receive_frame(decoder_.get(), picture.get());
    if (error >= 0) break;
    if (draining_) {
      if (!broken_.empty()) throw Failure(broken_);
      if (decoded_ == 0)
        throw Failure("no frame of it could be decoded: empty, damaged or cut off", kVitkitVideoUnusable);
      return kVitkitVideoEnd;
    }
    if (!feed_decoder()) throw Failure("interrupted");
  }
  check_size(picture->height, picture->width);
  ++decoded_;
  facts->height = picture->height;
  facts->width = picture->width;
  facts->orientation = orientation_of(*stream_);
  const int64_t start = stream_->start_time == AV_NOPTS_VALUE ? 0 : stream_->start_time;
  facts->time_s = picture->best_effort_timestamp == AV_NOPTS_VALUE ? std::numeric_limits<double>::quiet_NaN()
                                                                   : seconds(picture->best_effort_timestamp - start);
  facts->duration_s = picture->pkt_duration > 0 ? seconds(picture->pkt_duration) : 0.0;
  *frame = new DecodedFrame{std::move(picture)};
  return kVitkitVideoOk;
}

/// YUV of the frame's own matrix and range (where it says nothing: BT.601, limited, as everybody assumes) to RGB.
void convert(const AVFrame& picture, uint8_t* rgb) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  const int width = picture.width, height = picture.height;
  const Scaler scaler(
      sws_getContext(width, height, format, width, height, AV_PIX_FMT_RGB24, SWS_BICUBIC, nullptr, nullptr, nullptr));
  if (!scaler) throw Failure("its pixels are in a format that cannot be converted");
  const int matrix = picture.colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : picture.colorspace;
  const int full = picture.color_range == AVCOL_RANGE_JPEG ? 1 : 0;
  // Fails for what is RGB already, which needs nothing.
  sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(matrix), full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                           1 << 16, 1 << 16);
  // The vector code writes whole vectors at the end of a row: rows that are not made of them go through a padded copy.
  constexpr int kVector = 32;
  const int row = 3 * width;
  const int padded = (row + kVector - 1) / kVector * kVector;
  uint8_t* to = rgb;
  std::unique_ptr<uint8_t, void (*)(void*)> copy(nullptr, av_free);
  if (padded != row) {
    copy.reset(static_cast<uint8_t*>(av_malloc(static_cast<size_t>(padded) * static_cast<size_t>(height) + kVector)));
    to = copy.get();
    if (!to) throw Failure("no memory");
  }
  uint8_t* const planes[4] = {to, nullptr, nullptr, nullptr};
  const int strides[4] = {padded, 0, 0, 0};
  if (sws_scale(scaler.get(), picture.data, picture.linesize, 0, height, planes, strides) != height)
    throw Failure("its pixels cannot be converted");
  if (copy) av_image_copy_plane(rgb, row, to, padded, row, height);
}

int open_capture(const VitkitCaptureRequest* request, void** capture, VitkitCaptureFacts* facts, char* message,
                 size_t message_size) {
  return guarded(message, message_size, [&] {
    auto opened = std::make_unique<Capture>(*request);
    *facts = opened->facts();
    *capture = opened.release();
    return kVitkitVideoOk;
  });
}

int next_frame(void* capture, void** frame, VitkitFrameFacts* facts, char* message, size_t message_size) {
  return guarded(message, message_size, [&] { return static_cast<Capture*>(capture)->next(frame, facts); });
}

void close_capture(void* capture) { delete static_cast<Capture*>(capture); }

int frame_pixels(const void* frame, uint8_t* rgb, char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    convert(*static_cast<const DecodedFrame*>(frame)->picture, rgb);
    return kVitkitVideoOk;
  });
}

void release_frame(void* frame) { delete static_cast<DecodedFrame*>(frame); }

}  // namespace

const VitkitCaptureTable kCaptureTable = {open_capture, next_frame, close_capture, frame_pixels, release_frame};

}  // namespace vitkit_video
