#include "tests/support/stream_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <tuple>

#include "tests/support/film.h"
#include "vit/image/encode.h"

namespace vit::test {

namespace {

constexpr double kForever = 600.0;

/// Encoding takes longer than sending: frames are kept.
const std::string& jpeg_frame(int64_t number, int64_t height, int64_t width) {
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, int64_t>, std::string> known;
  const std::lock_guard lock(mutex);
  std::string& jpeg = known[{number, height, width}];
  if (jpeg.empty()) jpeg = encode_jpeg(numbered_frame(number, height, width));
  return jpeg;
}

/// Reads until the empty line that ends an HTTP request, for two seconds at most.
void read_request(int socket) {
  std::string request;
  char bytes[1024];
  while (request.find("\r\n\r\n") == request.npos) {
    pollfd ready{socket, POLLIN, 0};
    if (poll(&ready, 1, 2000) <= 0) return;
    const ssize_t count = recv(socket, bytes, sizeof bytes, 0);
    if (count <= 0) return;
    request.append(bytes, static_cast<size_t>(count));
  }
}

}  // namespace

StreamConnection::~StreamConnection() {
  if (socket_ >= 0) close(socket_);
}

bool StreamConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    // In steps, so that a client that does not read cannot hold the server at its end.
    pollfd ready{socket_, POLLOUT, 0};
    if (!server_.wait(0.0)) return false;
    if (poll(&ready, 1, 50) <= 0) continue;
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool StreamConnection::begin_mjpeg() {
  return send("HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n");
}

bool StreamConnection::frame(int64_t number, int64_t height, int64_t width) {
  const std::string& jpeg = jpeg_frame(number, height, width);
  return send("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(jpeg.size()) + "\r\n\r\n" +
              jpeg + "\r\n");
}

bool StreamConnection::frames(int64_t first, int64_t count, double every_s, int64_t height, int64_t width) {
  for (int64_t number = first; number < first + count; ++number)
    if (!frame(number, height, width) || !sleep(every_s)) return false;
  return true;
}

bool StreamConnection::sleep(double seconds) { return server_.wait(seconds); }

void StreamConnection::stall() { server_.wait(kForever); }

void StreamConnection::half_close() { shutdown(socket_, SHUT_WR); }

void StreamConnection::reset() {
  const linger at_once{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(socket_);
  socket_ = -1;
}

StreamServer::StreamServer(Script script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener_, name, length), 0);
  EXPECT_EQ(listen(listener_, 64), 0);
  EXPECT_EQ(getsockname(listener_, name, &length), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

StreamServer::~StreamServer() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  acceptor_.join();
  close(listener_);
  for (std::thread& thread : threads_) thread.join();
}

std::string StreamServer::url(const std::string& name) const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/" + name;
}

bool StreamServer::wait(double seconds) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return closing_; });
}

void StreamServer::accept_all() {
  while (wait(0.0)) {
    pollfd ready{listener_, POLLIN, 0};
    if (poll(&ready, 1, 20) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const int number = accepted_++;
    threads_.emplace_back([this, client, number] { serve(client, number); });
  }
}

void StreamServer::serve(int socket, int number) {
  StreamConnection connection(*this, socket, number);
  read_request(socket);
  script_(connection);
}

}  // namespace vit::test
