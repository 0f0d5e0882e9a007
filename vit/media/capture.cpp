#include "vit/media/capture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "vit/image/orientation.h"
#include "vit/media/video.h"
#include "vit/media/video_module.h"

namespace vit::detail {

namespace {

using Message = std::array<char, 512>;

const VitkitCaptureTable& table_for(CaptureKind kind) {
  return kind == CaptureKind::kCamera ? devices_module().camera : video_module().capture;
}

void check_status(int status, const Message& message) {
  if (status != kVitkitVideoOk) throw CaptureError(message.data(), status == kVitkitVideoUnusable);
}

/// What a header says is bounded by sense, not believed.
VitkitCaptureFacts sane(VitkitCaptureFacts facts) {
  if (!std::isfinite(facts.frame_rate) || facts.frame_rate <= 0.0 || facts.frame_rate > 1000.0) facts.frame_rate = 0.0;
  if (!std::isfinite(facts.duration_s) || facts.duration_s < 0.0) facts.duration_s = 0.0;
  facts.frames = std::max<int64_t>(facts.frames, 0);
  facts.height = std::max<int64_t>(facts.height, 0);
  facts.width = std::max<int64_t>(facts.width, 0);
  return facts;
}

}  // namespace

CaptureKind capture_kind(const std::string& location) {
  if (!is_live_source(location)) return CaptureKind::kFile;
  return location.find("://") == location.npos ? CaptureKind::kCamera : CaptureKind::kStream;
}

void load_module(CaptureKind kind) noexcept {
  try {
    table_for(kind);
  } catch (const std::exception&) {  // whoever opens it is told
  }
}

CapturedFrame::CapturedFrame(const VitkitCaptureTable& table, void* frame, const VitkitFrameFacts& facts)
    : table_(&table), frame_(frame, table.release), facts_(facts) {}

Image CapturedFrame::image() const {
  check(frame_ != nullptr, "video: there is no frame");
  Image image(facts_.height, facts_.width);
  Message message{};
  check_status(table_->pixels(frame_.get(), image.row(0), message.data(), message.size()), message);
  return apply_orientation(image, facts_.orientation);
}

double FrameClock::next(const VitkitFrameFacts& facts) {
  const bool sensible = std::isfinite(facts.time_s) && facts.time_s >= 0.0 && facts.time_s > last_;
  last_ = sensible ? facts.time_s : (last_ < 0.0 ? 0.0 : last_ + step_);
  return last_;
}

Capture::Capture(Request request) : request_(std::move(request)), table_(&table_for(request_.kind)) {
  const VitkitCaptureRequest wanted{.location = request_.location.c_str(),
                                    .is_file = request_.kind == CaptureKind::kFile,
                                    .max_pixels = request_.max_pixels,
                                    .interrupted = [](void* self) -> int {
                                      const auto& asked = static_cast<Capture*>(self)->request_.interrupted;
                                      return asked && asked();
                                    },
                                    .owner = this};
  Message message{};
  check_status(table_->open(&wanted, &capture_, &facts_, message.data(), message.size()), message);
  facts_ = sane(facts_);
}

Capture::~Capture() {
  if (capture_) table_->close(capture_);
}

bool Capture::next(CapturedFrame& frame) {
  frame = {};
  void* handle = nullptr;
  VitkitFrameFacts facts{};
  Message message{};
  const int status = table_->next(capture_, &handle, &facts, message.data(), message.size());
  if (status == kVitkitVideoEnd) return false;
  check_status(status, message);
  frame = CapturedFrame(*table_, handle, facts);
  return true;
}

}  // namespace vit::detail
