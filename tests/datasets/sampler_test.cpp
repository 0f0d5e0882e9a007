#include "datasets/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::HasSubstr;
using vit::test::usage_error;

SamplerConfig named(const std::string& name) {
  SamplerConfig config;
  config.sampler = name;
  return config;
}

/// 0 0 0 ... 1 1 ... 2: 60, 30 and 10 pictures of three classes.
std::vector<int64_t> uneven_labels() {
  std::vector<int64_t> labels(60, 0);
  labels.insert(labels.end(), 30, 1);
  labels.insert(labels.end(), 10, 2);
  return labels;
}

std::map<int64_t, int64_t> class_counts(const std::vector<int64_t>& order, const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> counts;
  for (const int64_t i : order) ++counts[labels[static_cast<size_t>(i)]];
  return counts;
}

TEST(Sampler, ShuffledGivesEachOnceAndAnotherOrderPerEpochAndSeed) {
  const Sampler sampler(named("shuffled"), uneven_labels(), 3, 5);
  const std::vector<int64_t> first = sampler.order(0);
  EXPECT_EQ(sampler.size(), 100);
  EXPECT_EQ(first, sampler.order(0));
  EXPECT_NE(first, sampler.order(1));
  EXPECT_NE(first, Sampler(named("shuffled"), uneven_labels(), 3, 6).order(0));
  std::vector<int64_t> sorted = first, all(100);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), int64_t{0});
  EXPECT_EQ(sorted, all);
  EXPECT_EQ(Sampler(named("sequential"), uneven_labels(), 3, 5).order(7), all);
}

TEST(Sampler, ShuffledIsUniform) {
  const Sampler sampler(named("shuffled"), std::vector<int64_t>(4, 0), 1, 3);
  std::map<std::vector<int64_t>, int> orders;
  for (int64_t epoch = 0; epoch < 4800; ++epoch) ++orders[sampler.order(epoch)];
  EXPECT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 200, 70) << "five standard deviations";
}

TEST(Sampler, BalancedGivesEveryClassEquallyOften) {
  const std::vector<int64_t> labels = uneven_labels();
  SamplerConfig config = named("balanced");
  config.epoch_size = 90;
  const Sampler sampler(config, labels, 3, 5);
  const std::vector<int64_t> order = sampler.order(2);
  EXPECT_EQ(order.size(), 90u);
  for (const auto& [label, count] : class_counts(order, labels)) EXPECT_EQ(count, 30) << label;
  for (int64_t i = 90; i < 100; ++i) EXPECT_EQ(std::count(order.begin(), order.end(), i), 3) << "the rare, in turns";
  // 100 = 34 + 33 + 33, and who has one more changes.
  const Sampler whole(named("balanced"), labels, 3, 5);
  std::set<int64_t> with_more;
  for (int64_t epoch = 0; epoch < 20; ++epoch)
    for (const auto& [label, count] : class_counts(whole.order(epoch), labels)) {
      EXPECT_TRUE(count == 33 || count == 34);
      if (count == 34) with_more.insert(label);
    }
  EXPECT_EQ(with_more.size(), 3u);
}

TEST(Sampler, WeightedFollowsTheWeights) {
  const std::vector<int64_t> labels = uneven_labels();
  SamplerConfig config = named("weighted");
  config.sample_weights = {0, 1, 6};  // 30 * 1 : 10 * 6
  config.epoch_size = 9000;
  const std::vector<int64_t> order = Sampler(config, labels, 3, 5).order(0);
  std::map<int64_t, int64_t> counts = class_counts(order, labels);
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(static_cast<double>(counts[1]), 3000, 5 * 45);
  EXPECT_NEAR(static_cast<double>(counts[2]), 6000, 5 * 45);
  const Sampler by_picture = Sampler::weighted(SamplerConfig{}, {0, 2, 0, 0}, 1);
  EXPECT_THAT(by_picture.order(0), testing::ElementsAre(1, 1, 1, 1));
}

TEST(Sampler, RepeatsInARowAndKeepsTheEpochsLength) {
  SamplerConfig config = named("shuffled");
  config.aug_repeats = 3;
  const std::vector<int64_t> labels(1000, 0);
  const Sampler sampler(config, labels, 1, 9);
  EXPECT_EQ(sampler.size(), 768) << "timm's multiple of 256";
  const std::vector<int64_t> order = sampler.order(4);
  const std::vector<int64_t> single = Sampler(named("shuffled"), labels, 1, 9).order(4);
  ASSERT_EQ(order.size(), 768u);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], single[i / 3]);
  EXPECT_EQ(Sampler(config, std::vector<int64_t>(100, 0), 1, 9).order(0).size(), 100u);
}

TEST(Sampler, SaysWhatDoesNotFit) {
  EXPECT_THAT(usage_error([] { Sampler(named("balanced"), {0, 0, 2}, 3, 1); }), HasSubstr("class 1 has no pictures"));
  EXPECT_THAT(usage_error([] { Sampler(named("shuffled"), {0, 3}, 3, 1); }), HasSubstr("class 3"));
  EXPECT_THAT(usage_error([] { Sampler(named("shuffled"), {}, 3, 1); }), HasSubstr("no pictures"));
  EXPECT_THAT(usage_error([] { Sampler(named("weighted"), {0, 1}, 2, 1); }), HasSubstr("2 classes, got 0"));
  SamplerConfig config = named("weighted");
  config.sample_weights = {1, 0};
  EXPECT_THAT(usage_error([&] { Sampler(config, {1, 1}, 2, 1); }), HasSubstr("sum to 0"));
  config.sampler = "shuffled";
  EXPECT_THAT(usage_error([&] { Sampler(config, {1, 1}, 2, 1); }), HasSubstr("set it to weighted"));
  config.sample_weights = {};
  config.epoch_size = 7;
  EXPECT_THAT(usage_error([&] { Sampler(config, {1, 1}, 2, 1); }), HasSubstr("epoch_size"));
}

}  // namespace
}  // namespace datasets
