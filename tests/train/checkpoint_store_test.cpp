// Saving that fails, is killed, or finds leftovers: the newest checkpoint is always complete and the earlier one
// intact.
#include "vit/train/checkpoint_store.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/io/weights.h"

namespace vit {
namespace {

namespace fs = std::filesystem;
using test::failure;
using test::slurp;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

CheckpointContent content(int64_t step, bool is_best = false, int64_t floats = 100) {
  CheckpointContent c;
  c.model = {{"head.weight", Tensor::full({floats}, static_cast<float>(step))}};
  c.files = {{"config.json", "{\"architecture\": \"vit\"}"}};
  c.state.epoch = step / 10;
  c.state.batch = step % 10;
  c.state.step = step;
  c.state.is_best = is_best;
  c.state.metric = 1.0 / (static_cast<double>(step) + 2.0);
  c.state.config = "lr: 0.1\nname: \"\xc3\xa4\"\n";
  c.state.facts = {{"data", "abc"}};
  c.state.tensors = {{"optimizer.step", Tensor::from<int64_t>({step}, {1})},
                     {"optimizer.exp_avg.head.weight", Tensor::full({floats}, 0.5f * static_cast<float>(step))}};
  return c;
}

/// The step of a checkpoint, read back whole; -1 and a failure when any of it is wrong.
int64_t step_in(const fs::path& folder) {
  const TrainState state = read_train_state(folder);
  const float weight = Weights::open(folder).get("head.weight").f32()[3];
  const float average = state.tensors.at("optimizer.exp_avg.head.weight").f32()[3];
  EXPECT_EQ(weight, static_cast<float>(state.step));
  EXPECT_EQ(average, 0.5f * static_cast<float>(state.step));
  return state.step;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(CheckpointStore, SavesAndFindsAgain) {
  const TempDir dir;
  CheckpointStore store(dir / "checkpoints");
  EXPECT_FALSE(store.newest());
  const fs::path saved = store.save(content(12));
  EXPECT_EQ(saved.filename(), "step-00000012");
  EXPECT_EQ(*store.newest(), saved);
  EXPECT_FALSE(store.best());
  EXPECT_THAT(names_in(saved),
              ElementsAre("config.json", "model.safetensors", "train_state.json", "train_state.safetensors"));
  const TrainState state = read_train_state(saved);
  EXPECT_EQ(state.epoch, 1);
  EXPECT_EQ(state.batch, 2);
  EXPECT_EQ(*state.metric, 1.0 / 14.0) << "to the last bit";
  EXPECT_EQ(state.config, content(12).state.config);
  EXPECT_EQ(state.facts.at("data"), "abc");
  EXPECT_EQ(state.tensors.at("optimizer.step").data<int64_t>()[0], 12);
  EXPECT_EQ(step_in(saved), 12);
  EXPECT_EQ(step_in(dir / "checkpoints" / "last"), 12) << "usable by its link";
}

TEST(CheckpointStore, SameContentSameBytes) {
  const TempDir a, b;
  const fs::path first = CheckpointStore(a.path()).save(content(3)),
                 second = CheckpointStore(b.path()).save(content(3));
  for (const std::string& name : names_in(first)) EXPECT_EQ(slurp(first / name), slurp(second / name)) << name;
}

TEST(CheckpointStore, KeepsTheNewestAndTheBest) {
  const TempDir dir;
  CheckpointStore store(dir.path(), 2);
  for (int64_t step = 1; step <= 5; ++step) store.save(content(step, step == 2));
  EXPECT_THAT(dir.entries(), ElementsAre("best", "last", "step-00000002", "step-00000004", "step-00000005"));
  EXPECT_EQ(step_in(*store.best()), 2);
  store.save(content(6, true));
  EXPECT_THAT(dir.entries(), ElementsAre("best", "last", "step-00000005", "step-00000006"));
  EXPECT_EQ(step_in(dir / "best"), 6);
}

TEST(CheckpointStore, ReplacesTheSameStep) {
  const TempDir dir;
  CheckpointStore store(dir.path());
  store.save(content(4));
  CheckpointContent other = content(4);
  other.state.facts["data"] = "new";
  store.save(other);
  EXPECT_EQ(read_train_state(*store.newest()).facts.at("data"), "new");
  EXPECT_THAT(dir.entries(), ElementsAre("last", "step-00000004"));
}

TEST(CheckpointStore, PassesOverDamage) {
  const TempDir dir;
  CheckpointStore store(dir.path(), 9);
  for (int64_t step = 1; step <= 4; ++step) store.save(content(step));
  fs::resize_file(dir / "step-00000004/model.safetensors", 100);
  fs::remove(dir / "step-00000003/train_state.json");
  std::vector<std::string> passed;
  EXPECT_EQ(step_in(*store.newest(&passed)), 2);
  EXPECT_THAT(passed, ElementsAre(AllOf(HasSubstr("step-00000004"), HasSubstr("has 100 bytes")),
                                  AllOf(HasSubstr("step-00000003"), HasSubstr("train_state.json"))));
  CheckpointStore reopened(dir.path());
  EXPECT_EQ(step_in(dir / "last"), 2);
  reopened.save(content(4));
  EXPECT_EQ(step_in(*reopened.newest()), 4) << "a good one takes the damaged one's place";
}

TEST(CheckpointStore, CleansUpAfterAKilledSave) {
  const TempDir dir;
  CheckpointStore(dir.path()).save(content(7));
  dir.write(".step-00000009.new.tmp/model.safetensors", "half");
  dir.write(".step-00000005.gone.tmp/config.json", "{}");
  fs::rename(dir / "step-00000007", dir / ".step-00000007.old.tmp");  // between two renames
  const CheckpointStore store(dir.path());
  EXPECT_THAT(dir.entries(), ElementsAre("last", "step-00000007"));
  EXPECT_EQ(step_in(*store.newest()), 7);
}

TEST(CheckpointStore, LinksAreBroughtUpAfterAKilledSave) {
  const TempDir dir;
  {
    CheckpointStore store(dir.path());
    store.save(content(1, true));
    store.save(content(2, true));
  }
  // As if the kill came right after the rename.
  fs::remove(dir / "last");
  fs::remove(dir / "best");
  fs::create_symlink("step-00000001", dir / "best");
  const CheckpointStore store(dir.path());
  EXPECT_EQ(step_in(*store.best()), 2);
  EXPECT_EQ(step_in(dir / "last"), 2);
}

/// Runs `body` in a child process; its exit status.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(CheckpointStore, FullDiskLeavesTheOlderOne) {
  const TempDir dir;
  CheckpointStore(dir.path()).save(content(1, true));
  const std::string message = (dir / "message").string();
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{100000, 100000};
              setrlimit(RLIMIT_FSIZE, &limit);
              CheckpointStore store(dir.path());
              try {
                store.save(content(2, true, 1000000));
              } catch (const Error& error) {
                FILE* file = std::fopen(message.c_str(), "w");
                std::fputs(error.what(), file);
                std::fclose(file);
                _exit(17);
              }
            }),
            17);
  EXPECT_THAT(slurp(message),
              AllOf(HasSubstr("step 2"), HasSubstr("File too large"), HasSubstr("step-00000001 is intact")));
  fs::remove(message);
  EXPECT_THAT(dir.entries(), ElementsAre("best", "last", "step-00000001")) << "nothing half-written is left";
  EXPECT_EQ(step_in(*CheckpointStore(dir.path()).newest()), 1);
}

/// The saves of a run from step `after` on: 2, 2 again (a run that was resumed), 3 as the best, 4.
void save_after(CheckpointStore& store, int64_t after) {
  for (const int64_t step : {2, 2, 3, 4})
    if (step > after) store.save(content(step, step == 3));
}

enum class Outcome { killed, finished, unable };

/// Runs the saves in a child that is killed at its system call number `stop`; false when it ended before. Nothing on
/// the disk changes between two calls, so killing at each of them is killing at any point.
Outcome killed_at_call(const fs::path& folder, int64_t stop) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    CheckpointStore store(folder);
    save_after(store, 1);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return Outcome::unable;
  for (int64_t call = 0; call < stop; ++call) {
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? Outcome::finished : Outcome::unable;
  }
  ::kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return Outcome::killed;
}

/// All files below a folder with their bytes, and links with their targets.
std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    if (entry.is_symlink())
      files[name] = fs::read_symlink(entry.path()).string();
    else if (entry.is_regular_file())
      files[name] = slurp(entry.path());
  }
  return files;
}

TEST(CheckpointStore, KilledAtAnyPointTheNewestIsComplete) {
  const TempDir begun, whole;
  CheckpointStore(begun.path()).save(content(1, true));
  {
    fs::copy(begun.path(), whole.path(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    CheckpointStore store(whole.path());
    save_after(store, 1);
  }
  // All calls take minutes: every 101st unless the long tests are asked for.
  const int64_t stride = std::getenv("VITKIT_LONG_TESTS") ? 1 : 101;
  int64_t last_step = 1;
  for (int64_t call = 1;; call += stride) {
    const TempDir dir;
    fs::copy(begun.path(), dir.path(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const Outcome outcome = killed_at_call(dir.path(), call);
    if (outcome == Outcome::unable) GTEST_SKIP() << "programs may not be traced here";
    if (outcome == Outcome::finished) break;
    CheckpointStore store(dir.path());
    const auto newest = store.newest();
    ASSERT_TRUE(newest) << "call " << call;
    const int64_t step = step_in(*newest);
    EXPECT_GE(step, last_step) << "call " << call << ": what was saved is lost";
    last_step = step;
    ASSERT_TRUE(store.best());
    EXPECT_EQ(step_in(*store.best()), step >= 3 ? 3 : 1) << "call " << call;
    save_after(store, step);
    ASSERT_TRUE(snapshot(dir.path()) == snapshot(whole.path())) << "call " << call << ": other bytes than unbroken";
  }
  EXPECT_GT(last_step, 1);
}

TEST(TrainState, DamageIsAUsageError) {
  const TempDir dir;
  const fs::path saved = CheckpointStore(dir.path()).save(content(1));
  EXPECT_EQ(find_damage(saved), "");
  const std::string good = slurp(saved / "train_state.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    dir.write("step-00000001/train_state.json", text);
    return usage_error([&] { read_train_state(saved); });
  };
  EXPECT_THAT(with("\"format\": 1", "\"format\": 2"), HasSubstr("later version"));
  EXPECT_THAT(with("\"step\": 1", "\"step\": -1"), HasSubstr("step"));
  EXPECT_THAT(with("\"abc\"", "3"), HasSubstr("facts.data"));
  EXPECT_THAT(with("{", "["), HasSubstr("train_state.json"));
  CheckpointContent bad = content(2);
  bad.files["../config.json"] = "";
  EXPECT_THAT(failure([&] { CheckpointStore(dir.path()).save(bad); }), HasSubstr("plain file name"));
}

}  // namespace
}  // namespace vit
