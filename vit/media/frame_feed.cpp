#include "vit/media/frame_feed.h"

#include <fstream>
#include <utility>

#include "vit/media/source.h"

namespace vit {

namespace {

/// Seconds that next() waits for one of several live sources before it looks at the others, and before it asks again
/// whether to stop.
constexpr double kTurn = 0.002, kAlone = 0.1;

class ReaderStream : public FrameStream {
 public:
  ReaderStream(const std::string& source, const VideoOptions& options) : reader_(source, options) {}
  bool poll(VideoEvent& event, double seconds) override { return reader_.poll(event, seconds); }
  void stop() override { reader_.stop(); }
  VideoInfo info() const override { return reader_.info(); }

 private:
  VideoReader reader_;
};

bool is_streams_file(const std::string& argument) { return argument.ends_with(".streams"); }

/// Sources that come one after the other.
struct Lane {
  std::unique_ptr<ImageSource> sources;
  std::unique_ptr<FrameStream> video;  ///< the one that is being read
  FeedItem current;                    ///< what its items have in common
};

}  // namespace

struct FrameFeed::Impl {
  FeedOptions options;
  std::vector<Lane> lanes;
  size_t turn = 0;  ///< the lane that is asked first
  int64_t streams = 0;
  bool live = false, stopping = false;

  void add_lane(std::vector<std::string> sources) {
    SourceOptions lane_options;
    lane_options.verb = options.verb;
    lane_options.input = options.input;
    lane_options.videos = true;
    for (const std::string& source : sources) live = live || is_live_source(source);
    lanes.push_back({std::make_unique<ImageSource>(std::move(sources), lane_options), nullptr, {}});
  }

  /// A lane per line.
  void add_streams(const std::string& file) {
    std::ifstream lines(file);
    if (!lines) return add_lane({file});  // which says that there is no such file
    for (std::string line; std::getline(lines, line);) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
      if (!line.empty() && line.front() != '#') add_lane({line});
    }
  }

  void open(Lane& lane, const std::string& source) {
    lane.current = {.source = source, .stream = streams++, .live = is_live_source(source), .event = {}, .info = {}};
    lane.video =
        options.open ? options.open(source, options.video) : std::make_unique<ReaderStream>(source, options.video);
  }

  enum class Answer { item, nothing_yet, over };

  /// What a lane has within so many seconds.
  Answer ask(size_t number, double seconds, FeedItem& item) {
    while (!lanes[number].video) {
      SourceItem source;
      if (stopping || !lanes[number].sources->next(source)) return Answer::over;
      if (source.error.empty() && source.video) {
        begin_video(number, source.path);
        if (!lanes[number].video) continue;  // it has a lane of its own now
        break;
      }
      item = {.source = source.path, .stream = -1, .live = false, .event = {}, .info = {}};
      item.event.kind = source.error.empty() ? VideoEvent::Kind::frame : VideoEvent::Kind::error;
      item.event.reason = source.error;
      return Answer::item;
    }
    return ask_video(lanes[number], seconds, item);
  }

  /// A live source among others, from a list, would keep those after it waiting for ever.
  void begin_video(size_t number, const std::string& source) {
    if (is_live_source(source)) {
      lanes.push_back({std::make_unique<ImageSource>(std::vector<std::string>{}), nullptr, {}});
      open(lanes.back(), source);
    } else {
      open(lanes[number], source);
    }
  }

  Answer ask_video(Lane& lane, double seconds, FeedItem& item) const {
    VideoEvent event;
    if (!lane.video->poll(event, seconds)) return Answer::nothing_yet;
    item = lane.current;
    item.event = std::move(event);
    if (item.event.kind == VideoEvent::Kind::frame) item.info = lane.video->info();
    if (item.event.kind == VideoEvent::Kind::lost && options.on_lost) options.on_lost(item);
    if (item.event.kind == VideoEvent::Kind::end || item.event.kind == VideoEvent::Kind::error) lane.video.reset();
    return Answer::item;
  }

  void remove(size_t number) {
    lanes.erase(lanes.begin() + static_cast<std::ptrdiff_t>(number));
    if (turn > number) --turn;
  }

  bool next(FeedItem& item) {
    while (!lanes.empty()) {
      if (!stopping && options.stop_requested && options.stop_requested()) {
        stopping = true;
        for (Lane& lane : lanes)
          if (lane.video) lane.video->stop();
      }
      if (take_turn(item)) return true;
    }
    return false;
  }

  /// Asks every lane once, beginning with the one whose turn it is, and waits for that one where none has anything.
  bool take_turn(FeedItem& item) {
    for (size_t asked = 0; asked < lanes.size();) {
      if (turn >= lanes.size()) turn = 0;
      const size_t number = turn++;
      const Answer answer = ask(number, 0.0, item);
      if (answer == Answer::over)
        remove(number);
      else
        ++asked;
      if (answer == Answer::item && wanted(item)) return true;
    }
    if (lanes.empty()) return false;
    if (turn >= lanes.size()) turn = 0;
    const size_t waited_for = turn++;
    return ask(waited_for, lanes.size() > 1 ? kTurn : kAlone, item) == Answer::item && wanted(item);
  }

  /// After a stop, frames that had been waiting are of no interest.
  bool wanted(const FeedItem& item) const { return !stopping || item.event.kind != VideoEvent::Kind::frame; }
};

FrameFeed::FrameFeed(std::vector<std::string> arguments, FeedOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  std::vector<std::string> one_after_another, at_once;
  for (std::string& argument : arguments)
    (is_live_source(argument) || is_streams_file(argument) ? at_once : one_after_another)
        .push_back(std::move(argument));
  if (!one_after_another.empty()) impl_->add_lane(std::move(one_after_another));
  for (const std::string& argument : at_once)
    is_streams_file(argument) ? impl_->add_streams(argument) : impl_->add_lane({argument});
}

FrameFeed::~FrameFeed() = default;

bool FrameFeed::next(FeedItem& item) { return impl_->next(item); }

bool FrameFeed::has_live() const { return impl_->live; }

}  // namespace vit
