#include <filesystem>

#include "tests/apps/verb_test.h"
#include "tests/support/tiny_detector.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class RobustnessVerb : public VerbTest {
 protected:
  RobustnessVerb() {
    for (const char* folder : {"cat", "dog", "horse"})
      for (int i = 0; i < 4; ++i)
        jpeg(std::string("data/") + folder + "/" + std::to_string(i) + ".jpg", 30 + 7 * i,
             40 + static_cast<int>(folder[0]) % 9 * 5);
  }
  CommandResult robustness(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"robustness", "--model", model(), "--data", path("data")});
    return run_vitkit(arguments);
  }
  static double accuracy(const nlohmann::json& record) { return record.at("accuracy").get<double>(); }
};

TEST_F(RobustnessVerb, HasALinePerAttackAndStrengthAfterTheCleanOne) {
  const CommandResult result = robustness(
      {"--attack", "fgsm,pgd,pgd_l2", "--eps", "1/255,0.1", "--steps", "3", "--restarts", "2", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = records(result);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[0]["kind"], "clean");
  EXPECT_TRUE(lines[0]["name"].is_null());
  const std::vector<std::string> names = {"fgsm", "fgsm", "pgd", "pgd", "pgd_l2", "pgd_l2"};
  for (size_t i = 1; i < 7; ++i) {
    EXPECT_EQ(lines[i]["name"], names[i - 1]);
    EXPECT_DOUBLE_EQ(lines[i]["eps"].get<double>(), i % 2 == 1 ? 1.0 / 255.0 : 0.1);
    EXPECT_EQ(lines[i]["norm"], i > 4 ? "l2" : "linf");
    EXPECT_EQ(lines[i]["steps"], i > 2 ? 3 : 1);
    EXPECT_EQ(lines[i]["images"], 12);
    EXPECT_LE(accuracy(lines[i]), accuracy(lines[0]) + 1e-9) << lines[i];
    EXPECT_TRUE(lines[i]["reached"].is_null());
    EXPECT_GE(lines[i]["ece"].get<double>(), 0.0);
  }
  EXPECT_LE(accuracy(lines[4]), accuracy(lines[3])) << "a larger ball";
  EXPECT_GT(lines[4]["loss"].get<double>(), lines[0]["loss"].get<double>());
}

TEST_F(RobustnessVerb, CleanLineIsWhatEvaluateSays) {
  const auto clean = records(robustness({"--attack", "fgsm", "--eps", "0.01", "--format", "json"})).at(0);
  const auto evaluated =
      records(run_vitkit({"evaluate", "--model", model(), "--data", path("data"), "--format", "json"})).at(0);
  EXPECT_EQ(clean["accuracy"], evaluated["top1"]);
  EXPECT_NEAR(clean["loss"].get<double>(), evaluated["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(clean["ece"].get<double>(), evaluated["ece"].get<double>(), 1e-5);
}

TEST_F(RobustnessVerb, SaysTheSameInAnyBatchOnAnyThreads) {
  const auto figures = [&](const std::string& batch, const std::string& threads) {
    auto lines = records(robustness({"--attack", "pgd,apgd_dlr,patch", "--eps", "0.03", "--steps", "4", "--seed", "3",
                                     "--batch-size", batch, "--threads", threads, "--format", "json"}));
    for (nlohmann::json& line : lines) line.erase("seconds");
    return lines;
  };
  const auto one = figures("12", "2");
  ASSERT_EQ(one.size(), 4u);
  EXPECT_EQ(figures("5", "1"), one);
}

TEST_F(RobustnessVerb, TargetedSaysHowOftenTheTargetWasReached) {
  const auto lines = records(
      robustness({"--attack", "pgd", "--eps", "1", "--steps", "20", "--targeted", "sea lion", "--format", "json"}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["target"], "sea lion");
  EXPECT_GT(lines[1]["reached"].get<double>(), 0.5);
  for (const std::string rule : {"next", "random", "least", "4"})
    EXPECT_EQ(robustness({"--attack", "fgsm", "--eps", "0.1", "--targeted", rule}).status, 0) << rule;
}

TEST_F(RobustnessVerb, LeavesPicturesOfTheTargetClassOut) {
  const std::vector<std::string> how = {"--attack", "fgsm,pgd",   "--eps", "0.1",      "--steps",
                                        "2",        "--targeted", "horse", "--format", "json"};
  const auto lines = records(robustness(how));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["images"], 12);
  EXPECT_TRUE(lines[0]["left_out"].is_null());
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(lines[i]["images"], 8) << "cats and dogs";
    EXPECT_EQ(lines[i]["left_out"], 4);
  }
  EXPECT_THAT(robustness({"--attack", "fgsm", "--eps", "0.1", "--targeted", "horse"}).out,
              HasSubstr("4 of the target class left out"));
  jpeg("horses/horse/0.jpg");
  const CommandResult none = run_vitkit({"robustness", "--model", model(), "--data", path("horses"), "--attack", "fgsm",
                                         "--eps", "0.1", "--targeted", "horse"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("all 1 pictures are of the target class"));
}

TEST_F(RobustnessVerb, StrengthsSuitTheNorm) {
  const auto strengths = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"--steps", "1", "--limit", "1", "--format", "json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<double> eps;
    for (const auto& line : records(robustness(all)))
      if (line["kind"] == "attack") eps.push_back(line["eps"].get<double>());
    return eps;
  };
  const std::vector<double> linf = {2.0 / 255.0, 4.0 / 255.0, 8.0 / 255.0}, l2 = {0.25, 0.5, 1.0};
  EXPECT_EQ(strengths({"--attack", "pgd"}), linf);
  EXPECT_EQ(strengths({"--attack", "pgd_l2"}), l2);
  EXPECT_EQ(strengths({"--attack", "pgd", "--norm", "l2"}), l2);
  EXPECT_EQ(strengths({"--attack", "pgd_l2", "--eps", "2/255"}), (std::vector<double>{2.0 / 255.0}));
  EXPECT_THAT(run_vitkit({"robustness", "--help"}).out, HasSubstr("l2: 0.25, 0.5, 1.0"));
  // One attack's strength is none of another's: a patch has no eps.
  EXPECT_EQ(robustness({"--attack", "pgd_l2,patch", "--eps", "2", "--steps", "1", "--limit", "1"}).status, 0);
}

TEST_F(RobustnessVerb, LimitIsSpreadOverTheData) {
  const auto lines = records(
      robustness({"--attack", "fgsm", "--eps", "0.1", "--limit", "3", "--save", path("report"), "--format", "json"}));
  EXPECT_EQ(lines.at(0)["images"], 3);
}

TEST_F(RobustnessVerb, SavesAReportWithCurvesAndPictures) {
  const CommandResult result = robustness({"--attack", "fgsm,pgd_l2,patch,patch_fool", "--eps", "0.1,0.2", "--steps",
                                           "2", "--patch-share", "0.1,1/4", "--save", path("report")});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("clean "), HasSubstr("fgsm linf 0.1 "), HasSubstr("patch 1/4 "),
                                HasSubstr("patch_fool one patch "), HasSubstr(" %")));
  for (const char* name : {"accuracy_linf.png", "accuracy_l2.png", "pictures_fgsm.png", "pictures_pgd_l2.png",
                           "pictures_patch.png", "pictures_patch_fool.png"})
    EXPECT_TRUE(slurp(dir_ / "report" / name).starts_with("\x89PNG")) << name;
  const auto report = nlohmann::json::parse(slurp(dir_ / "report/report.json"));
  EXPECT_EQ(report["conditions"].size(), 8u);
  EXPECT_EQ(report["images"], 12);
  EXPECT_THAT(slurp(dir_ / "report/report.md"), AllOf(HasSubstr("| fgsm linf 0.2 |"), HasSubstr("accuracy_l2.png")));
  EXPECT_THAT(slurp(dir_ / "report/conditions.csv"), HasSubstr("\nattack,fgsm,linf,0.1,1,1,"));
}

TEST_F(RobustnessVerb, CountsUnreadablePicturesAndGoesOn) {
  const std::string broken = dir_.write("data/cat/broken.jpg", "no picture").string();
  const CommandResult result = robustness({"--attack", "fgsm", "--eps", "0.1", "--format", "json"});
  EXPECT_EQ(result.status, 1);
  const auto lines = records(result);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["images"], 12);
  EXPECT_EQ(lines[1]["errors"], 1);
  EXPECT_THAT(result.err, HasSubstr(broken));
  EXPECT_EQ(result.err.find(broken, result.err.find(broken) + broken.size() + 40), std::string::npos) << "said once";
}

TEST_F(RobustnessVerb, RefusesStrengthsThatMeanNothing) {
  expect_refused(robustness({"--eps", "0"}), "--eps 0: eps must be above 0");
  expect_refused(robustness({"--eps", "-1/255"}), "--eps -1/255: eps must be above 0");
  expect_refused(robustness({"--eps", "8"}), "--eps 8: eps must be above 0 and at most 1 for fgsm");
  expect_refused(robustness({"--eps", "8/0"}), "expected a number or a fraction such as 8/255, got '8/0'");
  expect_refused(robustness({"--eps", "much"}), "got 'much'");
  expect_refused(robustness({"--alpha", "0"}), "--alpha 0: it must be above 0");
  expect_refused(robustness({"--attack", "patch", "--patch-share", "2"}), "--patch-share 2: it must be above 0 and at");
  EXPECT_EQ(robustness({"--steps", "0"}).status, 2);
  // 3 x 32 x 32 values: the distance from black to white is 55.4.
  expect_refused(robustness({"--attack", "pgd_l2", "--eps", "1000"}), "eps must be at most 55.4");
}

TEST_F(RobustnessVerb, RefusesALossThatNeedsMoreClassesBeforeAnythingIsMeasured) {
  const std::string config = dir_.write("two.yaml",
                                        "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 1, "
                                        "num_heads: 2, num_classes: @}")
                                 .string();
  const auto asked = [&](const std::string& classes, const std::vector<std::string>& more) {
    std::string text = slurp(config);
    text.replace(text.find('@'), 1, classes);
    const std::string of_classes = dir_.write("classes" + classes + ".yaml", text).string();
    for (const char* folder : {"0", "1"}) jpeg(std::string("few/") + folder + "/a.jpg");
    std::vector<std::string> arguments = {"robustness", "--model", of_classes, "--data", path("few"), "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_vitkit(arguments);
  };
  expect_refused(asked("2", {"--attack", "fgsm,apgd_dlr"}), "the dlr loss needs 3 classes or more, the model has 2");
  expect_refused(asked("3", {"--attack", "apgd_dlr", "--targeted", "next"}),
                 "the dlr loss needs 4 classes or more for a targeted attack, the model has 3");
}

TEST_F(RobustnessVerb, RefusesWhatItDoesNotKnow) {
  expect_refused(robustness({"--attack", "pdg"}),
                 "unknown attack 'pdg' (did you mean 'pgd'?); known: apgd_ce, apgd_dlr");
  expect_refused(robustness({"--targeted", "wombat"}), "the model has no class 'wombat'");
  expect_refused(robustness({"--targeted", "5"}), "its 5 classes by name or number: cat, dog, fish");
  EXPECT_EQ(robustness({"--norm", "l7"}).status, 2);
}

TEST_F(RobustnessVerb, RefusesModelsOfOtherKinds) {
  write_tiny_detector(dir_ / "detector");
  const CommandResult result =
      run_vitkit({"robustness", "--model", path("detector"), "--data", path("data"), "--attack", "fgsm"});
  expect_refused(result, "is for vitkit detect: robustness is measured of classifiers");
}

TEST_F(RobustnessVerb, AttacksOnAttentionNeedSome) {
  const CommandResult result = run_vitkit({"robustness", "--model", "resnet18", "--data", path("data"), "--attack",
                                           "patch_fool", "--img-size", "32", "--quiet"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("the attack 'patch_fool' does not apply to this model"),
                                HasSubstr("no attention"), HasSubstr("those that do: apgd_ce, apgd_dlr, fgsm, patch")));
}

TEST_F(RobustnessVerb, DataMustHaveClassesOfTheModel) {
  jpeg("wrong/cat/0.jpg");
  jpeg("wrong/wombat/0.jpg");
  const CommandResult result = run_vitkit({"robustness", "--model", model(), "--data", path("wrong")});
  expect_refused(result, "wombat");
  EXPECT_EQ(run_vitkit({"robustness", "--model", model(), "--data", path("nowhere")}).status, 2);
}

}  // namespace
}  // namespace vit::test
