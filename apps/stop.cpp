#include "apps/stop.h"

#include <atomic>
#include <csignal>

#include "vit/core/file.h"

namespace apps {

namespace {

std::atomic<bool> is_stopping{false};

extern "C" void request_stop(int signal) {
  if (is_stopping.exchange(true)) {
    vit::remove_unfinished_files();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

void stop_on_signals() {
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, request_stop);
}

bool stop_requested() { return is_stopping.load(); }

}  // namespace apps
