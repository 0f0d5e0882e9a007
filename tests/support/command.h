// Runs a program as a shell would, for tests of the command line.
#pragma once

#include <string>
#include <vector>

namespace vit::test {

struct CommandOptions {
  std::string input{};         ///< what the program reads on stdin
  std::string stdout_file{};   ///< a file to be its stdout ("/dev/full"); empty: captured
  bool closed_stdout = false;  ///< stdout is a pipe that nobody reads any more
};

struct CommandResult {
  int status = -1;  ///< exit status; 128 + signal when it was killed (by the clock, too)
  std::string out, err;
  /// Lines of `out`.
  std::vector<std::string> lines() const;
};

/// The program is a path, or a name of PATH. Errors: it cannot be started (status 127). It is killed after two minutes.
CommandResult run_command(const std::vector<std::string>& command, const CommandOptions& options = {});

/// The vitkit of this build, with the configurations of this source tree.
CommandResult run_vitkit(const std::vector<std::string>& arguments, const CommandOptions& options = {});

}  // namespace vit::test
