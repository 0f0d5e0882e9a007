// All threads of the toolkit: fixed parts on oneTBB's pool. Nothing else starts a thread. Results never depend on the
// number of threads, because callers choose parts by the problem's size, not by the thread count, wherever order
// matters.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace vit {

/// Limits all parallel work of the process to `threads` (0: all cores). Not to be called while parallel work runs.
/// Errors: negative or above 1024.
void set_num_threads(int threads);
/// Threads that parallel_for uses at most.
int num_threads();

namespace detail {
using PartFunction = void (*)(const void* body, int64_t part);
void run_parts(int64_t parts, PartFunction function, const void* body);
}  // namespace detail

/// Calls body(part) for part = 0..parts-1, on any thread, in any order; returns when all are done. Parts are spread
/// statically: neighbouring parts land on one thread. The body must not throw (kernels and TBB bodies never do).
template <class Body>
void parallel_for(int64_t parts, const Body& body) {
  if (parts <= 0) return;
  if (parts == 1) {
    body(int64_t{0});
    return;
  }
  detail::run_parts(
      parts, [](const void* closure, int64_t part) { (*static_cast<const Body*>(closure))(part); }, &body);
}

/// parallel_for for work that may fail: `body` may throw, and the error of the smallest part is rethrown when all are
/// done.
template <class Body>
void parallel_try(int64_t parts, const Body& body) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(parts));
  parallel_for(parts, [&](int64_t part) {
    try {
      body(part);
    } catch (...) {
      errors[static_cast<size_t>(part)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

/// Half-open range of part `part` when `count` items are split into `parts` nearly equal, ordered parts.
struct Range {
  int64_t begin, end;
};
inline Range part_range(int64_t count, int64_t parts, int64_t part) {
  return {count * part / parts, count * (part + 1) / parts};
}

/// parallel_for over [0, count) in parts of about `grain` items: body(begin, end).
template <class Body>
void parallel_for_range(int64_t count, int64_t grain, const Body& body) {
  const int64_t parts = grain > 0 ? (count + grain - 1) / grain : count;
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(count, parts, part);
    body(range.begin, range.end);
  });
}

/// Background work on the same pool, for pipelines: run() returns at once; wait() helps with the work until all is
/// done, and rethrows the first error of a task. The destructor waits and drops errors that nobody asked for.
class TaskGroup {
 public:
  TaskGroup();
  ~TaskGroup();
  void run(std::function<void()> task);
  void wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
