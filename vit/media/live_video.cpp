// Cameras and streams: a thread reads, so that a source that stops answering stops nobody else.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "vit/core/check.h"
#include "vit/media/backoff.h"
#include "vit/media/capture.h"
#include "vit/media/frame_pace.h"
#include "vit/media/video_feed.h"

namespace vit::detail {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// The libraries look at their deadline every 0.1 s or so; who is this much later is stuck.
constexpr double kGrace = 1.0;
// How long the destructor waits for its thread.
constexpr double kFarewell = 1.0;

/// An event on its way to the consumer; the pixels of a frame are converted when it is taken.
struct Item {
  VideoEvent event;
  CapturedFrame frame;
};

/// What the consumer and the reading thread share. The thread owns it too: one that is stuck in a library outlives its
/// VideoReader.
struct LiveState {
  LiveState(std::string where, const VideoOptions& wanted) : location(std::move(where)), options(wanted) {}

  const std::string location;
  const VideoOptions options;
  std::atomic<bool> stopping{false};
  std::atomic<double> deadline{kNever};  // by which the thread must be back from the library

  std::mutex mutex;  // of all that follows
  std::condition_variable changed;
  std::deque<Item> items;
  int64_t dropped = 0;
  bool had_frame = false;
  bool done = false;      // nothing will be added to the items
  bool exited = false;    // the thread has left
  double opened_s = 0.0;  // when it was opened first
  std::optional<VideoEvent> gap;
  VideoInfo info;

  /// The clock of its events.
  double time() const { return steady_seconds() - opened_s; }

  /// Ends what is told with an error, behind the gap that is open. The caller holds the mutex.
  void fail(const std::string& reason, double time_s) {
    if (gap) {
      VideoEvent ended = *std::exchange(gap, std::nullopt);
      ended.to_s = time();
      items.push_back({ended, {}});
    }
    VideoEvent error;
    error.kind = VideoEvent::Kind::error;
    error.time_s = time_s;
    error.reason = reason;
    items.push_back({error, {}});
  }

  /// Sleeps; false: stopping.
  bool sleep(double seconds) {
    std::unique_lock lock(mutex);
    return !changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return stopping.load(); });
  }
};

/// The thread's work.
class LiveWorker {
 public:
  explicit LiveWorker(std::shared_ptr<LiveState> shared)
      : state_(std::move(shared)),
        backoff_(state_->options.retry_first, state_->options.retry_most, state_->options.seed),
        pace_(state_->options.stride, state_->options.every) {}

  void run() noexcept;

 private:
  /// Why a connection is over.
  struct Loss {
    std::string reason;
    bool lasting = false;
  };
  std::optional<Loss> follow();
  Loss explain(const std::exception& error, const std::string& timed_out);
  void deliver(CapturedFrame frame);
  bool survives(const Loss& loss);
  void begin_gap(const std::string& reason);
  void give_up(const std::string& reason);

  std::shared_ptr<LiveState> state_;
  Backoff backoff_;
  double started_s_ = 0.0;
  bool was_open_ = false;
  std::string refusal_;  // of the last opening that was refused
  bool is_film_ = false;
  FrameClock clock_;
  double last_time_ = 0.0;
  int64_t count_ = 0;  // frames read
  FramePace pace_;
  int64_t failures_ = 0;  // connections without a frame, one after the other
};

void LiveWorker::run() noexcept {
  try {
    load_module(capture_kind(state_->location));  // which takes a moment that is not the source's
    started_s_ = steady_seconds();
    for (;;) {
      const int64_t before = count_;
      const std::optional<Loss> loss = follow();
      state_->deadline = kNever;
      failures_ = count_ > before ? 0 : failures_ + 1;
      if (!loss || state_->stopping || !survives(*loss)) break;
    }
  } catch (const std::exception&) {  // no memory even for saying so: the source ends
  }
  const std::lock_guard lock(state_->mutex);
  state_->done = state_->exited = true;
  state_->changed.notify_all();
}

/// One connection, until it is lost; nothing: it came to its end, or it was stopped.
std::optional<LiveWorker::Loss> LiveWorker::follow() {
  LiveState& state = *state_;
  const double timeout = state.options.timeout;
  std::string timed_out = str("no answer within ", timeout, " s");
  try {
    state.deadline = (was_open_ ? steady_seconds() : started_s_) + timeout;
    Capture capture({.kind = capture_kind(state.location),
                     .location = state.location,
                     .max_pixels = state.options.max_pixels,
                     .interrupted = [this] { return state_->stopping || steady_seconds() > state_->deadline; }});
    const VitkitCaptureFacts& facts = capture.facts();
    is_film_ = facts.has_end != 0;
    clock_ = FrameClock(facts.frame_rate);
    refusal_.clear();
    {
      const std::lock_guard lock(state.mutex);
      if (!std::exchange(was_open_, true)) state.opened_s = steady_seconds();
      state.info = {{facts.height, facts.width}, facts.frame_rate, facts.frames};
    }
    timed_out = str("no frame for ", timeout, " s");
    for (CapturedFrame frame;;) {
      state.deadline = steady_seconds() + timeout;
      const bool more = capture.next(frame);
      state.deadline = kNever;
      if (state.stopping) return std::nullopt;
      if (!more) break;
      deliver(std::move(frame));
    }
    state.deadline = steady_seconds() + timeout;  // closing takes leave of some servers
  } catch (const std::exception& error) {
    if (state.stopping) return std::nullopt;
    return explain(error, timed_out);
  }
  if (is_film_) return std::nullopt;
  return Loss{"the stream ended"};
}

LiveWorker::Loss LiveWorker::explain(const std::exception& error, const std::string& timed_out) {
  if (steady_seconds() > state_->deadline) return {refusal_.empty() ? timed_out : timed_out + ": " + refusal_};
  const auto* reason = dynamic_cast<const CaptureError*>(&error);
  if (!was_open_) refusal_ = error.what();
  return {error.what(), !reason || reason->lasting};
}

/// Hands a frame on: it takes the place of one that nobody took, or waits until there is room.
void LiveWorker::deliver(CapturedFrame frame) {
  LiveState& state = *state_;
  const int64_t number = count_++;
  const auto is_frame = [](const Item& item) { return item.event.kind == VideoEvent::Kind::frame; };
  std::unique_lock lock(state.mutex);
  last_time_ = is_film_ ? clock_.next(frame.facts()) : state.time();
  state.had_frame = true;
  if (state.gap) {
    VideoEvent gap = *std::exchange(state.gap, std::nullopt);
    gap.to_s = last_time_;
    state.items.push_back({gap, {}});
    state.changed.notify_all();
  }
  if (!pace_.wants(last_time_)) return;
  if (state.options.keep_all || is_film_) {
    state.changed.wait(lock, [&] {
      return state.stopping || std::count_if(state.items.begin(), state.items.end(), is_frame) < state.options.buffer;
    });
  } else {
    state.dropped += static_cast<int64_t>(std::erase_if(state.items, is_frame));
  }
  Item item;
  item.event.kind = VideoEvent::Kind::frame;
  item.event.number = number;
  item.event.time_s = last_time_;
  item.event.captured_s = steady_seconds();
  item.frame = std::move(frame);
  state.items.push_back(std::move(item));
  state.changed.notify_all();
}

/// After a loss: whether to try again, when it is time to. See VideoReader for the rules.
bool LiveWorker::survives(const Loss& loss) {
  const int64_t most = state_->options.max_retries;
  if (is_film_ && count_ > 0) {
    give_up(loss.reason);
    return false;
  }
  double wait = 0.0;
  if (count_ == 0) {
    const double left = started_s_ + state_->options.timeout - steady_seconds();
    if (loss.lasting || left <= 0.0 || (most >= 0 && failures_ > most)) {
      give_up(loss.reason);
      return false;
    }
    wait = std::min(backoff_.delay(failures_ - 1), left);
  } else {
    begin_gap(loss.reason);
    if (most >= 0 && failures_ >= most) {
      give_up(str("gave up after ", failures_, " reconnections: ", loss.reason));
      return false;
    }
    wait = backoff_.delay(failures_);
  }
  return state_->sleep(wait);
}

void LiveWorker::begin_gap(const std::string& reason) {
  const std::lock_guard lock(state_->mutex);
  if (state_->gap) return;
  VideoEvent gap;
  gap.kind = VideoEvent::Kind::gap;
  gap.from_s = gap.to_s = gap.time_s = last_time_;
  gap.reason = reason;
  state_->gap = gap;
  gap.kind = VideoEvent::Kind::lost;
  state_->items.push_back({gap, {}});
  state_->changed.notify_all();
}

void LiveWorker::give_up(const std::string& reason) {
  const std::lock_guard lock(state_->mutex);
  state_->fail(reason, last_time_);
}

class LiveVideo : public VideoFeed {
 public:
  LiveVideo(const std::string& location, const VideoOptions& options)
      : state_(std::make_shared<LiveState>(location, options)) {}
  ~LiveVideo() override;

  bool poll(VideoEvent& event, double seconds) override;
  void stop() override;
  VideoInfo info() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->info;
  }

 private:
  bool take(VideoEvent& event, std::unique_lock<std::mutex>& lock);
  bool take_last(VideoEvent& event);
  bool is_stuck() const;
  bool fail_for_good(VideoEvent& event, const std::string& reason);

  std::shared_ptr<LiveState> state_;
  std::thread thread_;
};

LiveVideo::~LiveVideo() {
  stop();
  if (!thread_.joinable()) return;
  std::unique_lock lock(state_->mutex);
  const bool exited =
      state_->changed.wait_for(lock, std::chrono::duration<double>(kFarewell), [&] { return state_->exited; });
  lock.unlock();
  // Nobody can take a thread out of a library that does not return. It has all that it needs, and leaves when it can.
  if (exited)
    thread_.join();
  else
    thread_.detach();
}

void LiveVideo::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

bool LiveVideo::poll(VideoEvent& event, double seconds) {
  const double limit = seconds < 0.0 ? kNever : steady_seconds() + seconds;
  std::unique_lock lock(state_->mutex);
  if (!thread_.joinable() && !state_->done) {
    try {
      thread_ = std::thread([state = state_] { LiveWorker(state).run(); });
    } catch (const std::system_error& error) {
      return fail_for_good(event, str("no thread could be started: ", error.what()));
    }
  }
  for (;;) {
    if (state_->stopping || (state_->items.empty() && state_->done)) return take_last(event);
    if (!state_->items.empty()) return take(event, lock);
    if (is_stuck()) return fail_for_good(event, str("no answer within ", state_->options.timeout, " s"));
    const double left = limit - steady_seconds();
    if (left <= 0.0) return false;
    state_->changed.wait_for(lock, std::chrono::duration<double>(std::min(left, kGrace / 4.0)));
  }
}

/// The first of the items; a frame's pixels are converted without the lock.
bool LiveVideo::take(VideoEvent& event, std::unique_lock<std::mutex>& lock) {
  Item item = std::move(state_->items.front());
  state_->items.pop_front();
  event = std::move(item.event);
  if (event.kind != VideoEvent::Kind::frame) return true;
  event.dropped = std::exchange(state_->dropped, 0);
  state_->changed.notify_all();
  lock.unlock();
  try {
    event.image = item.frame.image();
    return true;
  } catch (const std::exception& error) {
    lock.lock();
    return fail_for_good(event, error.what());
  }
}

/// After stop(), or when there is nothing more: what was not told yet, but for frames, then the end.
bool LiveVideo::take_last(VideoEvent& event) {
  std::erase_if(state_->items, [](const Item& item) { return item.event.kind == VideoEvent::Kind::frame; });
  if (!state_->items.empty()) {
    event = std::move(state_->items.front().event);
    state_->items.pop_front();
    return true;
  }
  event = {};
  if (!state_->gap) return true;
  event = *std::exchange(state_->gap, std::nullopt);
  event.to_s = state_->time();
  return true;
}

/// Whether the thread is held by a library beyond its deadline. While a lost source is tried again that is no failure
/// (looking up a name can take half a minute without a network).
bool LiveVideo::is_stuck() const {
  const bool trying_again = state_->had_frame && state_->gap.has_value();
  return !trying_again && steady_seconds() > state_->deadline + kGrace;
}

bool LiveVideo::fail_for_good(VideoEvent& event, const std::string& reason) {
  state_->stopping = true;
  state_->done = true;
  state_->fail(reason, 0.0);
  state_->changed.notify_all();
  return take_last(event);
}

}  // namespace

std::unique_ptr<VideoFeed> open_live_video(const std::string& location, const VideoOptions& options) {
  return std::make_unique<LiveVideo>(location, options);
}

}  // namespace vit::detail
