#include "tests/support/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "tests/support/env.h"
#include "tests/support/temp_dir.h"

namespace vit::test {

namespace {

constexpr unsigned kSecondsAtMost = 120;

/// In the child: the program with its files, or nothing.
[[noreturn]] void become(const std::vector<std::string>& command, const TempDir& dir, const CommandOptions& options) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string out = options.stdout_file.empty() ? (dir / "out").string() : options.stdout_file;
  dup2(open((dir / "in").c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open((dir / "err").c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
  if (options.closed_stdout) {
    int ends[2];
    if (pipe(ends) != 0) _exit(127);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
  } else {
    dup2(open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
  }
  alarm(kSecondsAtMost);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

std::vector<std::string> CommandResult::lines() const {
  std::vector<std::string> all;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

CommandResult run_command(const std::vector<std::string>& command, const CommandOptions& options) {
  const TempDir dir;
  dir.write("in", options.input);
  dir.write("out", "");
  dir.write("err", "");
  CommandResult result;
  const pid_t child = fork();
  if (child == 0) become(command, dir, options);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = slurp(dir / "out");
  result.err = slurp(dir / "err");
  return result;
}

CommandResult run_vitkit(const std::vector<std::string>& arguments, const CommandOptions& options) {
  const ScopedEnv home("VITKIT_HOME", VITKIT_SOURCE_DIR);
  std::vector<std::string> command = {VITKIT_BINARY};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, options);
}

}  // namespace vit::test
