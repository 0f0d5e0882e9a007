// vitkit classify --labels: classes named by text, with CLIP.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/apps/verb_test.h"
#include "tests/support/hugging_face_checkpoint.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class ClassifyLabels : public VerbTest {
 protected:
  /// A tiny CLIP with the reference case's tokenizer.
  std::string clip() const {
    const auto folder = dir_ / "clip";
    const nlohmann::json tower = {
        {"hidden_size", 12}, {"num_hidden_layers", 1}, {"num_attention_heads", 2}, {"intermediate_size", 20}};
    nlohmann::json text = tower, vision = tower;
    text.update({{"vocab_size", 614}, {"max_position_embeddings", 24}, {"eos_token_id", 2}});
    vision.update({{"image_size", 32}, {"patch_size", 8}});
    write_hugging_face_checkpoint(folder, {{"model_type", "clip"}, {"text_config", text}, {"vision_config", vision}},
                                  3);
    std::filesystem::copy(std::filesystem::path(VITKIT_SOURCE_DIR) / "tests/goldens/B7_clip", folder,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::skip_existing);
    return folder;
  }
};

TEST_F(ClassifyLabels, AnswersWithTheLabels) {
  const CommandResult result =
      run_vitkit({"classify", "--model", clip(), "--labels", "a cat, a dog,a bird", "--format", "json", jpeg("a.jpg")});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1u);
  const auto& predictions = answers[0]["predictions"];
  ASSERT_EQ(predictions.size(), 3u);
  double sum = 0.0;
  for (const auto& prediction : predictions) {
    const std::vector<std::string> labels = {"a cat", "a dog", "a bird"};
    EXPECT_EQ(prediction["label"], labels.at(prediction["index"].get<size_t>()));
    sum += prediction["score"].get<double>();
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST_F(ClassifyLabels, ReadsThemFromAFile) {
  const std::string model = clip(), picture = jpeg("a.jpg");
  dir_.write("labels.txt", "a cat\r\n\n  a dog\na bird, flying");
  const auto predictions_for = [&](const std::string& labels) {
    return records(run_vitkit({"classify", "--model", model, "--labels", labels, "--format", "json", picture})).at(0);
  };
  const nlohmann::json of_file = predictions_for("@" + path("labels.txt"))["predictions"];
  ASSERT_EQ(of_file.size(), 3u);
  for (const nlohmann::json& one : of_file) EXPECT_EQ(one["label"] == "a bird, flying", one["index"] == 2);
  dir_.write("two.txt", "a cat\na dog\n");
  EXPECT_EQ(predictions_for("@" + path("two.txt")), predictions_for("a cat,a dog"));
  dir_.write("none.txt", "\n \n");
  expect_refused(run_vitkit({"classify", "--model", model, "--labels", "@" + path("none.txt"), picture}),
                 "there is none");
  expect_refused(run_vitkit({"classify", "--model", model, "--labels", "@" + path("no.txt"), picture}), "no.txt");
  expect_refused(run_vitkit({"classify", "--model", model, "--labels", "caf\xE9", picture}), "is not UTF-8");
}

TEST_F(ClassifyLabels, SaysWhatIsWrongWithThem) {
  const std::string model = clip(), picture = jpeg("a.jpg");
  const auto refused = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"classify", picture};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const CommandResult result = run_vitkit(all);
    EXPECT_EQ(result.status, 2);
    return result.err;
  };
  EXPECT_THAT(refused({"--model", model}), HasSubstr("told its classes: --labels"));
  EXPECT_THAT(refused({"--model", model, "--labels", "a,,b"}), HasSubstr("label 2 of 'a,,b' is empty"));
  EXPECT_THAT(refused({"--model", model, "--labels", "a, a"}), HasSubstr("'a' is there twice"));
  EXPECT_THAT(refused({"--model", this->model(), "--labels", "a"}), HasSubstr("classes of its own"));
}

}  // namespace
}  // namespace vit::test
