#include "vit/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/errors.h"

namespace vit {
namespace {

class ParallelTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(0); }
};

TEST_P(ParallelTest, EveryPartRunsOnce) {
  for (int64_t parts : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(parts));
    parallel_for(parts, [&](int64_t part) { ++runs[static_cast<size_t>(part)]; });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelTest, RangesCoverWithoutOverlap) {
  for (int64_t grain : {1, 3, 100}) {
    std::vector<std::atomic<int>> seen(97);
    parallel_for_range(97, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (const auto& count : seen) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelTest, TaskGroupWaitsForAll) {
  std::atomic<int> done = 0;
  TaskGroup group;
  for (int i = 0; i < 50; ++i) group.run([&] { ++done; });
  group.wait();
  EXPECT_EQ(done, 50);
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, testing::Values(1, 2, 8));

TEST(Parallel, MoreThreadsThanCoresReallyRun) {
  set_num_threads(4);
  EXPECT_EQ(num_threads(), 4);
  std::atomic<int> arrived = 0;
  // All four must be inside at once, or this would wait for ever; the deadline turns that into a failure.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  parallel_for(4, [&](int64_t) {
    ++arrived;
    while (arrived < 4 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 4);
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
  set_num_threads(0);
}

TEST(Parallel, RefusesImpossibleThreadCounts) {
  EXPECT_THAT(test::usage_error([] { set_num_threads(-1); }), testing::HasSubstr("-1"));
  EXPECT_THAT(test::usage_error([] { set_num_threads(5000); }), testing::HasSubstr("5000"));
}

}  // namespace
}  // namespace vit
