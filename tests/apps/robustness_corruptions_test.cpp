#include <algorithm>
#include <filesystem>
#include <string>

#include "datasets/class_mapping.h"
#include "datasets/classification_report.h"
#include "datasets/corruption.h"
#include "datasets/corruption_error.h"
#include "datasets/open.h"
#include "tests/apps/verb_test.h"
#include "vit/core/file.h"
#include "vit/image/preprocess.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class RobustnessCorruptions : public VerbTest {
 protected:
  RobustnessCorruptions() {
    for (const char* folder : {"cat", "dog", "horse"})
      for (int i = 0; i < 4; ++i)
        jpeg(std::string("data/val/") + folder + "/" + std::to_string(i) + ".jpg", 30 + 7 * i,
             40 + static_cast<int>(folder[0]) % 9 * 5);
  }
  CommandResult robustness(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"robustness", "--model", model(), "--data", path("data")});
    return run_vitkit(arguments);
  }
};

/// The answers to the data's pictures, resized and cropped as the model has them, spoilt as 8 bits, then normalised.
datasets::ClassificationReport measured(const Classifier& classifier, const datasets::Dataset& data,
                                        const std::string& family, int64_t severity) {
  const datasets::ClassMapping mapping = datasets::map_classes(data.class_names(), classifier.labels());
  datasets::ClassificationReport report(mapping.classes, classifier.labels().size());
  const Preprocessor normalise({}, classifier.preprocessor().to_float());
  for (int64_t i = 0; i < data.size(); ++i) {
    Image picture = classifier.preprocessor().resized(data.load(i));
    if (!family.empty()) picture = datasets::corrupt(picture, family, severity, 3, i);
    Tensor pixels = Tensor::empty({1, 3, picture.height(), picture.width()});
    normalise.run(picture, pixels.f32());
    report.add(classifier.logits(pixels).f32(), data.label(i));
  }
  return report;
}

TEST_F(RobustnessCorruptions, GivesWhatTheLibraryGives) {
  const CommandResult result =
      robustness({"--corruptions", "fog,contrast", "--severities", "5,1", "--seed", "3", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = records(result);
  ASSERT_EQ(lines.size(), 6u) << "clean, two families at two severities, the summary";

  const Classifier classifier = Classifier::load(model());
  const datasets::OpenedDataset data = datasets::open_dataset(path("data"), {.split = "val"});
  const std::vector<std::string> families = {"", "fog", "fog", "contrast", "contrast"};
  const std::vector<int64_t> severities = {0, 1, 5, 1, 5};
  datasets::CorruptionErrors errors;
  for (size_t i = 0; i < families.size(); ++i) {
    const datasets::ClassificationReport expected = measured(classifier, *data.data, families[i], severities[i]);
    EXPECT_EQ(lines[i]["kind"], i == 0 ? "clean" : "corruption");
    if (i > 0) {
      EXPECT_EQ(lines[i]["name"], families[i]);
      EXPECT_EQ(lines[i]["severity"], severities[i]);
      errors.corrupted[families[i]][severities[i]] = 1.0 - expected.overall().top1();
    }
    EXPECT_EQ(lines[i]["images"], 12);
    EXPECT_DOUBLE_EQ(lines[i]["accuracy"].get<double>(), expected.overall().top1());
    // Packed and plain weights round differently.
    EXPECT_NEAR(lines[i]["loss"].get<double>(), expected.overall().loss(), 1e-4);
    EXPECT_NEAR(lines[i]["ece"].get<double>(), expected.calibration().expected_error(), 1e-4);
  }
  const datasets::CorruptionSummary summary = datasets::summarise_corruptions(errors);
  EXPECT_EQ(lines[5]["kind"], "summary");
  EXPECT_NEAR(lines[5]["mean_error"].get<double>(), *summary.mean_error, 1e-12);
  EXPECT_NEAR(lines[5]["families"]["fog"]["error"].get<double>(), summary.families[0].mean, 1e-12);
  EXPECT_TRUE(lines[5]["mce"].is_null());
}

TEST_F(RobustnessCorruptions, AreAllWithoutAName) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--corruptions", "--severities", "1"}, {"--severities", "1", "--corruptions"}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), {"--limit", "1", "--format", "json"});
    const CommandResult result = robustness(all);
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(records(result).size(), 1u + 15u + 1u) << "clean, the fifteen families of the paper, the summary";
  }
  EXPECT_EQ(records(robustness({"--corruptions", "fog", "--severities", "1", "--format", "json"})).size(), 3u);
}

TEST_F(RobustnessCorruptions, DividesByABaseline) {
  const std::string lines = path("base.json"), folder = path("report");
  const std::vector<std::string> what = {"--corruptions", "fog,gaussian_noise", "--severities", "2"};
  std::vector<std::string> first = what;
  first.insert(first.end(), {"--format", "json", "--output", lines, "--save", folder});
  ASSERT_EQ(robustness(first).status, 0);
  // Its own results, as lines and as a report: every error is as large as the baseline's.
  for (const std::string& file : {lines, folder + "/report.json"}) {
    std::vector<std::string> second = what;
    second.insert(second.end(), {"--baseline", file, "--format", "json"});
    const CommandResult result = robustness(second);
    ASSERT_EQ(result.status, 0) << result.err;
    const auto summary = records(result).back();
    EXPECT_EQ(summary["mce"], 1.0) << file;
    EXPECT_EQ(summary["families"]["fog"]["ce"], 1.0);
    EXPECT_EQ(result.err.find("warning"), std::string::npos);
  }
  std::vector<std::string> fewer = what;
  fewer.insert(fewer.end(), {"--baseline", lines, "--limit", "5"});
  const CommandResult result = robustness(fewer);
  EXPECT_THAT(result.err, HasSubstr("measured on 12 pictures, this on 5"));
  EXPECT_THAT(result.out, HasSubstr("mCE"));
}

TEST_F(RobustnessCorruptions, SavesCurvesAndPictures) {
  const std::string folder = path("report");
  const CommandResult result =
      robustness({"--corruptions", "noise,extra", "--severities", "4,5", "--save", folder, "--limit", "4"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("impulse_noise 5"));
  EXPECT_THAT(result.out, HasSubstr("mean error by group   noise"));
  for (const char* name : {"accuracy_corruptions.png", "accuracy_noise.png", "accuracy_weather.png",
                           "pictures_corruptions.png", "report.md", "conditions.csv"})
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(folder) / name)) << name;
  EXPECT_THAT(read_file(folder + "/report.md"), HasSubstr("pictures_corruptions.png"));
  const auto report = nlohmann::json::parse(read_file(folder + "/report.json"));
  EXPECT_EQ(report["corruptions"]["families"].size(), 7u);
  EXPECT_EQ(report["corruptions"]["groups"].size(), 1u) << "extra families are in no group's mean";
}

TEST_F(RobustnessCorruptions, KeepsOneHeaderInCsv) {
  const CommandResult result = robustness({"--corruptions", "fog", "--severities", "1", "--format", "csv"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3) << "header, clean, fog";
  EXPECT_THAT(result.err, HasSubstr("mean error"));
}

TEST_F(RobustnessCorruptions, RefusesWhatMakesNoSense) {
  const auto refused = [&](const std::vector<std::string>& arguments) {
    const CommandResult result = robustness(arguments);
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  const std::string unknown = refused({"--corruptions", "fog,frosst"});
  EXPECT_THAT(unknown, HasSubstr("unknown corruption 'frosst' (did you mean 'frost'?)"));
  EXPECT_THAT(unknown, HasSubstr("jpeg_compression"));
  EXPECT_THAT(refused({"--corruptions", "fog", "--severities", "0"}), HasSubstr("1 to 5, got 0"));
  EXPECT_THAT(refused({"--corruptions", "fog", "--severities", "1,6"}), HasSubstr("1 to 5, got 6"));
  EXPECT_THAT(refused({"--baseline", path("missing.json")}), HasSubstr("without --corruptions"));
  EXPECT_THAT(refused({"--corruptions", "fog", "--baseline", path("missing.json")}), HasSubstr("missing.json"));
  const auto baseline = [&](const std::string& text) {
    const std::string file = dir_.write("base.json", text).string();
    return refused({"--corruptions", "fog", "--baseline", file});
  };
  EXPECT_THAT(baseline("not json\n"), HasSubstr("base.json, line 1"));
  EXPECT_THAT(baseline("{\"kind\": \"clean\", \"accuracy\": 0.5}\n"), HasSubstr("no corruption is among its results"));
  EXPECT_THAT(baseline("{\"kind\": \"corruption\", \"name\": \"fog\", \"severity\": 9, \"accuracy\": 0.5}\n"),
              HasSubstr("severity"));
  EXPECT_THAT(baseline("{\"kind\": \"corruption\", \"name\": \"fog\", \"severity\": 1, \"accuracy\": 50}\n"),
              HasSubstr("accuracy"));
  EXPECT_THAT(baseline("{\"kind\": \"corruption\", \"name\": \"frog\", \"severity\": 1, \"accuracy\": 0.5}\n"),
              HasSubstr("did you mean 'fog'"));
}

}  // namespace
}  // namespace vit::test
