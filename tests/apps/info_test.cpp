#include "tests/apps/verb_test.h"

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
  EXPECT_THAT(run_vitkit({"info", "--list", "attentions"}).lines(), Contains("self"));
  EXPECT_THAT(run_vitkit({"info", "--list", "precisions"}).lines(), testing::ElementsAre("f32"));
  EXPECT_EQ(records(run_vitkit({"info", "--list", "formats", "--format", "json"})).at(0)["kind"], "formats");
  const CommandResult formats = run_vitkit({"info", "--list", "datasets"});
  EXPECT_THAT(formats.lines(), Contains(testing::MatchesRegex("scenes +generated scenes: .*")));
  for (const auto& record : records(run_vitkit({"info", "--list", "datasets", "--format", "json"})))
    EXPECT_NE(record["summary"], "") << record["name"];
  expect_refused(run_vitkit({"info", "--list", "attention"}), "did you mean 'attentions'");
  expect_refused(run_vitkit({"info", "--list", "models", "--model", model()}), "together");
}

TEST_F(InfoVerb, DescribesTheBuild) {
  const CommandResult result = run_vitkit({"info", "--threads", "1"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("1 threads"));
}

}  // namespace
}  // namespace vit::test
