#include "vit/train/metrics_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::failure;
using test::slurp;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string> kColumns = {"loss", "val_top1"};

MetricsRow row(int64_t step) {
  const double x = static_cast<double>(step);
  return {step / 2, step, {{"loss", 1.0 / (x + 1.0)}, {"val_top1", 0.1 * x}, {"attention/blocks.0/entropy", 2.0}}};
}

TEST(MetricsLog, WritesBothFiles) {
  const TempDir dir;
  MetricsLog log(dir.path(), kColumns);
  log.log({1, 10, {{"loss", 0.1}, {"rate", 3.0}}});
  log.log({2, 20, {{"val_top1", 1e-7}, {"loss", std::numeric_limits<double>::quiet_NaN()}}});
  EXPECT_EQ(slurp(dir / "metrics.csv"), "epoch,step,loss,val_top1\n1,10,0.1,\n2,20,nan,1e-07\n")
      << "readable while open";
  EXPECT_EQ(slurp(dir / "metrics.jsonl"),
            "{\"epoch\": 1, \"step\": 10, \"loss\": 0.1, \"rate\": 3}\n"
            "{\"epoch\": 2, \"step\": 20, \"val_top1\": 1e-07, \"loss\": null}\n");
}

TEST(MetricsLog, ResumedFilesAreThoseOfAnUnbrokenRun) {
  const TempDir whole, broken;
  {
    MetricsLog log(whole.path(), kColumns);
    for (int64_t step = 1; step <= 6; ++step) log.log(row(step));
  }
  {
    MetricsLog log(broken.path(), kColumns);
    for (int64_t step = 1; step <= 5; ++step) log.log(row(step));
  }
  // Killed in the middle of a line.
  std::ofstream(broken / "metrics.jsonl", std::ios::app) << "{\"epoch\": 3, \"st";
  std::ofstream(broken / "metrics.csv", std::ios::app) << "3,";
  {
    MetricsLog log(broken.path(), kColumns, 3);
    for (int64_t step = 4; step <= 6; ++step) log.log(row(step));
  }
  EXPECT_EQ(slurp(whole / "metrics.csv"), slurp(broken / "metrics.csv"));
  EXPECT_EQ(slurp(whole / "metrics.jsonl"), slurp(broken / "metrics.jsonl"));
}

TEST(MetricsLog, ResumesFromNothing) {
  const TempDir dir;
  dir.write("metrics.csv", "epoch,st");  // killed in its first line
  MetricsLog(dir.path(), kColumns, 0).log(row(1));
  EXPECT_EQ(slurp(dir / "metrics.csv"), "epoch,step,loss,val_top1\n0,1,0.5,0.1\n");
  MetricsLog(dir.path(), kColumns, 0).log(row(2));
  EXPECT_EQ(slurp(dir / "metrics.csv"), "epoch,step,loss,val_top1\n1,2,0.3333333333333333,0.2\n");
}

TEST(MetricsLog, RefusesToMixRuns) {
  const TempDir dir;
  MetricsLog(dir.path(), kColumns).log(row(1));
  EXPECT_THAT(failure([&] { MetricsLog(dir.path(), kColumns); }), HasSubstr("metrics.csv"));
  EXPECT_THAT(usage_error([&] { MetricsLog(dir.path(), {"loss"}, 1); }),
              AllOf(HasSubstr("epoch,step,loss,val_top1"), HasSubstr("resume with the options")));
  EXPECT_THAT(failure([&] { MetricsLog(dir / "none", {"a,b"}); }), HasSubstr("cannot name a column"));
}

TEST(MetricsLog, FullDiskLeavesWholeLines) {
  const TempDir dir;
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200, 200};
    setrlimit(RLIMIT_FSIZE, &limit);
    MetricsLog log(dir.path(), kColumns);
    try {
      for (int64_t step = 1; step <= 20; ++step) log.log(row(step));
    } catch (const Error& error) {
      _exit(std::string(error.what()).find("metrics.jsonl") != std::string::npos ? 17 : 1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 17);
  EXPECT_TRUE(slurp(dir / "metrics.jsonl").ends_with("}\n"));
}

}  // namespace
}  // namespace vit
