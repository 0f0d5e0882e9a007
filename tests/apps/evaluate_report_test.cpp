// What vitkit evaluate reports beside accuracy, and its files.
#include <algorithm>
#include <filesystem>

#include "datasets/csv.h"
#include "datasets/scenes_vocabulary.h"
#include "tests/apps/verb_test.h"
#include "vit/core/file.h"
#include "vit/image/decode.h"

namespace vit::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using Table = std::vector<std::vector<std::string>>;

constexpr const char* kScenes = "scenes:3:40:32";

class EvaluateReport : public VerbTest {
 protected:
  /// A checkpoint that knows the kinds of scenes, last first, and two classes that scenes do not have.
  EvaluateReport() {
    std::vector<std::string> labels = datasets::scene_class_names();
    std::reverse(labels.begin(), labels.end());
    labels.insert(labels.begin(), "unicorn");
    labels.emplace_back("dragon, \"worm\"");
    write_tiny_checkpoint(dir_ / "twelve", {.labels = labels});
  }
  CommandResult evaluate(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"evaluate", "--model", path("twelve")});
    return run_vitkit(arguments);
  }
  Table table(const std::string& name) const {
    const std::string text = read_file(dir_ / name);
    datasets::CsvReader reader(text, ',', name);
    Table rows;
    for (std::vector<std::string> row; reader.next(row);) rows.push_back(row);
    return rows;
  }
};

TEST_F(EvaluateReport, HasARecordPerClassThatAddsUp) {
  const CommandResult result = evaluate({"--data", kScenes, "--format", "json", "--per-class"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<json> lines = records(result);
  ASSERT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines[0]["mapping"], "name");
  double hits = 0.0, in_five = 0.0;
  int64_t pictures = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const json& line = lines[i];
    EXPECT_EQ(line["class"], datasets::scene_class_names()[i - 1]) << "the data's order";
    EXPECT_EQ(line["label"], line["class"]);
    EXPECT_EQ(line["index"], 11 - static_cast<int>(i)) << "the model's number";
    EXPECT_EQ(line["recall"], line["top1"]);
    const auto count = line["pictures"].get<int64_t>();
    pictures += count;
    if (count == 0) continue;
    hits += line["top1"].get<double>() * static_cast<double>(count);
    in_five += line["top5"].get<double>() * static_cast<double>(count);
  }
  EXPECT_EQ(pictures, 40);
  EXPECT_NEAR(lines[0]["top1"].get<double>(), hits / 40.0, 1e-12);
  EXPECT_NEAR(lines[0]["top5"].get<double>(), in_five / 40.0, 1e-12);
  for (const char* key : {"ece", "mce", "confidence", "macro_f1", "balanced_top1"}) {
    EXPECT_GE(lines[0][key].get<double>(), 0.0) << key;
    EXPECT_LE(lines[0][key].get<double>(), 1.0) << key;
  }
  EXPECT_LE(lines[0]["ece"], lines[0]["mce"]);
  EXPECT_EQ(records(evaluate({"--data", kScenes, "--format", "json", "-v"})).size(), 1u) << "unless asked for";
}

TEST_F(EvaluateReport, CsvIsTheTableOrTheSummary) {
  dir_.write("rows.csv", evaluate({"--data", kScenes, "--format", "csv", "--per-class"}).out);
  const Table rows = table("rows.csv");
  ASSERT_EQ(rows.size(), 11u);
  EXPECT_EQ(rows[0][0], "class");
  EXPECT_EQ(rows[1][0], "star");
  const CommandResult summary = evaluate({"--data", kScenes, "--format", "csv"});
  EXPECT_EQ(summary.lines().size(), 2u);
  EXPECT_THAT(summary.out, HasSubstr(",ece,mce,"));
}

TEST_F(EvaluateReport, TextHasATableWhereItIsAskedFor) {
  const std::string plain = evaluate({"--data", kScenes, "--quiet"}).out;
  EXPECT_THAT(plain, HasSubstr("calibration error "));
  EXPECT_THAT(plain, Not(HasSubstr("precision")));
  for (const char* option : {"--per-class", "-v"}) {
    const CommandResult result = evaluate({"--data", kScenes, option});
    EXPECT_THAT(result.out, HasSubstr("precision"));
    EXPECT_THAT(result.out, HasSubstr("\nbolt  "));
    EXPECT_THAT(result.out, Not(HasSubstr("nan")));
  }
}

TEST_F(EvaluateReport, SavesEverything) {
  const CommandResult result = evaluate({"--data", kScenes, "--save", path("out/report"), "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(dir_ / "out/report"))
    files.push_back(file.path().filename().string());
  EXPECT_THAT(files, testing::UnorderedElementsAre("report.json", "per_class.csv", "confusion.csv", "confusion.png",
                                                   "reliability.png"));
  const json report = json::parse(read_file(dir_ / "out/report/report.json"));
  json summary = records(result).at(0);
  for (const auto& [key, value] : summary.items()) EXPECT_EQ(report[key], value) << key;
  EXPECT_EQ(report["unreadable"], json::array());
  ASSERT_EQ(report["reliability"].size(), 15u);
  int64_t binned = 0;
  for (const json& bin : report["reliability"]) binned += bin["pictures"].get<int64_t>();
  EXPECT_EQ(binned, 40);

  const Table classes = table("out/report/per_class.csv"), confusion = table("out/report/confusion.csv");
  ASSERT_EQ(classes.size(), 11u);
  ASSERT_EQ(confusion.size(), 11u);
  EXPECT_EQ(confusion[0][1], "star");
  double hits = 0.0;
  for (size_t row = 1; row < confusion.size(); ++row) {
    int64_t sum = 0;
    for (size_t column = 1; column < confusion[row].size(); ++column) sum += std::stoll(confusion[row][column]);
    EXPECT_EQ(sum, std::stoll(classes[row][3])) << "pictures of " << classes[row][0];
    EXPECT_EQ(confusion[row][0], classes[row][0]);
    hits += std::stod(confusion[row][row]);
  }
  EXPECT_NEAR(report["top1"].get<double>(), hits / 40.0, 1e-12);
  for (const char* name : {"out/report/confusion.png", "out/report/reliability.png"})
    EXPECT_GT(load_image(path(name)).width(), 200) << name;
}

TEST_F(EvaluateReport, ShowsPredictionsOfClassesThatTheDataLack) {
  // Five classes, pictures of one: four more are predicted sooner or later, and stand in columns of their own.
  for (int i = 0; i < 12; ++i) jpeg("fish/fish/" + std::to_string(i) + ".jpg", 20 + 9 * i, 90 - 5 * i);
  const CommandResult result =
      run_vitkit({"evaluate", "--model", model(), "--data", path("fish"), "--save", path("report"), "--quiet"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Table confusion = table("report/confusion.csv");
  ASSERT_EQ(confusion.size(), 2u);
  EXPECT_EQ(confusion[0][1], "fish");
  int64_t sum = 0;
  for (size_t i = 1; i < confusion[1].size(); ++i) sum += std::stoll(confusion[1][i]);
  EXPECT_EQ(sum, 12);
}

TEST_F(EvaluateReport, NamesUnreadablePicturesInTheReport) {
  jpeg("data/star/good.jpg");
  const std::string broken = dir_.write("data/star/broken.jpg", "no picture").string();
  const CommandResult result = evaluate({"--data", path("data"), "--save", path("report")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("1 unreadable"));
  const json report = json::parse(read_file(dir_ / "report/report.json"));
  EXPECT_EQ(report["errors"], 1);
  EXPECT_EQ(report["unreadable"][0]["source"], broken);
  EXPECT_THAT(report["unreadable"][0]["error"].get<std::string>(), Not(testing::IsEmpty()));
}

TEST_F(EvaluateReport, HasNoFiguresWhereNothingCouldBeRead) {
  dir_.write("data/star/broken.jpg", "no picture");
  for (const char* format : {"json", "text", "csv"}) {
    const CommandResult result =
        evaluate({"--data", path("data"), "--save", path("report"), "--format", format, "--per-class"});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.out, Not(HasSubstr("nan"))) << format;
    if (std::string(format) == "json") {
      EXPECT_TRUE(records(result).at(0)["top1"].is_null());
      EXPECT_TRUE(records(result).at(1)["f1"].is_null());
    }
  }
}

TEST_F(EvaluateReport, ThatCannotBeSavedIsNoticedBeforeTheWork) {
  dir_.write("file", "");
  const CommandResult result = evaluate({"--data", kScenes, "--save", path("file"), "--format", "json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr(path("file")));
  expect_refused(evaluate({"--data", "scenes:1", "--save", path("none")}), "scenes:SEED:COUNT");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "none"));
}

TEST_F(EvaluateReport, IsTheSameOnAnyNumberOfThreads) {
  std::vector<json> reports;
  for (const char* threads : {"1", "2", "8"}) {
    const CommandResult result =
        evaluate({"--data", kScenes, "--format", "json", "--per-class", "--threads", threads, "--batch-size", "7"});
    std::vector<json> lines = records(result);
    lines.at(0).erase("images_per_s");
    reports.emplace_back(lines);
  }
  EXPECT_EQ(reports[0], reports[1]);
  EXPECT_EQ(reports[0], reports[2]);
}

}  // namespace
}  // namespace vit::test
