// What `vitkit train` is given by mistake: a message that names the place and the way out, the right status, nothing
// lost.
#include <thread>

#include "tests/apps/train_verb.h"
#include "tests/support/image_encode.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class TrainBadInput : public TrainVerb {
 protected:
  /// An ImageFolder with `count` pictures in each of two classes, for training and for validation.
  std::string pictures(const std::string& name, int count = 8) const {
    for (const char* split : {"train", "val"})
      for (const char* label : {"cat", "dog"})
        for (int i = 0; i < count; ++i)
          dir_.write(name + "/" + split + "/" + label + "/" + std::to_string(i) + ".jpg",
                     encode_jpeg(pattern(32 + i, label[0] == 'c' ? 40 : 33)));
    return path(name);
  }
  /// A run on such a folder instead of scenes.
  std::vector<std::string> on(const std::string& data, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"data_dir=" + data, "val_data_dir=''", "model.num_classes=2", "epochs=1"});
    return more;
  }
  CommandResult train_file(const std::string& yaml) const {
    return run_vitkit({"train", dir_.write("other.yaml", yaml).string(), "output=" + path("run")});
  }
};

TEST_F(TrainBadInput, ConfigurationIsStrict) {
  expect_error(train_file("model: vit_tiny_patch16_224\nepoch: 3\n"), 2,
               {"other.yaml:2", "unknown key 'epoch'", "did you mean 'epochs'"});
  expect_error(train_file("model: vit_tiny_patch16_224\nlr: fast\n"), 2, {"other.yaml:2", "lr", "a number", "'fast'"});
  expect_error(train_file("lr: [1, 2\n"), 2, {"other.yaml", "not YAML"});
  expect_error(train_file("data_dir: scenes:1:8:32\n"), 2, {"`model` is not given", "model=DIR"});
  expect_error(train_file("model: vit_tiny_patch16_224\n"), 2, {"data_dir is not set"});
  expect_error(train_file("model: {type: vit, depht: 3}\ndata_dir: scenes:1:60:32\nval_data_dir: scenes:2:8:32\n"), 2,
               {"other.yaml:1", "depht", "did you mean 'depth'"});
  expect_error(train("run", {"data_dir=" + path("nowhere")}), 2, {path("nowhere"), "no such folder"});
  expect_error(train("run", {"batchsize=3"}), 2, {"batchsize", "did you mean 'batch_size'"});
  expect_error(train("run", {"lr"}), 2, {"lr"});
  expect_error(run_vitkit({"train", path("none.yaml")}), 2, {"none.yaml"});
  expect_error(run_vitkit({"train"}), 2, {"CONFIG"});
  expect_error(train("run", {"--resume", "--overwrite"}), 2, {"contradict"});
  EXPECT_FALSE(fs::exists(dir_ / "run")) << "a refused run leaves nothing";
}

TEST_F(TrainBadInput, ConfigurationIsBounded) {
  expect_error(train_file(std::string(100 << 20, '#')), 2, {"other.yaml", "longer than the limit"});
  expect_error(train_file("model: " + std::string(500000, '[')), 2, {"other.yaml:1", "nested deeper than"});
  expect_error(train("run", {"model=" + std::string(50000, '{')}), 2, {"nested deeper than"});
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += str("a", i, ": &a", i, " [");
    for (int k = 0; k < 10; ++k) bomb += str(k ? ", " : "", "*a", i - 1);
    bomb += "]\n";
  }
  expect_error(train_file(bomb), 2, {"other.yaml", "aliases expanded"});
  expect_error(train_file("__include__: other.yaml\n"), 2, {"other.yaml:1", "includes itself"});
}

TEST_F(TrainBadInput, MetricThatNobodyComputesIsRefusedBeforeTraining) {
  const CommandResult result = train("run", {"eval_metric=top2"});
  expect_error(result, 2, {"eval_metric", "'top2'", "top1, top5, loss"});
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(train("run", {"epochs=1", "warmup_epochs=0"}).status, 0) << "the refused attempt is in nobody's way";
}

TEST_F(TrainBadInput, AdversarialTrainingIsBounded) {
  expect_error(train("run", {"adversarial={eps: 0}"}), 2, {"adversarial", "eps must be above 0"});
  expect_error(train("run", {"adversarial={eps: 8}"}), 2, {"adversarial", "eps must be at most 1", "0.0314"});
  expect_error(train("run", {"adversarial={epsilon: 0.1}"}), 2,
               {"unknown key 'adversarial.epsilon'", "did you mean 'eps'"});
  const CommandResult result =
      train("run", {"model=rtdetr_tiny", "mixup=0", "cutmix=0", "smoothing=0", "reprob=0", "adversarial={eps: 0.03}"});
  expect_error(result, 2, {"adversarial", "a detector"});
  EXPECT_FALSE(fs::exists(dir_ / "run")) << "a refused run leaves nothing";
}

TEST_F(TrainBadInput, LossThatIsNoNumber) {
  ASSERT_EQ(train("run", {"epochs=1", "warmup_epochs=0"}).status, 0);
  const CommandResult result = train("bad", {"lr=1e30", "warmup_epochs=0", "clip_grad=null", "--format", "json"});
  expect_error(result, 1, {"update", "lower lr"});
  EXPECT_THAT(result.err, testing::AnyOf(HasSubstr("the loss is"), HasSubstr("not finite")));
  for (const std::string& name : checkpoints("bad"))
    EXPECT_TRUE(fs::exists(dir_ / "bad/checkpoints" / name / "train_state.json")) << "what was saved is complete";
  // A run that was good until then keeps what it had.
  const auto weights = slurp(dir_ / "run/checkpoints/last/model.safetensors");
  expect_error(train("run", {"epochs=1", "warmup_epochs=0", "lr=1e30", "--resume"}), 2,
               {"lr", "the values of the run"});
  EXPECT_TRUE(slurp(dir_ / "run/checkpoints/last/model.safetensors") == weights);
}

TEST_F(TrainBadInput, OutputFolderThatIsTaken) {
  ASSERT_EQ(train("run", {"epochs=1", "warmup_epochs=0"}).status, 0);
  const auto before = final_bytes("run");
  expect_error(train("run"), 2, {path("run"), "holds another run", "--resume", "--overwrite", "output="});
  EXPECT_TRUE(final_bytes("run") == before);
  dir_.write("run/notes.txt", "mine");
  const CommandResult replaced = train("run", {"epochs=1", "warmup_epochs=0", "seed=6", "--overwrite"});
  EXPECT_EQ(replaced.status, 0) << replaced.err;
  EXPECT_FALSE(final_bytes("run") == before);
  EXPECT_EQ(slurp(dir_ / "run/notes.txt"), "mine");
  dir_.write("file", "x");
  expect_error(train("file"), 2, {"is a file"});
  expect_error(run_vitkit({"train", config_, "output=/proc/vitkit/run"}), 1, {"/proc/vitkit"});
  if (geteuid() != 0) {
    fs::create_directories(dir_ / "locked");
    fs::permissions(dir_ / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    expect_error(train("locked/run"), 1, {"locked", "ermission denied"});
  }
}

TEST_F(TrainBadInput, OneProcessPerFolder) {
  RunningVitkit first(command("run", {"epochs=1000"}), dir_ / "err");
  while (first.is_running() && checkpoints("run").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  expect_error(train("run", {"epochs=1000", "--resume"}), 2, {"another run is writing", path("run")});
  EXPECT_TRUE(first.is_running());
  first.send(SIGKILL);
  first.wait();
}

TEST_F(TrainBadInput, ResumingSomethingElse) {
  ASSERT_EQ(train("run", {"epochs=1", "warmup_epochs=0"}).status, 0);
  const auto before = final_bytes("run");
  const std::vector<std::string> same = {"epochs=1", "warmup_epochs=0", "--resume"};
  const auto with = [&](const std::string& change) {
    std::vector<std::string> all = same;
    all.push_back(change);
    return all;
  };
  expect_error(train("run", with("model.embed_dim=32")), 2, {"model.embed_dim", "config.yaml"});
  expect_error(train("run", with("data_dir=scenes:7:60:32")), 2, {"data_dir"});
  expect_error(train("run", with("mixup=0.1")), 2, {"mixup"});
  EXPECT_TRUE(final_bytes("run") == before);
  EXPECT_EQ(train("run", with("keep_checkpoints=3")).status, 0) << "what does not change the result may differ";
}

TEST_F(TrainBadInput, DataThatChangedSinceTheRunBegan) {
  const std::string data = pictures("data");
  ASSERT_EQ(train("run", on(data)).status, 0);
  dir_.write("data/train/cat/new.jpg", encode_jpeg(pattern(30, 30)));
  expect_error(train("run", on(data, {"--resume"})), 2,
               {"the training data changed", "16 pictures", "17 pictures", "restore it"});
  fs::remove(dir_ / "data/train/cat/new.jpg");
  EXPECT_EQ(train("run", on(data, {"--resume"})).status, 0);
  fs::rename(dir_ / "data/val/dog/1.jpg", dir_ / "data/val/cat/x.jpg");
  expect_error(train("run", on(data, {"--resume"})), 2, {"the validation data changed"});
}

TEST_F(TrainBadInput, ClassesAndLabels) {
  const std::string data = pictures("data");
  fs::create_directories(dir_ / "data/train/fish");
  expect_error(train("run", on(data)), 2, {"'fish'", "no picture", "allow_empty_classes"});
  fs::remove(dir_ / "data/train/fish");
  dir_.write("data/val/bird/0.jpg", encode_jpeg(pattern(30, 30)));
  expect_error(train("run", on(data)), 2, {"bird"});
  std::string batch;
  for (const char label : {'\0', '\1', '\x11'}) batch += label + std::string(3072, 'x');
  for (int i = 1; i <= 5; ++i) dir_.write("cifar/data_batch_" + std::to_string(i) + ".bin", batch);
  dir_.write("cifar/test_batch.bin", batch);
  expect_error(train("run", on(path("cifar"))), 2, {"label 17", "10 classes"});
  expect_error(train("run", {"class_weights=[1, 2]"}), 2, {"class_weights", "2 numbers", "10 classes"});
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

TEST_F(TrainBadInput, BatchThatDoesNotFit) {
  expect_error(train("run", {"batch_size=65536", "max_memory_gb=0.2"}), 2,
               {"batch_size 65536 needs about", "0.20 GB are allowed", "grad_accum_steps"});
  EXPECT_FALSE(fs::exists(dir_ / "run"));
  // More than any machine has: refused by the estimate, not by the system in the middle.
  expect_error(train("run", {"batch_size=65536", "model.img_size=[2048, 2048]", "model.patch_size=[64, 64]"}), 2,
               {"batch_size 65536 needs about", "GB are available"});
}

TEST_F(TrainBadInput, PicturesThatCannotBeRead) {
  const std::string data = pictures("data");
  dir_.write("data/train/cat/3.jpg", "no picture");
  const CommandResult tolerant = train("run", on(data, {"max_bad_fraction=0.1", "batch_size=1", "epochs=2"}));
  EXPECT_EQ(tolerant.status, 0) << tolerant.err;
  EXPECT_THAT(tolerant.err, HasSubstr("left out: " + data + "/train/cat/3.jpg"));
  const auto listed = json_lines(slurp(dir_ / "run/quarantine.jsonl"));
  ASSERT_EQ(listed.size(), 1u) << "once, however many epochs";
  EXPECT_EQ(listed[0]["source"], data + "/train/cat/3.jpg");
  EXPECT_NE(listed[0]["reason"], "");
  const CommandResult strict = train("strict", on(data, {"max_bad_fraction=0"}));
  expect_error(strict, 1, {"1 of 16 pictures cannot be read", "max_bad_fraction", "train/cat/3.jpg"});
  EXPECT_EQ(json_lines(slurp(dir_ / "strict/quarantine.jsonl")).size(), 1u);
  EXPECT_EQ(slurp(dir_ / "data/train/cat/3.jpg"), "no picture") << "the user's files stay as they are";
}

/// Batches without any readable picture are left out; a run that was killed goes on at the right place all the same.
TEST_F(TrainBadInput, UnreadableBatchesAndResuming) {
  const std::string data = pictures("data");
  for (const char* bad : {"cat/1.jpg", "cat/4.jpg", "dog/2.jpg"}) dir_.write(std::string("data/train/") + bad, "x");
  const std::vector<std::string> how = {"max_bad_fraction=0.5",  "batch_size=1", "epochs=2",
                                        "checkpoint_interval=1", "mixup=0",      "cutmix=0"};
  const CommandResult whole = train("whole", on(data, how));
  ASSERT_EQ(whole.status, 0) << whole.err;
  std::vector<std::string> part = how;
  part.insert(part.end(), {"max_minutes=0.00001", "--resume"});
  int parts = 0;
  for (bool finished = false; !finished; ++parts) {
    ASSERT_LT(parts, 60);
    const CommandResult result = train("parts", on(data, part));
    ASSERT_EQ(result.status, 0) << result.err;
    finished = result.err.find("goes on") == std::string::npos;
  }
  EXPECT_GT(parts, 4);
  expect_same_run("whole", "parts");
  EXPECT_EQ(json_lines(slurp(dir_ / "parts/quarantine.jsonl")).size(), 3u);
}

/// A file size limit stands for a full disk: the write fails in the middle of a checkpoint.
TEST_F(TrainBadInput, FullDisk) {
  const std::vector<std::string> how = {"epochs=1", "warmup_epochs=0"};
  ASSERT_EQ(train("run", how).status, 0);
  const auto before = final_bytes("run");
  const auto limited = [&](const std::string& kilobytes, const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {"/bin/bash", "-c", "ulimit -f " + kilobytes + "; exec \"$0\" \"$@\"",
                                      VITKIT_BINARY};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const ScopedEnv home("VITKIT_HOME", VITKIT_SOURCE_DIR);
    return run_command(words);
  };
  const CommandResult result = limited("8", command("full", how));
  expect_error(result, 1, {"cannot save the checkpoint", "File too large"});
  EXPECT_THAT(checkpoints("full"), testing::IsEmpty());
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "full"))
    EXPECT_FALSE(entry.path().filename().string().ends_with(".tmp")) << entry.path();
  // With room again the same run comes to the same end.
  std::vector<std::string> resume = how;
  resume.push_back("--resume");
  const CommandResult rest = train("full", resume);
  ASSERT_EQ(rest.status, 0) << rest.err;
  EXPECT_TRUE(final_bytes("full") == before);
}

}  // namespace
}  // namespace vit::test
