// Errors of the toolkit. Everything that can go wrong because of a file, a configuration or a call is a vit::Error
// whose message names the op or file, what was expected and what came. Programming errors inside the toolkit are errors
// as well: a library must not end its host process.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace vit {

/// What kind of thing went wrong; the command line turns it into an exit status (see docs: 1 for kFailure, 2 for
/// kUsage).
enum class ErrorKind {
  kFailure,  ///< a source, the work or an output failed
  kUsage,    ///< wrong options, configuration, model or data: nothing was processed
};

/// The only exception type that leaves the library.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorKind kind = ErrorKind::kFailure)
      : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Joins its arguments into a string with operator<<.
template <class... Args>
std::string str(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// Throws Error{kFailure} with the arguments joined.
template <class... Args>
[[noreturn]] void fail(const Args&... args) {
  throw Error(str(args...));
}

/// Throws Error{kUsage} with the arguments joined.
template <class... Args>
[[noreturn]] void fail_usage(const Args&... args) {
  throw Error(str(args...), ErrorKind::kUsage);
}

/// Checks a condition that a caller can violate; the message is only built when it does not hold.
template <class... Args>
void check(bool condition, const Args&... args) {
  if (!condition) [[unlikely]]
    fail(args...);
}

}  // namespace vit
