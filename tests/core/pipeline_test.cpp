#include "vit/core/pipeline.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>

#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"

namespace vit {
namespace {

struct Number {
  int64_t value = 0;
};

/// Yields 0 to count - 1.
std::function<std::unique_ptr<Number>()> numbers(int64_t count) {
  return [count, next = int64_t{0}]() mutable {
    return next < count ? std::make_unique<Number>(Number{next++}) : nullptr;
  };
}

/// Computes until the calling thread has had so much processor time.
void spin(double seconds) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double begin = now();
  while (now() - begin < seconds) continue;
}

class PipelineTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(0); }
};

TEST_P(PipelineTest, OrderedStagesSeeEveryItemInOrderAfterTheStagesBefore) {
  for (int64_t max_items : {1, 2, 0}) {
    std::vector<int64_t> seen;
    const PipelineReport report =
        run_pipeline<Number>(numbers(200),
                             {{"square", StageOrder::any, [](Number& item) { item.value *= item.value; }},
                              {"keep", StageOrder::items, [&](Number& item) { seen.push_back(item.value); }}},
                             {.max_items = max_items});
    ASSERT_EQ(seen.size(), 200u);
    for (int64_t i = 0; i < 200; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i * i);
    EXPECT_EQ(report.items, 200);
  }
}

TEST_P(PipelineTest, ItemsInFlightAreBounded) {
  std::atomic<int64_t> alive = 0, most = 0;
  struct Counted {
    std::atomic<int64_t>* alive;
    explicit Counted(std::atomic<int64_t>* count) : alive(count) { ++*alive; }
    ~Counted() { --*alive; }
  };
  int64_t left = 100;
  run_pipeline<Counted>([&] { return left-- > 0 ? std::make_unique<Counted>(&alive) : nullptr; },
                        {{"work", StageOrder::any,
                          [&](Counted&) {
                            int64_t now = alive, known = most;
                            while (now > known && !most.compare_exchange_weak(known, now)) continue;
                          }},
                         {"write", StageOrder::items, [](Counted&) {}}},
                        {.max_items = 3});
  EXPECT_LE(most, 3);
  EXPECT_EQ(alive, 0) << "an item outlived the pipeline";
}

TEST_P(PipelineTest, LoopsInsideStagesDoNotLockUp) {
  std::atomic<int64_t> sum = 0;
  run_pipeline<Number>(numbers(40),
                       {{"infer", StageOrder::any,
                         [&](Number& item) { parallel_for(17, [&](int64_t part) { sum += item.value * part; }); }},
                        {"track", StageOrder::items, [&](Number&) { parallel_for(5, [&](int64_t) { ++sum; }); }},
                        {"draw", StageOrder::any, [&](Number&) { parallel_for(3, [&](int64_t) { ++sum; }); }}});
  EXPECT_EQ(sum, 40 * 39 / 2 * 136 + 40 * 8);
}

TEST_P(PipelineTest, AStageIsNotBegunInsideAnothersLoop) {
  thread_local int depth = 0;
  std::atomic<int> deepest = 0;
  const auto work = [&](Number&) {
    const int now = ++depth;
    if (now > deepest) deepest = now;
    parallel_for(16, [](int64_t) { std::this_thread::sleep_for(std::chrono::microseconds(50)); });
    --depth;
  };
  run_pipeline<Number>(numbers(60), {{"first", StageOrder::any, work}, {"second", StageOrder::items, work}});
  EXPECT_EQ(deepest, 1);
}

TEST_P(PipelineTest, ItemsBeforeAnErrorGoThroughAndThoseAfterDoNot) {
  std::vector<int64_t> written;
  const auto run = [&] {
    run_pipeline<Number>(numbers(1000),
                         {{"work", StageOrder::any,
                           [](Number& item) {
                             if (item.value == 20 || item.value == 23) fail("item ", item.value);
                             if (item.value < 20) spin(1e-4);
                           }},
                          {"write", StageOrder::items, [&](Number& item) { written.push_back(item.value); }}});
  };
  EXPECT_EQ(test::failure(run), "item 20");
  ASSERT_EQ(written.size(), 20u);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(written[static_cast<size_t>(i)], i);
}

TEST_P(PipelineTest, AnErrorOfReadingComesAfterWhatWasRead) {
  std::vector<int64_t> written;
  int64_t next = 0;
  const auto read = [&]() -> std::unique_ptr<Number> {
    if (next == 7) fail("the source broke");
    return std::make_unique<Number>(Number{next++});
  };
  const auto run = [&] {
    run_pipeline<Number>(read, {{"write", StageOrder::items, [&](Number& item) { written.push_back(item.value); }}});
  };
  EXPECT_EQ(test::failure(run), "the source broke");
  EXPECT_EQ(written.size(), 7u);
}

TEST_P(PipelineTest, ReportsProcessorTimePerStage) {
  const auto loop = [](Number&) { parallel_for(8, [](int64_t) { spin(5e-4); }); };
  const PipelineReport report = run_pipeline<Number>(
      numbers(10),
      {{"infer", StageOrder::any, loop},
       {"wait", StageOrder::any, [](Number&) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }},
       {"read", StageOrder::any, [](Number&) { spin(1e-3); }}});
  ASSERT_EQ(report.stages.size(), 3u) << "stages of one name are one row";
  EXPECT_EQ(report.stages[0].name, "read");
  EXPECT_EQ(report.stages[1].name, "infer");
  EXPECT_GT(report.stages[0].cpu_seconds, 9e-3);
  EXPECT_GT(report.stages[1].cpu_seconds, 38e-3) << "parts that other threads took over are the stage's, too";
  EXPECT_GT(report.cpu_seconds(), 48e-3);
  EXPECT_LT(report.stages[2].cpu_seconds, 5e-3) << "sleeping is no processor time";
  EXPECT_GT(report.wall_seconds, 0.0);
}

INSTANTIATE_TEST_SUITE_P(Threads, PipelineTest, testing::Values(1, 2, 5));

/// Threads that sleep need no core: what is measured is whether they are given work. (Within 5 % of the ideal where
/// nothing else runs and there are many items; a busy machine wakes threads late.)
TEST(Pipeline, NoThreadIsWithoutWorkWhileThereIsAny) {
  set_num_threads(2);
  std::atomic<int64_t> microseconds = 0;
  const auto nap = [&] {
    const Timer timer;
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    microseconds += static_cast<int64_t>(1e6 * timer.seconds());
  };
  const auto loops = [&](Number&) {
    for (int loop = 0; loop < 8; ++loop) parallel_for(2, [&](int64_t) { nap(); });
  };
  const auto write = [&](Number&) { nap(), nap(); };
  const auto read = [&, next = int64_t{0}]() mutable -> std::unique_ptr<Number> {
    nap(), nap();
    return next < 16 ? std::make_unique<Number>(Number{next++}) : nullptr;
  };
  const PipelineReport report =
      run_pipeline<Number>(read, {{"infer", StageOrder::any, loops}, {"write", StageOrder::items, write}});
  set_num_threads(0);
  // The first read and the last write have nobody beside them.
  const double ideal = 0.5e-6 * static_cast<double>(microseconds);
  EXPECT_LT(report.wall_seconds, 1.7 * ideal) << "one thread alone would take twice the ideal time";
}

TEST(Pipeline, RefusesANegativeBound) { EXPECT_THROW(run_pipeline<Number>(numbers(1), {}, {.max_items = -1}), Error); }

}  // namespace
}  // namespace vit
