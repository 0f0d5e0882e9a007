// A run that was stopped anywhere, however often, ends with the bytes of one that was not; so does one on any number of
// threads.
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "tests/apps/train_verb.h"
#include "vit/core/rng.h"
#include "vit/core/timer.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;

constexpr int kNormalKills = 20;
constexpr int kLongKills = 180;  // on top of the normal ones

class TrainKill : public TrainVerb {
 protected:
  /// The run that nothing disturbs; its seconds scale the moments of death.
  void train_undisturbed() {
    const Timer timer;
    const CommandResult result = train("whole");
    ASSERT_EQ(result.status, 0) << result.err;
    seconds_ = timer.seconds();
  }

  /// True while a save is writing: its hidden folder is there.
  bool is_saving(const std::string& folder) const {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(dir_ / folder / "checkpoints", error))
      if (entry.path().filename().string().ends_with(".new.tmp")) return true;
    return false;
  }

  /// Lets the process live for a while, or until one of the next saves is under way, plus a moment.
  void let_live(RunningVitkit& run, const std::string& folder, Rng& rng) const {
    const bool inside_save = rng.uniform() < 0.4f;
    const double seconds = inside_save ? 2.0 * seconds_ : seconds_ * 0.8 * rng.uniform();
    int saves = 1 + static_cast<int>(3.0f * rng.uniform());
    const auto moment = std::chrono::microseconds(static_cast<int>(4000.0f * rng.uniform()));
    bool saving = false;
    for (const Timer timer; timer.seconds() < seconds && run.is_running();) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (!inside_save || std::exchange(saving, is_saving(folder)) || !saving || --saves > 0) continue;
      return std::this_thread::sleep_for(moment);
    }
  }

  /// Starts and kills runs until so many were killed; each that comes to its end is compared and followed by another.
  void kill_often(int kills, uint64_t seed) {
    Rng rng(seed, Rng::stream_of("train_kill_test"));
    std::string folder;
    int killed = 0, finished = 0, lives = 0;
    for (bool ended = true; killed < kills || !ended;) {
      if (ended) folder = "run" + std::to_string(finished);
      RunningVitkit run(command(folder, {"--resume"}), dir_ / "err");
      // The first run is killed on and on; the last one is let go.
      if (killed < kills) let_live(run, folder, rng);
      if (killed < kills) run.send(SIGKILL);
      const int status = run.wait();
      ended = status != 128 + SIGKILL;
      killed += ended ? 0 : 1;
      if (++lives > 20 * kills) FAIL() << "no progress";
      if (!ended) continue;
      ASSERT_EQ(status, 0) << slurp(dir_ / "err");
      expect_same_run("whole", folder);
      EXPECT_THAT(leftovers(folder), testing::IsEmpty());
      if (HasFailure()) FAIL() << folder << " after " << killed << " kills";
      ++finished;
    }
    EXPECT_EQ(killed, kills);
    RecordProperty("runs", finished);
  }

  /// Temporary files and folders anywhere in the run.
  std::vector<std::string> leftovers(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / folder))
      if (entry.path().filename().string().ends_with(".tmp")) names.push_back(entry.path());
    return names;
  }

  double seconds_ = 0.0;
};

TEST_F(TrainKill, AtRandomMoments) {
  train_undisturbed();
  kill_often(kNormalKills, 1);
}

TEST_F(TrainKill, AtManyRandomMoments) {
  if (!std::getenv("VITKIT_LONG_TESTS")) GTEST_SKIP() << "long: ./run test --long";
  train_undisturbed();
  kill_often(kLongKills, 2);
}

TEST_F(TrainKill, SameBytesOnAnyNumberOfThreads) {
  train_undisturbed();
  for (const char* threads : {"1", "8"}) {
    const std::string folder = std::string("threads") + threads;
    const CommandResult result = train(folder, {"--threads", threads});
    ASSERT_EQ(result.status, 0) << result.err;
    expect_same_run("whole", folder);
  }
}

TEST_F(TrainKill, CtrlCEndsWithACheckpoint) {
  train_undisturbed();
  int stopped = 0;
  // On a busy machine a run may be over before the signal is sent.
  for (int attempt = 0; attempt < 8 && stopped < 2; ++attempt) {
    const int signal = stopped == 0 ? SIGINT : SIGTERM;
    const std::string folder = "signal" + std::to_string(attempt);
    RunningVitkit run(command(folder), dir_ / "err");
    while (run.is_running() && checkpoints(folder).empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    run.send(signal);
    EXPECT_EQ(run.wait(), 0);
    const std::string words = slurp(dir_ / "err");
    if (words.find("--resume goes on") == std::string::npos) continue;
    ++stopped;
    EXPECT_THAT(leftovers(folder), testing::IsEmpty());
    const CommandResult rest = train(folder, {"--resume"});
    ASSERT_EQ(rest.status, 0) << rest.err;
    EXPECT_THAT(rest.err, testing::HasSubstr("resumed from"));
    expect_same_run("whole", folder);
  }
  EXPECT_EQ(stopped, 2);
}

TEST_F(TrainKill, ResumingAFinishedRunChangesNothing) {
  train_undisturbed();
  const auto before = final_bytes("whole");
  const CommandResult again = train("whole", {"--resume"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(again.out, "");
  EXPECT_TRUE(final_bytes("whole") == before);
}

TEST_F(TrainKill, MaxMinutesStopsWithACheckpoint) {
  train_undisturbed();
  int parts = 0;
  for (bool finished = false; !finished; ++parts) {
    ASSERT_LT(parts, 60);
    const CommandResult part = train("parts", {"max_minutes=0.000001", "--resume"});
    ASSERT_EQ(part.status, 0) << part.err;
    finished = part.err.find("goes on") == std::string::npos;
  }
  EXPECT_GT(parts, 1);
  expect_same_run("whole", "parts");
}

}  // namespace
}  // namespace vit::test
