// vitkit ablate: equal conditions for all variants, results that survive kills and failures, and refusals before
// anything is trained.
#include <chrono>
#include <thread>

#include "tests/apps/train_verb.h"
#include "vit/core/rng.h"
#include "vit/core/timer.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kAblation = R"(
ablation:
  rounds: 1
  variants:
    - self
    - {name: normed, attention: {type: self, qk_norm: layernorm}}
    - {name: mixed, attention: [self, {type: self, qkv_bias: false}]}
)";

class AblateVerb : public TrainVerb {
 protected:
  AblateVerb() {
    const std::string model = "num_classes: 10, class_token: false, global_pool: avg}";
    std::string text = kTinyTraining;
    text.replace(text.find("num_classes: 10}"), std::string("num_classes: 10}").size(), model);
    config_ = dir_.write("plain.yaml", text).string();
    ablation_ = dir_.write("ablation.yaml", "__include__: plain.yaml\n" + std::string(kAblation)).string();
  }

  std::vector<std::string> ablate_command(const std::string& folder, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"ablate", ablation_, "output=" + path(folder), "--threads", "2"});
    return more;
  }
  CommandResult ablate(const std::string& folder, std::vector<std::string> more = {}) const {
    return run_vitkit(ablate_command(folder, std::move(more)));
  }
  /// The weights of every variant.
  std::vector<std::string> weights(const std::string& folder) const {
    std::vector<std::string> all;
    for (const char* name : {"self", "normed", "mixed"})
      all.push_back(slurp(dir_ / folder / name / "checkpoints/last/model.safetensors"));
    return all;
  }
  /// Results without what differs between equal runs.
  static std::vector<json> figures(std::vector<json> lines) {
    for (json& line : lines) line.erase("images_per_s");
    return lines;
  }
  std::vector<std::string> leftovers(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / folder))
      if (entry.path().filename().string().ends_with(".tmp")) names.push_back(entry.path());
    return names;
  }

  std::string ablation_;
};

TEST_F(AblateVerb, TrainsAllVariantsAlikeAndMeasuresThem) {
  const CommandResult result = ablate("out", {"--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 3u);
  const std::vector<std::string> names = {"self", "normed", "mixed"};
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["name"], names[i]);
    EXPECT_EQ(lines[i]["status"], "trained");
    EXPECT_EQ(lines[i]["epochs"], 3);
    EXPECT_EQ(lines[i]["steps"], 24);
    for (const char* key :
         {"loss", "val_loss", "top1", "top5", "images_per_s", "params", "gflop", "memory_mb", "train_memory_mb"})
      EXPECT_GE(lines[i].at(key).get<double>(), 0.0) << key;
    EXPECT_GT(lines[i]["images_per_s"].get<double>(), 0.0);
    EXPECT_THAT(result.err, HasSubstr(std::to_string(i + 1) + "/3 " + names[i] + ": top1 "));
  }
  EXPECT_THAT(result.err, HasSubstr("left\n")) << "time that remains";
  EXPECT_EQ(lines[1]["params"], lines[0]["params"].get<int64_t>() + 2 * 4 * 8) << "two norms of 8 in each block";
  EXPECT_EQ(lines[2]["value"], "[self, {type: self, qkv_bias: false}]");

  // A variant is the run that `vitkit train` makes of it.
  ASSERT_EQ(train("plain").status, 0);
  EXPECT_TRUE(slurp(dir_ / "plain/checkpoints/last/model.safetensors") == weights("out")[0]);
  EXPECT_FALSE(weights("out")[1] == weights("out")[0]);

  EXPECT_EQ(json_lines(slurp(dir_ / "out/results.jsonl")), lines);
  const std::string table = slurp(dir_ / "out/table.md"), csv = slurp(dir_ / "out/table.csv");
  EXPECT_THAT(table, testing::StartsWith("| variant | top1 % |"));
  EXPECT_THAT(csv, testing::StartsWith("name,value,status,"));
  for (const std::string& name : names) {
    EXPECT_THAT(table, HasSubstr("\n| " + name + " "));
    EXPECT_THAT(csv, HasSubstr("\n" + name + ","));
  }
  EXPECT_THAT(csv, HasSubstr(R"("[self, {type: self, qkv_bias: false}]")"));
  for (const char* plot : {"speed.png", "flops.png"}) EXPECT_EQ(slurp(dir_ / "out" / plot).substr(1, 3), "PNG");
}

TEST_F(AblateVerb, WhatIsThereIsKept) {
  const CommandResult first = ablate("out", {"--format", "json", "ablation.variants=[self]"});
  ASSERT_EQ(first.status, 0) << first.err;
  const CommandResult again = ablate("out", {"--format", "json", "ablation.variants=[self]"});
  EXPECT_EQ(again.out, first.out) << "measured once";
  EXPECT_THAT(again.err, Not(HasSubstr("measuring")));

  const CommandResult more = ablate("out", {"--format", "json"});
  ASSERT_EQ(more.status, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("3 variants of model.attention, 1 trained already"));
  EXPECT_THAT(more.err, Not(HasSubstr("1/3 self")));
  EXPECT_EQ(figures(json_lines(more.out))[0], figures(json_lines(first.out))[0]);

  const auto written = fs::last_write_time(dir_ / "out/self/checkpoints/last/model.safetensors");
  const CommandResult measured = ablate("out", {"--format", "json", "--measure"});
  ASSERT_EQ(measured.status, 0) << measured.err;
  EXPECT_THAT(measured.err, HasSubstr("measuring the speed of 3 models"));
  EXPECT_EQ(figures(json_lines(measured.out)), figures(json_lines(more.out)));
  EXPECT_EQ(json_lines(slurp(dir_ / "out/results.jsonl")), json_lines(measured.out));
  EXPECT_EQ(fs::last_write_time(dir_ / "out/self/checkpoints/last/model.safetensors"), written);

  // Another configuration is another ablation.
  expect_error(ablate("out", {"lr=0.01"}), 2, {"variant 'self'", "config.yaml", "about: lr", "--overwrite"});
  expect_error(ablate("out", {"ablation.variants=[{name: normed, attention: self}]"}), 2, {"variant 'normed'"});
  const CommandResult anew = ablate("out", {"--overwrite", "--format", "json", "epochs=1", "warmup_epochs=0"});
  ASSERT_EQ(anew.status, 0) << anew.err;
  EXPECT_EQ(json_lines(anew.out)[0]["epochs"], 1);
}

TEST_F(AblateVerb, KilledAtAnyMomentItGoesOn) {
  const Timer timer;
  const CommandResult whole = ablate("whole", {"--format", "json"});
  ASSERT_EQ(whole.status, 0) << whole.err;
  const double seconds = timer.seconds();
  Rng rng(1, Rng::stream_of("ablate_test"));
  int killed = 0;
  for (bool ended = false; !ended;) {
    RunningVitkit run(ablate_command("killed"), dir_ / "err");
    const double life = 0.7 * seconds * rng.uniform();
    for (const Timer alive; killed < 8 && alive.seconds() < life && run.is_running();)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (killed < 8) run.send(SIGKILL);
    const int status = run.wait();
    ended = status != 128 + SIGKILL;
    killed += ended ? 0 : 1;
    ASSERT_TRUE(!ended || status == 0) << slurp(dir_ / "err");
  }
  EXPECT_GT(killed, 0);
  EXPECT_TRUE(weights("killed") == weights("whole"));
  EXPECT_EQ(figures(json_lines(slurp(dir_ / "killed/results.jsonl"))), figures(json_lines(whole.out)));
  EXPECT_THAT(leftovers("killed"), testing::IsEmpty());
}

TEST_F(AblateVerb, CtrlCEndsWithACheckpoint) {
  ASSERT_EQ(ablate("whole").status, 0);
  RunningVitkit run(ablate_command("out"), dir_ / "err");
  while (run.is_running() && checkpoints("out/normed").empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  run.send(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_THAT(slurp(dir_ / "err"), HasSubstr("the same command goes on"));
  EXPECT_FALSE(fs::exists(dir_ / "out/table.md"));
  const CommandResult rest = ablate("out");
  ASSERT_EQ(rest.status, 0) << rest.err;
  EXPECT_TRUE(weights("out") == weights("whole"));
}

TEST_F(AblateVerb, AFailureIsAResult) {
  // Any key can be the one that varies.
  const std::vector<std::string> rates = {"ablation.key=lr", "ablation.variants=[1e15, 0.002]", "clip_grad=null",
                                          "--format", "json"};
  const CommandResult result = ablate("out", rates);
  EXPECT_EQ(result.status, 1) << result.err;
  const std::vector<json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["status"], "failed");
  EXPECT_THAT(lines[0]["reason"].get<std::string>(), HasSubstr("A lower lr"));
  EXPECT_TRUE(lines[0]["images_per_s"].is_null());
  EXPECT_EQ(lines[1]["name"], "0.002");
  EXPECT_EQ(lines[1]["status"], "trained");
  EXPECT_THAT(slurp(dir_ / "out/table.md"), HasSubstr("- 1e15 failed: "));
  EXPECT_THAT(slurp(dir_ / "out/table.md"), HasSubstr("| failed |"));
  const CommandResult again = ablate("out", rates);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("1 trained already")) << "what failed is tried again";
}

TEST_F(AblateVerb, RefusesBeforeAnythingIsTrained) {
  const auto refused = [&](const std::string& variants, const std::vector<std::string>& words) {
    expect_error(ablate("out", {"ablation.variants=" + variants}), 2, words);
  };
  refused("[]", {"nothing to compare"});
  refused("[self, self]", {"two variants have the name 'self'"});
  refused("[self, slef]", {"variant 'slef'", "did you mean 'self'"});
  refused("[self, {type: self, qkv_bais: true}]", {"two variants"});
  refused("[self, {name: b, attention: {type: self, qkv_bais: true}}]", {"variant 'b'", "did you mean 'qkv_bias'"});
  refused("[{name: ../up, attention: self}]", {"'../up' cannot be the name"});
  refused("[{name: .hidden, attention: self}]", {"cannot be the name"});
  refused("[{name: a, atention: self}]", {"atention", "`name` and `attention`"});
  refused("[{name: a}]", {"needs its value under `attention`"});
  refused("[[self, self]]", {"expected a name"});
  refused("[{name: a, attention: [self]}]", {"variant 'a'", "depth = 2, got 1"});
  expect_error(ablate("out", {"ablation.key=.model"}), 2, {"ablation.key"});
  expect_error(ablate("out", {"ablation.key=model.depht", "ablation.variants=[2]"}), 2,
               {"variant '2'", "did you mean 'depth'"});
  expect_error(ablate("out", {"ablation.rounds=0"}), 2, {"rounds"});
  expect_error(ablate("out", {"ablation.round=2"}), 2, {"did you mean 'rounds'"});
  expect_error(ablate("out", {"ablation.key=output", "ablation.variants=[a, b]"}), 2, {"ablation.key", "results"});
  expect_error(ablate("out", {"max_minutes=1"}), 2, {"max_minutes", "epochs"});
  expect_error(ablate("out", {"batch_size=8", "max_memory_gb=0.001"}), 2, {"variant 'self'", "max_memory_gb"});
  expect_error(ablate("out", {"--measure"}), 2, {"'self' is not trained yet"});
  expect_error(ablate("out", {"--measure", "--overwrite"}), 2, {"contradict"});
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  expect_error(run_vitkit({"ablate", config_}), 2, {"there is no `ablation`"});
  expect_error(run_vitkit({"ablate", path("none.yaml")}), 2, {"none.yaml"});
  expect_error(run_vitkit({"ablate"}), 2, {"CONFIG"});

  // The folder of a training run is not taken over.
  ASSERT_EQ(train("run", {"epochs=1", "warmup_epochs=0"}).status, 0);
  expect_error(ablate("run"), 2, {"holds a training run"});
  dir_.write("out/self/result.json", "{\"name\": 3}");
  expect_error(ablate("out"), 2, {"result.json", "remove it"});
}

TEST_F(AblateVerb, OneAtATime) {
  RunningVitkit run(ablate_command("out", {"epochs=200"}), dir_ / "err");
  while (run.is_running() && checkpoints("out/self").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  expect_error(ablate("out", {"epochs=200"}), 2, {"another run is writing to"});
}

TEST_F(AblateVerb, HelpHasTheSectionAndExamples) {
  const CommandResult help = run_vitkit({"ablate", "--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* words : {"variants:", "--measure", "--overwrite", "EXAMPLES", "key: model.attention"})
    EXPECT_THAT(help.out, HasSubstr(words));
}

}  // namespace
}  // namespace vit::test
