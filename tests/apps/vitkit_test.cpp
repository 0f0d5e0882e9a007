// The command as a whole: help, version, wrong use, and what happens to its output.
#include <algorithm>
#include <filesystem>

#include "tests/apps/verb_test.h"

namespace vit::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

const std::vector<std::string> kVerbs = {"classify", "caption",   "evaluate", "robustness",
                                         "verify",   "benchmark", "info"};

TEST(Vitkit, SaysItsVersion) {
  const CommandResult result = run_vitkit({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, MatchesRegex("vitkit [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Vitkit, HelpListsTheVerbsThatExist) {
  const CommandResult result = run_vitkit({"--help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  for (const std::string& verb : kVerbs) EXPECT_THAT(result.out, HasSubstr("\n  " + verb + " "));
  EXPECT_THAT(result.out, AllOf(HasSubstr("caption"), HasSubstr("explain")));
  EXPECT_THAT(result.out, HasSubstr("\nEXAMPLES\n"));
}

TEST(Vitkit, HelpOfAVerbHasDefaultAndExampleOfEveryOption) {
  for (const std::string& verb : kVerbs) {
    const CommandResult result = run_vitkit({verb, "--help"});
    EXPECT_EQ(result.status, 0) << verb;
    EXPECT_THAT(result.out, HasSubstr("\nCommon options:\n")) << verb;
    EXPECT_THAT(result.out, HasSubstr("\nEXAMPLES\n  vitkit " + verb)) << verb;
    size_t options = 0, defaults = 0, examples = 0;
    std::string text;
    for (const std::string& line : result.lines()) {
      EXPECT_LE(line.size(), 100u) << line;
      if (line.starts_with("EXAMPLES")) break;
      options += line.starts_with("  -") ? 1 : 0;
      examples += line.find("  e.g. ") != std::string::npos ? 1 : 0;
      text += line.substr(std::min(line.find_first_not_of(' '), line.size())) + " ";
    }
    for (const std::string word : {"(default:", "(required)"})
      for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++defaults;
    EXPECT_GE(options, 8u) << verb;
    const size_t sources = verb == "classify" || verb == "caption" ? 1 : 0;
    EXPECT_EQ(defaults, options - 1 + sources) << verb << ": all but --help";
    EXPECT_GE(examples, options) << verb;
    EXPECT_EQ(run_vitkit({"help", verb}).out, result.out);
  }
}

TEST(Vitkit, RefusesWhatIsNoVerb) {
  EXPECT_EQ(run_vitkit({}).status, 2);
  const CommandResult slip = run_vitkit({"clasify"});
  EXPECT_EQ(slip.status, 2);
  EXPECT_THAT(slip.err, HasSubstr("did you mean 'classify'?"));
}

TEST(Vitkit, RefusesWrongOptionsInOneLine) {
  const std::vector<std::vector<std::string>> wrong = {
      {"classify"},
      {"classify", "--topk", "0", "x.jpg"},
      {"classify", "--topk", "many", "x.jpg"},
      {"classify", "--batch-size", "-3", "x.jpg"},
      {"classify", "--img-size", "0", "x.jpg"},
      {"classify", "--max-pixels", "0", "x.jpg"},
      {"classify", "--threads", "-1", "x.jpg"},
      {"classify", "--threads", "99999999999999999999", "x.jpg"},
      {"classify", "--seed", "-1", "x.jpg"},
      {"classify", "--format", "xml", "x.jpg"},
      {"classify", "--nonsense", "x.jpg"},
      {"classify", "--model"},
      {"evaluate", "--model", "m"},
      {"verify", "--rtol", "-1"},
      {"benchmark", "--runs", "-1"},
      {"benchmark", "--batch-size", "1.5"},
      {"info", "surplus"},
      {"--nonsense"},
  };
  for (const auto& arguments : wrong) {
    const CommandResult result = run_vitkit(arguments);
    EXPECT_EQ(result.status, 2) << testing::PrintToString(arguments);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, EndsWith("--help)\n"));
  }
}

class VitkitOutput : public VerbTest {};

TEST_F(VitkitOutput, GoesToAFileThatAppearsWhole) {
  const std::string picture = jpeg("a.jpg");
  const CommandResult direct = run_vitkit({"classify", "--model", model(), "--format", "json", picture});
  const CommandResult result =
      run_vitkit({"classify", "--model", model(), "--format", "json", "--output", path("answers.jsonl"), picture});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(slurp(dir_ / "answers.jsonl"), direct.out);
  EXPECT_THAT(dir_.entries(), testing::ElementsAre("a.jpg", "answers.jsonl", "model"));
}

TEST_F(VitkitOutput, ThatCannotBeWrittenIsNoticedBeforeTheWork) {
  const std::string picture = jpeg("a.jpg");
  for (const std::string& output : {path("no/such/folder/x"), dir_.path().string()}) {
    const CommandResult result = run_vitkit({"classify", "--model", model(), "-v", "--output", output, picture});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr(output));
    EXPECT_THAT(result.err, Not(HasSubstr("loaded in"))) << "the model was loaded first";
  }
}

TEST_F(VitkitOutput, IsNotLeftBehindWhenNothingWasDone) {
  const std::string picture = jpeg("a.jpg");
  const CommandResult result = run_vitkit({"classify", "--model", path("none"), "--output", path("x.json"), picture});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(dir_.entries(), testing::ElementsAre("a.jpg", "model"));
}

TEST_F(VitkitOutput, ToAFullDiskFails) {
  const std::string picture = jpeg("a.jpg");
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"classify", "--model", model(), picture},
                                                    {"info", "--list", "attentions"},
                                                    {"--help"}}) {
    const CommandResult result = run_vitkit(arguments, {.stdout_file = "/dev/full"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr("No space left"));
  }
  const CommandResult file = run_vitkit({"classify", "--model", model(), "--output", "/dev/full", picture});
  EXPECT_EQ(file.status, 1);
  EXPECT_THAT(file.err, HasSubstr("No space left"));
}

TEST_F(VitkitOutput, ToAClosedPipeEndsQuietly) {
  std::vector<std::string> arguments = {"classify", "--model", model(), "--format", "json"};
  for (int i = 0; i < 20; ++i) arguments.push_back(jpeg("p" + std::to_string(i) + ".jpg", 20 + i, 30));
  for (const auto& command : {arguments, {"info", "--model", model()}, {"--help"}, {"info", "--list", "formats"}}) {
    const CommandResult result = run_vitkit(command, {.closed_stdout = true});
    EXPECT_EQ(result.status, 0) << command.front();
    EXPECT_EQ(result.err, "");
  }
}

}  // namespace
}  // namespace vit::test
