// Saving that fails, is killed, or finds leftovers: the newest checkpoint is always complete and the earlier one
// intact.
#include "vit/train/checkpoint_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

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

TEST(CheckpointStore, KilledAtAnyPointTheNewestIsComplete) {
  const TempDir dir;
  CheckpointStore(dir.path()).save(content(0, true));
  int64_t last_seen = 0;
  for (int kill = 0; kill < 25; ++kill) {
    const pid_t child = fork();
    if (child == 0) {
      CheckpointStore store(dir.path());
      int64_t step = read_train_state(*store.newest()).step;
      for (;;) {
        ++step;
        store.save(content(step, step % 3 == 0, 20000));
        if (step % 4 == 0) store.save(content(step, step % 3 == 0, 20000));  // the same again: exchanged
      }
    }
    usleep(static_cast<useconds_t>(1500 + 1370 * kill));
    ::kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const CheckpointStore store(dir.path());
    const auto newest = store.newest();
    ASSERT_TRUE(newest) << "kill " << kill;
    const int64_t step = step_in(*newest);
    EXPECT_GE(step, last_seen);
    last_seen = step;
    ASSERT_TRUE(store.best());
    EXPECT_EQ(step_in(*store.best()), step - step % 3) << "the best is the last of every third";
    EXPECT_EQ(fs::read_symlink(dir / "last"), newest->filename());
    EXPECT_EQ(dir.entries().size(), step % 3 == 0 ? 3u : 4u) << "no leftovers";
  }
  EXPECT_GT(last_seen, 3) << "the test must have saved something";
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
