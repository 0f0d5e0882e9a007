// A vitkit in a process of its own, for tests that kill, stop and misuse it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/env.h"

namespace vit::test {

/// A vitkit that runs beside the test.
class RunningVitkit {
 public:
  RunningVitkit(const std::vector<std::string>& arguments, const std::filesystem::path& stderr_file) {
    const ScopedEnv home("VITKIT_HOME", VITKIT_SOURCE_DIR);
    std::vector<std::string> command = {VITKIT_BINARY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::vector<char*> words;
    for (std::string& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    child_ = fork();
    if (child_ == 0) {
      const int nowhere = open("/dev/null", O_RDWR);
      dup2(nowhere, STDIN_FILENO);
      dup2(nowhere, STDOUT_FILENO);
      dup2(open(stderr_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      alarm(120);
      execv(words[0], words.data());
      _exit(127);
    }
    EXPECT_GT(child_, 0);
  }
  ~RunningVitkit() {
    if (child_ <= 0 || !is_running()) return;
    send(SIGKILL);
    wait();
  }
  RunningVitkit(const RunningVitkit&) = delete;
  RunningVitkit& operator=(const RunningVitkit&) = delete;

  bool is_running() {
    if (child_ > 0 && status_ < 0) take(waitpid(child_, &raw_, WNOHANG));
    return status_ < 0;
  }
  pid_t pid() const { return child_; }
  void send(int signal) {
    if (is_running()) kill(child_, signal);
  }
  /// Its exit status; 128 + signal when it was killed.
  int wait() {
    if (status_ < 0) take(waitpid(child_, &raw_, 0));
    return status_;
  }

 private:
  void take(pid_t ended) {
    if (ended == child_) status_ = WIFEXITED(raw_) ? WEXITSTATUS(raw_) : 128 + WTERMSIG(raw_);
  }

  pid_t child_ = -1;
  int raw_ = 0, status_ = -1;
};

}  // namespace vit::test
