#include "tests/apps/verb_test.h"
#include "tests/support/env.h"

namespace vit::test {
namespace {

using testing::Contains;
using testing::HasSubstr;

class InfoVerb : public VerbTest {};

TEST_F(InfoVerb, ShowsTheTree) {
  const CommandResult text = run_vitkit({"info", "--model", model()});
  ASSERT_EQ(text.status, 0) << text.err;
  for (const char* words : {"pre-processing: ", "the checkpoint's", "patch_embed", "qkv", "head", "[96, 32]"})
    EXPECT_THAT(text.out, HasSubstr(words));

  const CommandResult json = run_vitkit({"info", "--model", model(), "--format", "json"});
  ASSERT_EQ(json.status, 0);
  const auto lines = records(json);
  int64_t own = 0, bytes = 0;
  for (size_t i = 1; i < lines.size(); ++i)
    for (const auto& [name, shape] : lines[i]["parameters"].items()) {
      int64_t count = 1;
      for (const int64_t extent : shape) count *= extent;
      own += count;
    }
  bytes = lines[0]["bytes"];
  EXPECT_EQ(lines[0]["params"], own) << "every parameter stands once";
  EXPECT_EQ(bytes, 4 * own);
  EXPECT_EQ(lines[0]["classes"], 5);
  EXPECT_GT(lines[0]["flops"].get<double>(), 0.0);
}

TEST_F(InfoVerb, ListsWhatTheBuildKnows) {
  EXPECT_THAT(run_vitkit({"info", "--list", "models"}).lines(), Contains("vit_base_patch16_224"));
  EXPECT_THAT(run_vitkit({"info", "--list", "precisions"}).lines(), testing::ElementsAre("f32"));
  EXPECT_EQ(records(run_vitkit({"info", "--list", "formats", "--format", "json"})).at(0)["kind"], "formats");
  const CommandResult formats = run_vitkit({"info", "--list", "datasets"});
  EXPECT_THAT(formats.lines(), Contains(testing::MatchesRegex("scenes +generated scenes: .*")));
  for (const auto& record : records(run_vitkit({"info", "--list", "datasets", "--format", "json"})))
    EXPECT_NE(record["summary"], "") << record["name"];
  const auto corruptions = records(run_vitkit({"info", "--list", "corruptions", "--format", "json"}));
  ASSERT_EQ(corruptions.size(), 19u);
  EXPECT_EQ(corruptions.at(9)["name"], "fog") << "the paper's order";
  EXPECT_EQ(corruptions.at(9)["summary"], "weather: clouds of a diamond-square fractal");
  EXPECT_THAT(run_vitkit({"info", "--list", "attacks"}).out, testing::HasSubstr("fgsm"));
  EXPECT_THAT(run_vitkit({"info", "--list", "explanations"}).out, testing::HasSubstr("rollout"));
  expect_refused(run_vitkit({"info", "--list", "attention"}), "did you mean 'attentions'");
  expect_refused(run_vitkit({"info", "--list", "models", "--model", model()}), "together");
}

TEST_F(InfoVerb, TabulatesAttentionMechanisms) {
  const ScopedEnv columns("COLUMNS", "100");
  const CommandResult text = run_vitkit({"info", "--list", "attentions"});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.lines(), Contains(testing::MatchesRegex("NAME +FAMILY +COST +OPTIONS")));
  EXPECT_THAT(text.lines(), Contains(testing::MatchesRegex("self +spatial +O\\(N\\^2 C\\) +qkv_bias, qk_norm.*")));
  for (const std::string& line : text.lines()) EXPECT_LE(line.size(), 100u) << line;

  for (const auto& record : records(run_vitkit({"info", "--list", "attentions", "--format", "json"}))) {
    SCOPED_TRACE(record["name"]);
    for (const char* key : {"name", "family", "summary", "formula", "source", "complexity"})
      EXPECT_NE(record.at(key).get<std::string>(), "") << key;
    EXPECT_TRUE(record.at("needs").is_array());
    for (const auto& option : record.at("options")) {
      EXPECT_TRUE(option.contains("default"));
      for (const char* key : {"name", "type", "doc"}) EXPECT_NE(option.at(key).get<std::string>(), "") << key;
    }
  }
}

TEST_F(InfoVerb, DescribesOneMechanismAndDrawsItsScores) {
  const CommandResult text = run_vitkit({"info", "--attention", "self", "--scores", path("self.png")});
  ASSERT_EQ(text.status, 0) << text.err;
  for (const char* words : {"self (spatial)", "softmax(q k^T / sqrt(D)) v", "Vaswani", "qkv_bias (bool; default true)"})
    EXPECT_THAT(text.out, HasSubstr(words));
  const std::string drawn = slurp(dir_ / "self.png");
  EXPECT_EQ(drawn.substr(1, 3), "PNG");
  run_vitkit({"info", "--attention", "{type: self, qk_norm: rmsnorm}", "--scores", path("normed.png")});
  EXPECT_NE(slurp(dir_ / "normed.png"), drawn);
  run_vitkit({"info", "--attention", "self", "--scores", path("again.png"), "--threads", "1"});
  EXPECT_EQ(slurp(dir_ / "again.png"), drawn);

  const CommandResult json = run_vitkit({"info", "--attention", "self", "--format", "json"});
  EXPECT_EQ(records(json).at(0)["options"][0]["default"], true);
}

TEST_F(InfoVerb, RefusesWhatIsNoMechanism) {
  expect_refused(run_vitkit({"info", "--attention", "slef"}), "did you mean 'self'");
  expect_refused(run_vitkit({"info", "--attention", "{type: self, qk_nrom: none}"}), "did you mean 'qk_norm'");
  expect_refused(run_vitkit({"info", "--attention", "[self]"}), "expected a name");
  expect_refused(run_vitkit({"info", "--attention", "self", "--model", model()}), "together");
  expect_refused(run_vitkit({"info", "--scores", path("a.png")}), "--attention");
  expect_refused(run_vitkit({"info", "--attention", "self", "--scores", path("a.txt")}), "'.txt'");
  EXPECT_EQ(run_vitkit({"info", "--attention", "self", "--scores", path("none/a.png")}).status, 1);
}

TEST_F(InfoVerb, TakesTheModelOfATrainingConfiguration) {
  const std::string file =
      dir_.write("window.yaml",
                 "model: {type: vit, dim: 32, depth: 2, num_heads: 4, img_size: [32, 32], patch_size: [4, 4],\n"
                 "        attention: {type: window, window: 4}}\n")
          .string();
  const CommandResult text = run_vitkit({"info", "--model", file});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("attention:      {type: window, window: 4}"));
  const std::string untyped = dir_.write("untyped.yaml", "{type: vit, depth: 2, attention: {window: 4}}\n").string();
  expect_refused(run_vitkit({"info", "--model", untyped}), "`type` is missing");
}

TEST_F(InfoVerb, DescribesTheBuild) {
  const CommandResult result = run_vitkit({"info", "--threads", "1"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("1 threads"));
}

}  // namespace
}  // namespace vit::test
