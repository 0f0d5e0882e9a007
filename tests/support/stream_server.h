// A server of video streams on this machine's loopback, for tests of what goes wrong: each connection runs a script
// that sends frames, waits, changes size, closes half or breaks off.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace vit::test {

class StreamServer;

/// One client, inside its script. Whatever cannot be sent because the client has gone is not an error.
class StreamConnection {
 public:
  StreamConnection(StreamServer& server, int socket, int number) : server_(server), socket_(socket), number_(number) {}
  ~StreamConnection();
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;

  int number() const { return number_; }  ///< from 0, in the order in which they came
  /// False: the client has gone, or the server is closing.
  bool send(std::string_view bytes);
  /// The head of an answer of motion JPEG (multipart/x-mixed-replace).
  bool begin_mjpeg();
  /// A part with a numbered frame (film.h).
  bool frame(int64_t number, int64_t height = 48, int64_t width = 64);
  /// `count` frames, numbered from `first`, one every so many seconds.
  bool frames(int64_t first, int64_t count, double every_s = 0.01, int64_t height = 48, int64_t width = 64);
  /// False: the server is closing.
  bool sleep(double seconds);
  /// Says nothing more, until the server closes.
  void stall();
  /// No more bytes from here; the client may still talk.
  void half_close();
  /// Breaks the connection off (RST).
  void reset();

 private:
  StreamServer& server_;
  int socket_;
  int number_;
};

class StreamServer {
 public:
  using Script = std::function<void(StreamConnection&)>;
  /// Listens on a free port. The script runs on a thread of its own per connection, after the request was read, and the
  /// connection is closed when it returns.
  explicit StreamServer(Script script);
  ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  /// "http://127.0.0.1:PORT/NAME".
  std::string url(const std::string& name = "stream.mjpg") const;
  int port() const { return port_; }
  /// Connections so far.
  int connections() const { return accepted_; }

 private:
  friend class StreamConnection;
  void accept_all();
  void serve(int socket, int number);
  /// False: closing.
  bool wait(double seconds);

  Script script_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> accepted_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace vit::test
