#include "apps/explain_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "datasets/scenes.h"
#include "tests/support/temp_dir.h"
#include "vit/core/file.h"
#include "vit/image/preprocess.h"

namespace apps {
namespace {

using testing::HasSubstr;
using testing::Not;

vit::MethodFigures figures_of(const std::string& method, double from) {
  vit::MethodFigures row;
  row.method = method;
  const auto estimate = [](double mean) {
    return vit::Estimate{.mean = mean, .low = mean - 0.01, .high = mean + 0.03, .count = 12};
  };
  row.deletion = estimate(from);
  row.insertion = estimate(from + 0.1);
  row.road = estimate(from + 0.2);
  row.unchanged = estimate(0.25);
  row.seconds = estimate(0.5);
  const double none = std::nan("");
  for (vit::Estimate* missing : {&row.spearman, &row.ssim, &row.mass, &row.pointing, &row.area})
    *missing = {.mean = none, .low = none, .high = none};
  return row;
}

TEST(ExplainEvaluation, RecordsHaveEveryFigureWithItsInterval) {
  const Record record = method_record(figures_of("rise", 0.25));
  EXPECT_EQ(record["method"], "rise");
  EXPECT_EQ(record["title"], "RISE");
  EXPECT_EQ(record["baseline"], false);
  EXPECT_EQ(record["pictures"], 12);
  EXPECT_NEAR(record["deletion_auc"].get<double>(), 0.25, 1e-12);
  EXPECT_NEAR(record["deletion_auc_low"].get<double>(), 0.24, 1e-12);
  EXPECT_NEAR(record["deletion_auc_high"].get<double>(), 0.28, 1e-12);
  EXPECT_NEAR(record["milliseconds"].get<double>(), 500.0, 1e-9);
  EXPECT_TRUE(record["pointing"].is_null());
  EXPECT_TRUE(record["sanity_spearman_low"].is_null());
}

TEST(ExplainEvaluation, TheTableLeavesOutWhatNobodyKnows) {
  const std::string table = method_table({figures_of("rise", 0.25), figures_of("occlusion", 0.5)}, 0.95);
  EXPECT_THAT(table, HasSubstr("0.250 ±0.020"));
  EXPECT_THAT(table, HasSubstr("unchanged %"));
  EXPECT_THAT(table, HasSubstr("12 pictures"));
  EXPECT_THAT(table, HasSubstr("95 % interval"));
  EXPECT_THAT(table, Not(HasSubstr("pointing")));
  // Columns are aligned: both rows and the heading are as wide as one another, in letters.
  std::vector<size_t> widths;
  for (size_t begin = 0; widths.size() < 3; ++widths.back()) {
    widths.push_back(0);
    const size_t end = table.find('\n', begin);
    for (const char c : table.substr(begin, end - begin))
      widths.back() += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
    begin = end + 1;
  }
  EXPECT_EQ(widths[0], widths[1]);
  EXPECT_EQ(widths[0], widths[2]);
}

TEST(ExplainEvaluation, WritesALineForEachMethod) {
  const vit::test::TempDir dir;
  const std::vector<vit::MethodFigures> rows = {figures_of("rise", 0.25), figures_of("occlusion", 0.5)};
  const auto written = [&](Format format) {
    CommonOptions common;
    common.format = format;
    common.output = (dir / "out").string();
    Output output(common);
    write_methods(output, rows, 0.95);
    output.finish();
    return vit::read_file(dir / "out");
  };
  const std::string csv = written(Format::csv);
  EXPECT_THAT(csv, HasSubstr("method,title,baseline,pictures,deletion_auc,deletion_auc_low"));
  EXPECT_THAT(csv, HasSubstr("\nocclusion,Occlusion,false,12,0.5,"));
  const std::string json = written(Format::json);
  EXPECT_EQ(Record::parse(json.substr(0, json.find('\n')))["method"], "rise");
  EXPECT_EQ(written(Format::text), method_table(rows, 0.95));
}

TEST(ExplainEvaluation, TheMainObjectOfASceneIsItsLargest) {
  const datasets::ScenesDataset scenes(7, 20, 64);
  for (int64_t i = 0; i < scenes.size(); ++i) {
    const std::optional<vit::Corners> found = main_object(scenes, i);
    ASSERT_TRUE(found.has_value());
    const std::array<float, 4> main = scenes.scene(i).objects.front().box;
    for (size_t edge = 0; edge < 4; ++edge) EXPECT_EQ((*found)[edge], static_cast<double>(main[edge])) << i;
  }
}

TEST(ExplainEvaluation, BoxesFollowThePreProcessing) {
  // 50 x 100 becomes 32 x 64, of which the middle 32 x 32 is seen: columns 25 to 75.
  const vit::Preprocessor middle({vit::ResizeShortest{.size = 32}, vit::CenterCrop{.to = {32, 32}}}, {});
  const std::optional<vit::Corners> box = box_on_input(middle, {50, 100}, {32, 32}, {50.0, 25.0, 90.0, 50.0});
  ASSERT_TRUE(box.has_value());
  const vit::Corners expected = {16.0, 16.0, 32.0, 32.0};
  for (size_t edge = 0; edge < 4; ++edge) EXPECT_NEAR((*box)[edge], expected[edge], 1e-9);
  EXPECT_FALSE(box_on_input(middle, {50, 100}, {32, 32}, {0.0, 0.0, 20.0, 50.0}).has_value());
}

}  // namespace
}  // namespace apps
