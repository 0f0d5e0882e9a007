#include "vit/media/image_loader.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>

#include "vit/core/parallel.h"

namespace vit {

namespace {

/// One picture on its way. Whoever sets kRunning loads it: a worker, or the consumer when it gets there first.
struct Slot {
  enum State { kQueued, kRunning, kDone };
  std::atomic<int> state{kQueued};
  int64_t number = 0;
  LoadedImage image;
};

/// What tasks need; shared, so that a task that comes late finds everything alive.
struct Shared {
  Preprocessor preprocessor;
  DecodeOptions decode;
  std::function<Image(int64_t)> load;
  std::mutex mutex;
  std::condition_variable done;
};

/// Loads the slot's picture unless somebody else does. Never throws: errors go into the picture.
void load(Shared& shared, Slot& slot) {
  int expected = Slot::kQueued;
  if (!slot.state.compare_exchange_strong(expected, Slot::kRunning)) return;
  LoadedImage& image = slot.image;
  if (image.error.empty()) {
    try {
      const Image decoded = shared.load ? shared.load(slot.number) : load_image(image.path, shared.decode);
      image.size = {decoded.height(), decoded.width()};
      image.pixels = shared.preprocessor(decoded);
    } catch (const std::exception& error) {
      image.error = without_source(error.what(), image.path);
      image.pixels = {};
    } catch (...) {
      image.error = "unknown error";
      image.pixels = {};
    }
  }
  {
    const std::lock_guard lock(shared.mutex);
    slot.state.store(Slot::kDone);
  }
  shared.done.notify_all();
}

}  // namespace

struct ImageLoader::Impl {
  Feed feed;
  int64_t window = 0, fed = 0;
  bool at_end = false;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  std::deque<std::shared_ptr<Slot>> slots;
  TaskGroup tasks;  // last: destroyed, and so waited for, first

  /// Starts work until the window is full.
  void fill() {
    while (!at_end && static_cast<int64_t>(slots.size()) < window) {
      SourceItem item;
      if (!feed(item)) {
        at_end = true;
        return;
      }
      auto slot = std::make_shared<Slot>();
      slot->number = fed++;
      slot->image.path = std::move(item.path);
      slot->image.error = std::move(item.error);
      slots.push_back(slot);
      tasks.run([shared = shared, slot] { load(*shared, *slot); });
    }
  }

  /// Nothing that has not begun is loaded any more.
  void abandon() {
    for (const auto& slot : slots) {
      int expected = Slot::kQueued;
      slot->state.compare_exchange_strong(expected, Slot::kDone);
    }
  }
};

ImageLoader::ImageLoader(Feed feed, const Preprocessor& preprocessor, const ImageLoaderOptions& options)
    : impl_(std::make_unique<Impl>()) {
  check(options.window >= 1, "image loader: expected a window of at least 1, got ", options.window);
  impl_->feed = std::move(feed);
  impl_->window = options.window;
  impl_->shared->preprocessor = preprocessor;
  impl_->shared->decode = options.decode;
  impl_->shared->load = options.load;
}

ImageLoader::ImageLoader(ImageSource& source, const Preprocessor& preprocessor, const ImageLoaderOptions& options)
    : ImageLoader([&source](SourceItem& item) { return source.next(item); }, preprocessor, options) {}

ImageLoader::~ImageLoader() { impl_->abandon(); }

bool ImageLoader::next(LoadedImage& image) {
  impl_->fill();
  if (impl_->slots.empty()) return false;
  const std::shared_ptr<Slot> slot = std::move(impl_->slots.front());
  impl_->slots.pop_front();
  if (impl_->window > 1) impl_->fill();  // before waiting, so that the workers have the next ones
  load(*impl_->shared, *slot);
  std::unique_lock lock(impl_->shared->mutex);
  impl_->shared->done.wait(lock, [&] { return slot->state.load() == Slot::kDone; });
  image = std::move(slot->image);
  return true;
}

}  // namespace vit
