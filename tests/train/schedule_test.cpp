#include "vit/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/support/errors.h"
#include "tests/support/schedule_golden.h"

namespace vit {
namespace {

using test::failure;
using test::usage_error;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Schedule, EqualsTimm) {
  const auto results = test::run_schedule_golden(VITKIT_SOURCE_DIR "/tests/goldens/C1b_lr_schedules");
  EXPECT_GE(results.size(), 7u);
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.name << ": " << result.max_abs;
}

// The options that the golden leaves out, against the formulas worked out by hand.
TEST(Schedule, KDecayBendsTime) {
  ScheduleSpec spec{.kind = ScheduleKind::cosine, .base_lr = 1.0, .t_initial = 10, .k_decay = 2.0};
  EXPECT_NEAR(scheduled_lr(spec, 5), 0.5 * (1.0 + std::cos(std::numbers::pi * 25.0 / 100.0)), 1e-15);
  spec.kind = ScheduleKind::poly;
  spec.power = 2.0;
  EXPECT_NEAR(scheduled_lr(spec, 5), 0.75 * 0.75, 1e-15);
}

TEST(Schedule, CyclesRestartAndEnd) {
  const ScheduleSpec spec{
      .base_lr = 1.0, .lr_min = 0.125, .t_initial = 4, .cycle_mul = 2.0, .cycle_decay = 0.5, .cycle_limit = 2};
  EXPECT_EQ(cycle_length(spec), 12);
  EXPECT_EQ(scheduled_lr(spec, 0), 1.0);
  EXPECT_EQ(scheduled_lr(spec, 4), 0.5) << "the second cycle starts at half the rate";
  EXPECT_NEAR(scheduled_lr(spec, 8), 0.125 + 0.5 * (0.5 - 0.125), 1e-15) << "its middle";
  EXPECT_EQ(scheduled_lr(spec, 12), 0.125);
  EXPECT_EQ(scheduled_lr(spec, 1000), 0.125);
}

TEST(Schedule, ShrinkingCyclesHaveAnEnd) {
  const ScheduleSpec spec{.base_lr = 1.0, .t_initial = 8, .cycle_mul = 0.5, .cycle_limit = 100};
  EXPECT_EQ(scheduled_lr(spec, 8), 1.0);
  EXPECT_EQ(scheduled_lr(spec, 16), 0.0);
  EXPECT_EQ(scheduled_lr(spec, 17), 0.0) << "8 + 4 + 2 + ... = 16";
}

TEST(Schedule, TanhWarmsUpToWhereItGoesOn) {
  ScheduleSpec spec{.kind = ScheduleKind::tanh, .base_lr = 1.0, .warmup_t = 10, .warmup_lr_init = 0.2, .t_initial = 20};
  const double goal = 0.5 * (1.0 - std::tanh(-7.0 * 0.5 + 3.0 * 0.5));
  EXPECT_NEAR(scheduled_lr(spec, 5), 0.2 + 5.0 * (goal - 0.2) / 10.0, 1e-15);
  EXPECT_NEAR(scheduled_lr(spec, 10), goal, 1e-15);
  spec.warmup_prefix = true;
  EXPECT_NEAR(scheduled_lr(spec, 5), 0.6, 1e-15);
  EXPECT_NEAR(scheduled_lr(spec, 20), goal, 1e-15);
  EXPECT_EQ(LrSchedule(spec).lr(), 0.2);
}

TEST(Schedule, StepsAtFractions) {
  const ScheduleSpec spec{.kind = ScheduleKind::step, .base_lr = 1.0, .decay_rate = 0.5, .decay_t = 2.4};
  EXPECT_EQ(scheduled_lr(spec, 2), 1.0);
  EXPECT_EQ(scheduled_lr(spec, 3), 0.5);
  EXPECT_EQ(scheduled_lr(spec, 4), 0.5);
  EXPECT_EQ(scheduled_lr(spec, 12), 1.0 / 32) << "exactly five intervals";
}

TEST(Schedule, PlateauWaitsThenDecays) {
  LrSchedule schedule(ScheduleSpec{.kind = ScheduleKind::plateau,
                                   .base_lr = 1.0,
                                   .lr_min = 0.3,
                                   .decay_rate = 0.5,
                                   .patience_t = 1,
                                   .cooldown_t = 1});
  const std::vector<double> metric = {10, 10, 10, 9, 9, 9, 9, 9, 9, 9, 11, 11};
  // Improves; bad 1; bad 2: decays; cool-down; bad 1; bad 2: decays to lr_min; cool-down; bad 1; bad 2: no lower; ...
  const std::vector<double> expected = {1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3};
  // The patience of one: "more than 1 bad check".
  for (size_t epoch = 0; epoch < metric.size(); ++epoch) {
    schedule.finish_epoch(static_cast<int64_t>(epoch) + 1, metric[epoch]);
    EXPECT_NEAR(schedule.lr(), expected[epoch], 1e-15) << epoch;
  }
}

TEST(Schedule, PlateauOfALossGoesDown) {
  LrSchedule schedule(ScheduleSpec{.kind = ScheduleKind::plateau,
                                   .base_lr = 1.0,
                                   .warmup_t = 2,
                                   .warmup_lr_init = 0.5,
                                   .decay_rate = 0.1,
                                   .patience_t = 0,
                                   .metric_decreases = true});
  EXPECT_EQ(schedule.lr(), 0.5);
  schedule.finish_epoch(1);
  EXPECT_EQ(schedule.lr(), 0.75);
  schedule.finish_epoch(2);
  EXPECT_EQ(schedule.lr(), 1.0);
  schedule.finish_epoch(3, 5.0);
  schedule.finish_epoch(4, 4.0);
  EXPECT_EQ(schedule.lr(), 1.0);
  schedule.finish_epoch(5, 3.9999);
  EXPECT_NEAR(schedule.lr(), 0.1, 1e-15) << "an improvement below the threshold is none";
  EXPECT_THAT(failure([&] { schedule.finish_epoch(6); }), HasSubstr("needs a metric"));
}

TEST(Schedule, StateContinuesBitExactly) {
  const ScheduleSpec spec{.kind = ScheduleKind::plateau, .base_lr = 0.7, .decay_rate = 0.3, .patience_t = 1};
  LrSchedule whole(spec);
  for (int epoch = 1; epoch <= 6; ++epoch) whole.finish_epoch(epoch, 1.0);
  LrSchedule first(spec), second(spec);
  for (int epoch = 1; epoch <= 3; ++epoch) first.finish_epoch(epoch, 1.0);
  second.restore(first.state());
  EXPECT_EQ(second.lr(), first.lr());
  for (int epoch = 4; epoch <= 6; ++epoch) second.finish_epoch(epoch, 1.0);
  EXPECT_EQ(second.lr(), whole.lr());
  EXPECT_LT(whole.lr(), 0.7);
  EXPECT_THAT(usage_error([&] { second.restore(Tensor::zeros({3})); }), HasSubstr("saved state"));
}

TEST(Schedule, ConfigCountsEpochs) {
  ScheduleConfig config;
  config.epochs = 10;
  config.warmup_epochs = 2;
  config.cooldown_epochs = 3;
  EXPECT_EQ(LrSchedule(config, 1.0, 100).epochs(), 13);
  config.warmup_prefix = true;
  config.lr_cycle_limit = 2;
  EXPECT_EQ(LrSchedule(config, 1.0, 100).epochs(), 25);
  config.sched_on_updates = true;
  EXPECT_EQ(LrSchedule(config, 1.0, 100).epochs(), 25);
  config.sched = ScheduleKind::step;
  EXPECT_EQ(LrSchedule(config, 1.0, 100).epochs(), 12) << "no cycles: no cool-down";
}

TEST(Schedule, OnUpdatesMovesWithUpdates) {
  ScheduleConfig config;
  config.epochs = 4;
  config.warmup_epochs = 1;
  config.warmup_lr = 0.0;
  config.sched_on_updates = true;
  LrSchedule schedule(config, 1.0, 10);
  EXPECT_EQ(schedule.lr(), 0.0);
  schedule.finish_update(5);
  EXPECT_NEAR(schedule.lr(), 0.5, 1e-15);
  schedule.finish_epoch(1);
  EXPECT_NEAR(schedule.lr(), 0.5, 1e-15) << "epochs do not count";
  schedule.finish_update(20);
  EXPECT_NEAR(schedule.lr(), 0.5, 1e-15) << "the middle of the cosine";
  config.sched_on_updates = false;
  LrSchedule by_epoch(config, 1.0, 10);
  by_epoch.finish_update(20);
  EXPECT_EQ(by_epoch.lr(), 0.0);
  by_epoch.finish_epoch(2);
  EXPECT_NEAR(by_epoch.lr(), 0.5, 1e-15);
}

TEST(Schedule, RefusesWhatMakesNoSense) {
  const auto error = [](const char* yaml) {
    return usage_error([&] { read_config<ScheduleConfig>(ConfigNode::parse(yaml, "a.yaml")); });
  };
  EXPECT_THAT(error("{sched: cosin}"), AllOf(HasSubstr("a.yaml"), HasSubstr("cosine")));
  EXPECT_THAT(error("{sched: plateau, sched_on_updates: true}"), HasSubstr("after each epoch"));
  EXPECT_THAT(error("{decay_milestones: [5, 3]}"), HasSubstr("ascend"));
  EXPECT_THAT(error("{epochs: 0}"), HasSubstr("epochs"));
  EXPECT_THAT(usage_error([] { LrSchedule(ScheduleSpec{.base_lr = -1.0}); }), HasSubstr("rates"));
  EXPECT_THAT(usage_error([] { LrSchedule(ScheduleSpec{.t_initial = 1000, .cycle_mul = 100.0, .cycle_limit = 100}); }),
              HasSubstr("too long"));
}

}  // namespace
}  // namespace vit
