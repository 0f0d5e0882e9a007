#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "vit/core/check.h"
#include "vit/media/video.h"
#include "vit/media/video_module.h"

namespace vit {

namespace {

/// Whether something listens at an X display of this machine (":0", "unix:1"). Qt ends the whole process where nothing
/// does, so it is not asked. Displays of other machines ("host:0") are believed.
bool is_reachable(std::string_view display) {
  const size_t colon = display.rfind(':');
  if (colon == display.npos) return false;
  const std::string_view host = display.substr(0, colon);
  if (!host.empty() && host != "unix") return true;
  const std::string number(display.substr(colon + 1, display.find('.', colon) - colon - 1));
  const std::string path = "/tmp/.X11-unix/X" + number;
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const auto connects = [&](size_t zeros) {  // one zero first: Linux's abstract names
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() + zeros >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path + zeros, path.data(), path.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + zeros + path.size());
    return connect(descriptor, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  };
  const bool reachable = connects(0) || connects(1);
  close(descriptor);
  return reachable;
}

void require_display() {
  // A platform that was chosen by hand ("offscreen") needs no display, or knows its own.
  if (const char* platform = std::getenv("QT_QPA_PLATFORM"); platform && *platform) return;
  const char* display = std::getenv("DISPLAY");
  if (!display || !*display) fail_usage("no window can be shown: there is no display (DISPLAY is not set)");
  if (!is_reachable(display)) fail_usage("no window can be shown: nothing answers at the display ", display);
}

}  // namespace

namespace {

/// Window toolkits belong to one thread: this one, which does one thing at a time for whoever asks. All windows share
/// it, and it ends with the last of them.
class WindowThread {
 public:
  using Message = std::array<char, 512>;

  static std::shared_ptr<WindowThread> get() {
    static std::mutex guard;
    static std::weak_ptr<WindowThread> running;
    const std::lock_guard lock(guard);
    std::shared_ptr<WindowThread> thread = running.lock();
    if (!thread) running = thread = std::make_shared<WindowThread>();
    return thread;
  }

  ~WindowThread() {
    {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// Errors: what the call says, after the window's title.
  template <class Call>
  void run(const std::string& title, const Call& call) {
    const std::lock_guard turn(callers_);
    Message message{};
    int status = kVitkitVideoOk;
    std::unique_lock lock(mutex_);
    work_ = [&] { status = call(message.data(), message.size()); };
    changed_.notify_all();
    changed_.wait(lock, [&] { return !work_; });
    check(status == kVitkitVideoOk, "the window ", title, ": ", message.data());
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return leaving_ || work_; });
      if (!work_) return;
      work_();
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex callers_, mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  bool leaving_ = false;
  std::thread thread_{[this] { serve(); }};
};

}  // namespace

struct VideoWindow::Impl {
  const VitkitWindowTable* table = nullptr;
  std::string title;
  std::shared_ptr<WindowThread> thread = WindowThread::get();
};

VideoWindow::VideoWindow(const std::string& title) {
  require_display();
  impl_ = std::make_unique<Impl>();
  impl_->table = &detail::devices_module().window;
  impl_->title = title;
  impl_->thread->run(title,
                     [&](char* message, size_t size) { return impl_->table->open(title.c_str(), message, size); });
}

VideoWindow::~VideoWindow() {
  try {
    impl_->thread->run(impl_->title, [&](char*, size_t) {
      impl_->table->close(impl_->title.c_str());
      return static_cast<int>(kVitkitVideoOk);
    });
  } catch (const std::exception&) {  // nothing more to show
  }
}

bool VideoWindow::show(const Image& frame) {
  check(frame.defined(), "the window ", impl_->title, ": there is no frame");
  int closed = 0;
  impl_->thread->run(impl_->title, [&](char* message, size_t size) {
    return impl_->table->show(impl_->title.c_str(), frame.row(0), frame.height(), frame.width(), &closed, message,
                              size);
  });
  return closed == 0;
}

}  // namespace vit
