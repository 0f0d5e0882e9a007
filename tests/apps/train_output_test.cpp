// What `vitkit train` says and leaves behind.
#include "tests/apps/train_verb.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class TrainOutput : public TrainVerb {};

TEST_F(TrainOutput, OneJsonLinePerEpoch) {
  const CommandResult result = train("run", {"--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto epochs = json_lines(result.out);
  ASSERT_EQ(epochs.size(), 3u);
  double best = 0.0;
  for (size_t i = 0; i < epochs.size(); ++i) {
    const auto& epoch = epochs[i];
    for (const char* key :
         {"epoch", "step", "loss", "lr", "top1", "top5", "val_loss", "best", "images_per_s", "waited_share", "seconds"})
      EXPECT_TRUE(epoch.contains(key)) << key;
    EXPECT_EQ(epoch["epoch"], i);
    EXPECT_EQ(epoch["step"], 8 * (i + 1)) << "15 batches in groups of two";
    EXPECT_GT(epoch["loss"], 0.0);
    EXPECT_GE(epoch["top1"], 0.0);
    EXPECT_LE(epoch["top1"], 1.0);
    EXPECT_LE(epoch["top1"], epoch["top5"]);
    EXPECT_EQ(epoch["best"].get<bool>(), i == 0 || epoch["top1"].get<double>() > best);
    best = std::max(best, epoch["top1"].get<double>());
  }
  // The same figures are in the run's own log.
  for (const auto& line : json_lines(slurp(dir_ / "run/metrics.jsonl")))
    if (line.contains("top1")) {
      EXPECT_EQ(line["val_loss"], epochs[line["epoch"].get<size_t>()]["val_loss"]);
    }
}

TEST_F(TrainOutput, TextCsvQuietAndFile) {
  const std::vector<std::string> short_run = {"epochs=1", "warmup_epochs=0"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), short_run.begin(), short_run.end());
    return more;
  };
  const CommandResult text = train("text", short_run);
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, testing::StartsWith("epoch 1/1  loss "));
  EXPECT_THAT(text.out, HasSubstr("top1 "));
  EXPECT_THAT(text.out, HasSubstr(" %"));
  EXPECT_THAT(text.err, HasSubstr("use it with --model " + path("text")));
  const CommandResult quiet = train("quiet", with({"--quiet"}));
  EXPECT_EQ(quiet.status, 0);
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(quiet.lines().size(), 1u);
  const CommandResult csv = train("csv", with({"--format", "csv", "--output", path("epochs.csv")}));
  EXPECT_EQ(csv.status, 0);
  EXPECT_EQ(csv.out, "");
  EXPECT_THAT(slurp(dir_ / "epochs.csv"), testing::StartsWith("epoch,step,loss,lr,top1,top5,val_loss,best"));
  expect_same_run("text", "quiet");
}

TEST_F(TrainOutput, FolderAndCheckpointAreWhatIsPromised) {
  ASSERT_EQ(train("run").status, 0);
  for (const char* name : {"config.yaml", "metrics.csv", "metrics.jsonl", "quarantine.jsonl", "checkpoints/last",
                           "checkpoints/best", "checkpoints/last/config.json", "checkpoints/last/model.safetensors"})
    EXPECT_TRUE(fs::exists(dir_ / "run" / name)) << name;
  EXPECT_THAT(slurp(dir_ / "run/config.yaml"), HasSubstr("checkpoint_interval: 2"));
  EXPECT_LE(checkpoints("run").size(), 2u) << "keep_checkpoints and the best";
  // The resolved configuration reproduces the run, and --seed is its `seed`.
  const CommandResult again = run_vitkit({"train", path("run/config.yaml"), "output=" + path("again")});
  ASSERT_EQ(again.status, 0) << again.err;
  expect_same_run("run", "again");
  const CommandResult seeded = train("seeded", {"seed=1", "--seed", "5"});
  ASSERT_EQ(seeded.status, 0) << seeded.err;
  expect_same_run("run", "seeded");
  const CommandResult evaluated =
      run_vitkit({"evaluate", "--model", path("run/checkpoints/last"), "--data", "scenes:2:20:32", "--format", "json"});
  ASSERT_EQ(evaluated.status, 0) << evaluated.err;
  double top1 = -1.0;
  for (const auto& line : json_lines(slurp(dir_ / "run/metrics.jsonl")))
    if (line.contains("top1")) top1 = line["top1"];
  EXPECT_DOUBLE_EQ(json_lines(evaluated.out).at(0)["top1"].get<double>(), top1);
}

TEST_F(TrainOutput, HelpAndKeys) {
  const CommandResult help = run_vitkit({"train", "--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* words : {"--resume", "--overwrite", "CONFIG", "info --list train_keys", "EXAMPLES"})
    EXPECT_THAT(help.out, HasSubstr(words));
  const CommandResult keys = run_vitkit({"info", "--list", "train_keys", "--format", "json"});
  EXPECT_EQ(keys.status, 0);
  size_t found = 0;
  for (const auto& key : json_lines(keys.out))
    for (const char* name : {"lr", "mixup", "data_dir", "model_ema", "batch_size", "checkpoint_interval"})
      found += key["name"] == name && key["doc"] != "" && key["group"] != "" ? 1 : 0;
  EXPECT_EQ(found, 6u);
  // The document is the list, word for word: `vitkit info --list train_keys` renews it.
  const CommandResult text = run_vitkit({"info", "--list", "train_keys"});
  EXPECT_THAT(slurp(fs::path(VITKIT_SOURCE_DIR) / "docs/configs.md"), HasSubstr(text.out));
}

}  // namespace
}  // namespace vit::test
