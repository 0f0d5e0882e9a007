#include <filesystem>

#include "tests/apps/verb_test.h"
#include "vit/predictor.h"

namespace vit::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ClassifyVerb : public VerbTest {
 protected:
  CommandResult classify(std::vector<std::string> arguments, const CommandOptions& options = {}) const {
    arguments.insert(arguments.begin(), {"classify", "--model", model()});
    return run_vitkit(arguments, options);
  }
};

TEST_F(ClassifyVerb, AnswersAsTheLibraryDoes) {
  const std::string picture = jpeg("a.jpg");
  const CommandResult result = classify({"--format", "json", "--topk", "3", picture});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0]["source"], picture);
  const std::vector<Prediction> expected = Classifier::load(model(), {.topk = 3})(load_image(picture));
  ASSERT_EQ(answers[0]["predictions"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answers[0]["predictions"][i]["label"], expected[i].label);
    EXPECT_EQ(answers[0]["predictions"][i]["index"], expected[i].index);
    EXPECT_NEAR(answers[0]["predictions"][i]["score"].get<double>(), expected[i].score, 1e-6);
  }
}

TEST_F(ClassifyVerb, KeepsTheOrderOfTheSourcesInBatchesOfAnySize) {
  std::vector<std::string> pictures;
  for (int i = 0; i < 11; ++i) pictures.push_back(jpeg("p" + std::to_string(i) + ".jpg", 33 + 3 * i, 70 - 2 * i));
  std::vector<nlohmann::json> reference;
  for (const char* batch : {"1", "4", "16"}) {
    for (const char* threads : {"1", "2"}) {
      std::vector<std::string> arguments = {"--format", "json", "--batch-size", batch, "--threads", threads};
      arguments.insert(arguments.end(), pictures.begin(), pictures.end());
      const auto answers = records(classify(arguments));
      ASSERT_EQ(answers.size(), pictures.size());
      for (size_t i = 0; i < pictures.size(); ++i) EXPECT_EQ(answers[i]["source"], pictures[i]);
      if (reference.empty()) reference = answers;
      EXPECT_EQ(answers, reference) << "the batch size and the threads must not change a bit";
    }
  }
  EXPECT_NE(reference[0]["predictions"], reference[10]["predictions"]) << "the pictures are too alike for this test";
}

TEST_F(ClassifyVerb, WritesTextInPercentAndQuotedCsv) {
  const std::string picture = jpeg("a, \"b\".jpg");
  const CommandResult text = classify({"--topk", "1", picture});
  EXPECT_EQ(text.status, 0);
  EXPECT_EQ(text.lines().size(), 2u);
  EXPECT_EQ(text.lines()[0], picture);
  EXPECT_THAT(text.lines()[1], HasSubstr(" %  "));
  const CommandResult csv = classify({"--topk", "2", "--format", "csv", picture, path("none.jpg")});
  EXPECT_EQ(csv.status, 1);
  ASSERT_EQ(csv.lines().size(), 4u);
  EXPECT_EQ(csv.lines()[0], "source,rank,index,label,score,error,frame,time_s");
  EXPECT_THAT(csv.lines()[1], StartsWith("\"" + path("a, \"\"b\"\".jpg") + "\",1,"));
  EXPECT_THAT(csv.lines()[3], StartsWith(path("none.jpg") + ",,,,,"));
}

TEST_F(ClassifyVerb, AnswersTheOthersWhenPicturesAreBroken) {
  const std::string whole = encode_jpeg(pattern(40, 48));
  const std::string huge =
      "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", be(65535, 4) + be(65535, 4) + std::string("\x08\x02\0\0\0", 5));
  const std::vector<std::pair<std::string, std::string>> broken = {{"truncated.jpg", whole.substr(0, whole.size() / 3)},
                                                                   {"empty.jpg", ""},
                                                                   {"text.png", "no picture at all"},
                                                                   {"huge.png", huge},
                                                                   {"none.jpg", ""}};
  std::vector<std::string> arguments = {"--format", "json", jpeg("first.jpg")};
  for (const auto& [name, content] : broken) {
    if (name != "none.jpg") dir_.write(name, content);
    arguments.push_back(path(name));
    arguments.push_back(jpeg("after_" + name + ".jpg"));
  }
  const CommandResult result = classify(arguments);
  EXPECT_EQ(result.status, 1);
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1 + 2 * broken.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i]["source"], arguments[i + 2]);
    if (i % 2 == 0) {
      EXPECT_EQ(answers[i]["predictions"].size(), 5u);
    } else {
      EXPECT_EQ(answers[i].size(), 2u) << "source and error only";
      EXPECT_THAT(answers[i]["error"].get<std::string>(), Not(testing::IsEmpty()));
    }
  }
  EXPECT_THAT(result.err, HasSubstr("5 of 11 sources failed"));
}

TEST_F(ClassifyVerb, NamesAnUnreadableSourceOnStderrInTextForm) {
  const CommandResult result = classify({path("none.jpg")});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr(path("none.jpg")));
}

TEST_F(ClassifyVerb, RefusesPicturesAboveTheLimit) {
  const CommandResult result = classify({"--max-pixels", "100", jpeg("a.jpg", 11, 10)});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("pixels"));
  EXPECT_EQ(classify({"--max-pixels", "110", path("a.jpg")}).status, 0);
}

TEST_F(ClassifyVerb, ReadsFoldersListsAndStdin) {
  const std::string a = jpeg("photos/a.jpg"), b = jpeg("photos/sub/b.jpg");
  dir_.write("photos/notes.txt", "no picture");
  dir_.write("list.txt", a + "\n# a comment\n\n" + b + "\n");
  std::filesystem::create_directories(dir_ / "nothing");
  const auto sources = [&](const CommandResult& result) {
    std::vector<std::string> all;
    for (const auto& answer : records(result)) all.push_back(answer["source"]);
    return all;
  };
  EXPECT_THAT(sources(classify({"--format", "json", path("photos")})), ElementsAre(a, b));
  EXPECT_THAT(sources(classify({"--format", "json", "@" + path("list.txt")})), ElementsAre(a, b));
  EXPECT_THAT(sources(classify({"--format", "json", path("photos/*.jpg")})), ElementsAre(a));
  EXPECT_THAT(sources(classify({"--format", "json", "-"}, {.input = b + "\n" + a + "\n"})), ElementsAre(b, a));
  const CommandResult nothing = classify({path("nothing")});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr(path("nothing")));
  EXPECT_EQ(classify({"-"}).status, 1) << "no path on stdin";
}

TEST_F(ClassifyVerb, SurvivesPathsThatAreNoUtf8) {
  const std::string picture = jpeg("bad\xff.jpg");
  const CommandResult result = classify({"--format", "json", picture});
  EXPECT_EQ(result.status, 0);
  ASSERT_EQ(records(result).size(), 1u);
  EXPECT_THAT(records(result)[0]["source"].get<std::string>(), testing::EndsWith("bad\xEF\xBF\xBD.jpg"));
}

TEST_F(ClassifyVerb, SaysMoreWithVAndNothingWithQuiet) {
  const std::string picture = jpeg("a.jpg");
  const CommandResult verbose = classify({"-v", picture});
  for (const char* words : {"5 classes", "pre-processing: ", "32 x 32", "images/s"})
    EXPECT_THAT(verbose.err, HasSubstr(words));
  EXPECT_EQ(verbose.out, classify({picture}).out);
}

TEST_F(ClassifyVerb, WarnsOfRandomWeights) {
  const std::string picture = jpeg("a.jpg");
  const std::vector<std::string> arguments = {"classify", "--model", "vit_cifar", "--topk", "1", picture};
  const CommandResult result = run_vitkit(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the weights are random (seed 0) and the answers mean nothing"));
  std::vector<std::string> quiet = arguments, other = arguments;
  quiet.push_back("--quiet");
  EXPECT_EQ(run_vitkit(quiet).err, "");
  EXPECT_EQ(run_vitkit(quiet).out, result.out);
  other.insert(other.end(), {"--seed", "5"});
  EXPECT_NE(run_vitkit(other).out, result.out);
}

TEST_F(ClassifyVerb, RefusesWhatThisVersionLacks) {
  const std::string picture = jpeg("a.jpg");
  expect_refused(classify({"--precision", "bf16", picture}), "bf16 is not built");
  expect_refused(classify({"--precision", "f31", picture}), "unknown precision 'f31'");
  expect_refused(classify({"--labels", "a cat,a dog", picture}), "CLIP");
}

TEST_F(ClassifyVerb, WithoutAModelTheBundledOneAnswersAndSaysWhatItKnows) {
  const CommandResult result = run_vitkit({"classify", jpeg("a.jpg"), "--format", "json"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("cifar10"), HasSubstr("airplane"), HasSubstr("--model")));
  EXPECT_EQ(records(result).at(0)["predictions"].size(), 5u);
}

TEST_F(ClassifyVerb, DrawsASheet) {
  const std::string picture = jpeg("ship/a.jpg"), sheet = (dir_ / "sheet.png").string();
  const CommandResult result = run_vitkit({"classify", picture, "--sheet", sheet});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 with a known class"));
  const Image drawn = load_image(sheet);
  EXPECT_GT(drawn.width(), 100);
  expect_refused(run_vitkit({"classify", picture, "--sheet", "sheet.gif"}), "gif");
}

TEST_F(ClassifyVerb, TakesAnotherImageSize) {
  const std::string picture = jpeg("a.jpg", 90, 90);
  const CommandResult result = classify({"--img-size", "64", "-v", picture});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("64 x 64"));
  EXPECT_NE(result.out, classify({picture}).out);
}

}  // namespace
}  // namespace vit::test
