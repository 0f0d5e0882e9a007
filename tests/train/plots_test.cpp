#include "vit/train/plots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/image/decode.h"
#include "vit/train/metrics_log.h"

namespace vit {
namespace {

using test::failure;
using test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string lines(const std::vector<MetricsRow>& rows) {
  std::string text;
  for (const MetricsRow& row : rows) text += json_line(row) + "\n";
  return text;
}

/// Two epochs of ten updates, with two lines in each.
std::vector<MetricsRow> rows() {
  std::vector<MetricsRow> all;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    const double better = 1.0 / static_cast<double>(epoch + 1);
    for (int64_t step : {4, 8})
      all.push_back({epoch, 10 * epoch + step, {{"loss", better}, {"lr", 0.001}, {"grad_norm", 0.5}}});
    all.push_back({epoch,
                   10 * (epoch + 1),
                   {{"loss", better},
                    {"lr", 0.001},
                    {"top1", 1.0 - better},
                    {"val_loss", 1.1 * better},
                    {"mAP@0.5:0.95", 0.1},
                    {"attention/blocks.0/entropy", better},
                    {"attention/blocks.0/head.0/entropy", better},
                    {"attention/blocks.1/entropy", 2.0 * better}}});
  }
  return all;
}

TEST(Plots, DrawWhatThereIs) {
  const TempDir dir;
  const auto metrics = dir.write("metrics.jsonl", lines(rows()));
  EXPECT_THAT(write_plots(metrics, dir / "plots"),
              ElementsAre("loss.png", "accuracy.png", "lr.png", "mAP_0_5_0_95.png", "attention_entropy.png"));
  for (const auto& file : write_plots(metrics, dir / "plots"))
    EXPECT_EQ(load_image(dir / "plots" / file).width(), 900) << file;
}

TEST(Plots, DependOnTheMetricsAlone) {
  const TempDir dir;
  const auto metrics = dir.write("metrics.jsonl", lines(rows()));
  write_plots(metrics, dir / "a");
  write_plots(metrics, dir / "b");
  for (const char* file : {"loss.png", "attention_entropy.png"})
    EXPECT_EQ(test::slurp(dir / "a" / file), test::slurp(dir / "b" / file));
}

TEST(Plots, NothingBeforeTheFirstEpochEnds) {
  const TempDir dir;
  std::vector<MetricsRow> begun = rows();
  begun.resize(2);
  const auto metrics = dir.write("metrics.jsonl", lines(begun));
  EXPECT_THAT(write_plots(metrics, dir / "plots"), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(dir / "plots"));
  dir.write("metrics.jsonl", "");
  EXPECT_THAT(write_plots(metrics, dir / "plots"), IsEmpty());
}

TEST(Plots, ValuesThatAreNotFiniteInterruptCurves) {
  const TempDir dir;
  std::vector<MetricsRow> broken = rows();
  broken[2].values[3].second = std::numeric_limits<double>::infinity();
  EXPECT_EQ(write_plots(dir.write("metrics.jsonl", lines(broken)), dir / "plots").size(), 5u);
}

TEST(Plots, SayWhatTheyCannotRead) {
  const TempDir dir;
  EXPECT_THAT(failure([&] { write_plots(dir / "none.jsonl", dir / "plots"); }), HasSubstr("none.jsonl"));
  const auto metrics = dir.write("metrics.jsonl", lines(rows()) + "{\"epoch\": 2, \"st");
  EXPECT_THAT(failure([&] { write_plots(metrics, dir / "plots"); }), HasSubstr("metrics.jsonl:7"));
}

}  // namespace
}  // namespace vit
