// `vitkit classify --labels`: CLIP as a classifier whose classes are texts.
#include "captioning/zero_shot.h"
#include "tests/apps/verb_test.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_captioner.h"

namespace vit::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ClassifyText : public VerbTest {
 protected:
  ClassifyText() { write_tiny_clip(dir_ / "clip"); }
};

TEST_F(ClassifyText, PicturesAreOfTheTextTheyAreMostAlike) {
  const std::string picture = jpeg("a.jpg");
  const CommandResult result = run_vitkit(
      {"classify", "--model", path("clip"), "--labels", " a cat ,a red star,a dog", "--format", "json", picture});
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json predictions = records(result).at(0)["predictions"];
  ASSERT_EQ(predictions.size(), 3u);
  double sum = 0.0;
  std::vector<std::string> texts = {"a cat", "a red star", "a dog"};
  for (const nlohmann::json& one : predictions) {
    sum += one["score"].get<double>();
    EXPECT_EQ(one["label"], texts.at(one["index"].get<size_t>()));
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
  dir_.write("labels.txt", "a cat\r\n\na red star\na dog\n");
  const CommandResult of_file = run_vitkit({"classify", "--model", path("clip"), "--labels", "@" + path("labels.txt"),
                                            "--format", "json", "--topk", "1", picture});
  EXPECT_EQ(records(of_file).at(0)["predictions"][0], predictions[0]);
}

TEST_F(ClassifyText, LabelsAndClipNeedOneAnother) {
  const std::string picture = jpeg("a.jpg");
  expect_refused(run_vitkit({"classify", "--model", path("clip"), picture}), "name the classes with --labels");
  expect_refused(run_vitkit({"classify", "--model", model(), "--labels", "a,b", picture}),
                 "--labels needs a model that reads text (CLIP)");
  for (const auto& [labels, words] :
       {std::pair(" , ", "there is no text"), std::pair("a,a", "'a' stands twice"),
        std::pair("@/no/such/file", "/no/such/file"), std::pair("caf\xE9", "is not UTF-8")})
    expect_refused(run_vitkit({"classify", "--model", path("clip"), "--labels", labels, picture}), words);
  std::string words;
  for (int i = 0; i < 40; ++i) words += " ring";
  expect_refused(run_vitkit({"classify", "--model", path("clip"), "--labels", words, picture}), "24 positions");
}

}  // namespace
}  // namespace vit::test
