// vitkit explain --data: methods side by side.
#include <algorithm>

#include "datasets/scenes_vocabulary.h"
#include "tests/apps/verb_test.h"
#include "tests/support/tiny_detector.h"

namespace vit::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ExplainCompare : public VerbTest {
 protected:
  ExplainCompare() { write_tiny_checkpoint(dir_ / "scenes", {.labels = datasets::scene_class_names()}); }
  CommandResult compare(const std::string& data, const std::string& methods,
                        std::vector<std::string> more = {"--format", "json"}) const {
    std::vector<std::string> arguments = {"explain",  "--model", path("scenes"), "--data", data,
                                          "--method", methods,   "--samples",    "20"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_vitkit(arguments);
  }
};

TEST_F(ExplainCompare, HasALineForEachMethodAndForWhatNeedsNoModel) {
  const CommandResult result = compare("scenes:7:4:32", "occlusion,rise");
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = records(result);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["method"], "occlusion");
  EXPECT_EQ(lines[1]["title"], "RISE");
  EXPECT_EQ(lines[2]["method"], "(random)");
  EXPECT_EQ(lines[3]["method"], "(centre)");
  for (const json& line : lines) {
    EXPECT_EQ(line["pictures"], 4);
    for (const std::string figure : {"deletion_auc", "insertion_auc", "road", "mass_in_object", "pointing"}) {
      EXPECT_LE(line[figure + "_low"].get<double>(), line[figure].get<double>()) << figure;
      EXPECT_GE(line[figure + "_high"].get<double>(), line[figure].get<double>()) << figure;
    }
    EXPECT_GT(line["object_area"].get<double>(), 0.02);
  }
  EXPECT_GT(lines[0]["milliseconds"].get<double>(), 0.0);
  EXPECT_FALSE(lines[1]["sanity_ssim"].is_null());
  EXPECT_TRUE(lines[2]["sanity_ssim"].is_null());
}

TEST_F(ExplainCompare, SaysTheSameTwiceButForTheTime) {
  const auto figures = [&](const std::string& threads) {
    std::vector<json> lines =
        records(compare("scenes:7:3:32", "rise,gradcam", {"--format", "json", "--threads", threads}));
    for (json& line : lines)
      for (const char* time : {"milliseconds", "milliseconds_low", "milliseconds_high"}) line.erase(time);
    return lines;
  };
  EXPECT_EQ(figures("1"), figures("2"));
}

TEST_F(ExplainCompare, LimitsPicturesAndLeavesOutTheCheck) {
  const CommandResult result =
      compare("scenes:7:100:32", "gradcam", {"--format", "json", "--limit", "2", "--no-sanity"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = records(result);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["pictures"], 2);
  EXPECT_TRUE(lines[0]["sanity_spearman"].is_null());
  EXPECT_TRUE(lines[0]["sanity_failed"].is_null());
}

TEST_F(ExplainCompare, IsATableOfAllMethodsForPeopleAndCsv) {
  const CommandResult text = compare("scenes:7:1:32", "all", {"--no-sanity"});
  ASSERT_EQ(text.status, 0) << text.err;
  for (const char* method : {"rise", "occlusion", "gradcam", "rollout", "integrated_gradients", "(centre)"})
    EXPECT_THAT(text.out, HasSubstr(method));
  const CommandResult csv = compare("scenes:7:1:32", "gradcam", {"--no-sanity", "--format", "csv"});
  EXPECT_THAT(csv.out, HasSubstr("method,title,baseline,pictures,deletion_auc,deletion_auc_low,deletion_auc_high"));
  EXPECT_THAT(csv.out, HasSubstr("\ngradcam,Grad-CAM,false,1,"));
}

TEST_F(ExplainCompare, AnUnreadablePictureDoesNotStopTheOthers) {
  static_cast<void>(jpeg("photos/star/a.jpg", 40, 40));
  static_cast<void>(jpeg("photos/ring/c.jpg", 36, 48));
  const std::string bytes = encode_jpeg(pattern(40, 40));
  dir_.write("photos/ring/b.jpg", bytes.substr(0, bytes.size() / 4));
  const CommandResult result = compare(path("photos"), "gradcam");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("b.jpg"));
  const std::vector<json> lines = records(result);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["pictures"], 2);
  EXPECT_TRUE(lines[0]["mass_in_object"].is_null()) << "there are no boxes";
}

TEST_F(ExplainCompare, RefusesWhatCannotBe) {
  expect_refused(compare("scenes:7:2:32", "gradcan"), "did you mean 'gradcam'");
  expect_refused(compare("scenes:7:2:32", ","), "no method is named");
  write_tiny_detector(dir_ / "detector");
  expect_refused(run_vitkit({"explain", "--model", path("detector"), "--data", "scenes:7:2:32"}), "classifiers");
}

}  // namespace
}  // namespace vit::test
