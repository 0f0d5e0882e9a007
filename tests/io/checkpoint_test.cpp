#include "vit/io/checkpoint.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::ScopedEnv;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A home and a hub cache of the test's own: nothing of the machine's is seen.
class CheckpointTest : public ::testing::Test {
 protected:
  std::string error(const std::string& model) {
    return usage_error([&] { Checkpoint::open(model); });
  }
  void write_checkpoint(const std::string& folder) {
    dir_.write(folder + "/config.json", R"({"model_type": "vit", "hidden_size": 32})");
    write_safetensors(dir_ / (folder + "/model.safetensors"), {{"x", Tensor::full({2}, 1)}});
  }

  TempDir dir_;
  std::string home_path_ = (dir_ / "home").string();
  ScopedEnv home_{"VITKIT_HOME", (std::filesystem::create_directories(home_path_), home_path_)};
  ScopedEnv hub_{"HF_HUB_CACHE", (dir_ / "hub").string()};
};

TEST_F(CheckpointTest, AFolder) {
  write_checkpoint("m");
  const Checkpoint checkpoint = Checkpoint::open((dir_ / "m").string());
  EXPECT_TRUE(checkpoint.has_weights());
  EXPECT_EQ(checkpoint.dir(), dir_ / "m");
  EXPECT_EQ(checkpoint.config()["hidden_size"], 32);
  EXPECT_EQ(checkpoint.weights().get("x").numel(), 2);
  EXPECT_EQ(checkpoint.preprocessor(), nullptr);
  EXPECT_TRUE(checkpoint.file("tokenizer.json").empty());
  dir_.write("m/tokenizer.json", "{}");
  EXPECT_EQ(checkpoint.file("tokenizer.json"), dir_ / "m/tokenizer.json");
}

TEST_F(CheckpointTest, ARunStandsForItsBestCheckpointElseItsLast) {
  write_checkpoint("run/checkpoints/step-00000002");
  write_checkpoint("run/checkpoints/step-00000001");
  std::filesystem::create_symlink("step-00000002", dir_ / "run/checkpoints/last");
  EXPECT_EQ(Checkpoint::open((dir_ / "run").string()).dir(), dir_ / "run/checkpoints/step-00000002");
  std::filesystem::create_symlink("step-00000001", dir_ / "run/checkpoints/best");
  EXPECT_EQ(Checkpoint::open((dir_ / "run").string()).dir(), dir_ / "run/checkpoints/step-00000001");
}

TEST_F(CheckpointTest, Preprocessor) {
  write_checkpoint("m");
  dir_.write("m/preprocessor_config.json", R"({"size": 224})");
  const Checkpoint checkpoint = Checkpoint::open((dir_ / "m").string());
  ASSERT_NE(checkpoint.preprocessor(), nullptr);
  EXPECT_EQ((*checkpoint.preprocessor())["size"], 224);
}

TEST_F(CheckpointTest, FilesAreReadWhenTheyAreAskedFor) {
  dir_.write("m/config.json", "[1]");
  dir_.write("m/preprocessor_config.json", "{");
  dir_.write("m/model.safetensors", "short");
  const Checkpoint checkpoint = Checkpoint::open((dir_ / "m").string());
  EXPECT_THAT(usage_error([&] { checkpoint.config(); }),
              AllOf(HasSubstr("config.json"), HasSubstr("expected an object")));
  EXPECT_THAT(usage_error([&] { checkpoint.preprocessor(); }), HasSubstr("preprocessor_config.json: not JSON"));
  EXPECT_THAT(usage_error([&] { checkpoint.weights(); }), HasSubstr("model.safetensors"));
  dir_.write("deep/config.json", std::string(10'000, '['));
  dir_.write("deep/model.safetensors", "short");
  EXPECT_THAT(usage_error([&] { Checkpoint::open((dir_ / "deep").string()).config(); }), HasSubstr("nested deeper"));
}

TEST_F(CheckpointTest, IncompleteFoldersAreRefused) {
  std::filesystem::create_directory(dir_ / "empty");
  EXPECT_THAT(error((dir_ / "empty").string()), HasSubstr("the folder is empty"));
  dir_.write("plain/notes.txt", "x");
  EXPECT_THAT(error((dir_ / "plain").string()), AllOf(HasSubstr("no config.json"), HasSubstr("notes.txt")));
  dir_.write("bare/config.json", "{}");
  EXPECT_THAT(error((dir_ / "bare").string()), AllOf(HasSubstr("no weights"), HasSubstr("config.json")));
  dir_.write("file.safetensors", "x");
  EXPECT_THAT(error((dir_ / "file.safetensors").string()), HasSubstr("the folder that holds"));
}

TEST_F(CheckpointTest, PicklesAreRefusedWithTheCommandThatConvertsThem) {
  for (const std::string pickle : {"pytorch_model.bin", "weights.pth", "model.pt"}) {
    const TempDir dir;
    dir.write("config.json", "{}");
    dir.write(pickle, "x");
    const std::string message = error(dir.path().string());
    EXPECT_THAT(message, AllOf(HasSubstr(pickle), HasSubstr("python3 -c \"import torch, safetensors.torch as s; "),
                               HasSubstr("torch.load('" + (dir / pickle).string() + "', map_location='cpu')"),
                               HasSubstr("'" + (dir / "model.safetensors").string() + "')\"")));
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << "the command is one line";
    write_safetensors(dir / "model.safetensors", {});
    EXPECT_TRUE(Checkpoint::open(dir.path().string()).has_weights()) << "a pickle beside safetensors does not matter";
  }
}

TEST_F(CheckpointTest, PicklesInPartsAreConvertedTogether) {
  dir_.write("m/pytorch_model-00001-of-00002.bin", "x");
  dir_.write("m/pytorch_model-00002-of-00002.bin", "x");
  EXPECT_THAT(error((dir_ / "m").string()),
              HasSubstr("glob.glob('" + (dir_ / "m").string() + "/pytorch_model-*.bin')"));
}

TEST_F(CheckpointTest, TheCommandSurvivesOddFolderNames) {
  dir_.write("it's $5 \"q\"/pytorch_model.bin", "x");
  EXPECT_THAT(error((dir_ / "it's $5 \"q\"").string()), HasSubstr("it\\\\'s \\$5 \\\"q\\\""));
}

TEST_F(CheckpointTest, TheHubCache) {
  const std::string repository = "hub/models--org--net";
  write_checkpoint(repository + "/snapshots/aaa");
  write_checkpoint(repository + "/snapshots/bbb");
  dir_.write(repository + "/refs/main", "aaa\n");
  EXPECT_EQ(Checkpoint::open("org/net").dir(), dir_ / (repository + "/snapshots/aaa"));

  dir_.write(repository + "/refs/main", "gone");
  const auto now = std::filesystem::file_time_type::clock::now();
  std::filesystem::last_write_time(dir_ / (repository + "/snapshots/aaa"), now);
  std::filesystem::last_write_time(dir_ / (repository + "/snapshots/bbb"), now + std::chrono::seconds(10));
  EXPECT_EQ(Checkpoint::open("org/net").dir(), dir_ / (repository + "/snapshots/bbb")) << "else the newest";

  dir_.write(repository + "/refs/main", "../../../home");
  EXPECT_EQ(Checkpoint::open("org/net").dir(), dir_ / (repository + "/snapshots/bbb")) << "refs cannot lead elsewhere";
}

TEST_F(CheckpointTest, TheHubCacheFollowsHfHome) {
  const ScopedEnv no_cache("HF_HUB_CACHE", std::nullopt), no_old_cache("HUGGINGFACE_HUB_CACHE", std::nullopt);
  const ScopedEnv hf_home("HF_HOME", dir_.path().string());
  write_checkpoint("hub/models--org--net/snapshots/aaa");
  EXPECT_EQ(Checkpoint::open("org/net").dir(), dir_ / "hub/models--org--net/snapshots/aaa");
  const ScopedEnv no_hf_home("HF_HOME", std::nullopt), no_xdg("XDG_CACHE_HOME", std::nullopt);
  const ScopedEnv home("HOME", dir_.path().string());
  write_checkpoint(".cache/huggingface/hub/models--org--other/snapshots/aaa");
  EXPECT_TRUE(Checkpoint::open("org/other").has_weights());
}

TEST_F(CheckpointTest, BundledModelsAndConfigurations) {
  write_checkpoint("home/models/tiny");
  dir_.write("home/configs/model/vit_tiny_patch16_224.yaml", "type: vit\n");
  EXPECT_EQ(Checkpoint::open("tiny").dir(), dir_ / "home/models/tiny");
  const Checkpoint config = Checkpoint::open("vit_tiny_patch16_224");
  EXPECT_FALSE(config.has_weights());
  EXPECT_EQ(config.yaml(), dir_ / "home/configs/model/vit_tiny_patch16_224.yaml");
  EXPECT_TRUE(config.file("tokenizer.json").empty());
  EXPECT_EQ(config.preprocessor(), nullptr);
  EXPECT_THAT(usage_error([&] { config.weights(); }), HasSubstr("there are no weights"));
  EXPECT_THAT(usage_error([&] { config.config(); }), HasSubstr("no config.json"));
  EXPECT_EQ(Checkpoint::open(config.yaml().string()).yaml(), config.yaml()) << "its path works as well";
}

TEST_F(CheckpointTest, NotFoundSaysWhatWasTriedAndWhatIsNear) {
  write_checkpoint("home/models/tiny");
  dir_.write("home/configs/model/vit_tiny_patch16_224.yaml", "type: vit\n");
  EXPECT_THAT(error("vit_tiny_patch16_242"),
              AllOf(StartsWith("model 'vit_tiny_patch16_242' was not found (did you mean 'vit_tiny_patch16_224'?)"),
                    HasSubstr("bundled models (tiny)"), HasSubstr("models--vit_tiny_patch16_242")));
  EXPECT_THAT(error("org/net"), HasSubstr((dir_ / "hub/models--org--net").string()));
  EXPECT_THAT(error("/no/such/folder"), AllOf(HasSubstr("was not found"), Not(HasSubstr("hub cache"))));
  EXPECT_THAT(error("../models/tiny"), AllOf(HasSubstr("was not found"), Not(HasSubstr("hub cache"))));
  EXPECT_THAT(error(""), HasSubstr("the name is empty"));
  EXPECT_THAT(error(std::string(10'000, 'x')), HasSubstr("was not found"));
}

}  // namespace
}  // namespace vit
