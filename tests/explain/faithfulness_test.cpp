#include "vit/explain/faithfulness.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"

namespace vit {
namespace {

constexpr int64_t kSide = 28;
const test::Region kRegion{.top = 4, .left = 4, .height = 8, .width = 8};
const test::Region kElsewhere{.top = 16, .left = 16, .height = 8, .width = 8};

Tensor picture() { return test::flat_picture(1, kSide); }

TEST(Faithfulness, MeasuresAMethodThatShowsTheTruth) {
  const test::RegionSubject subject(kRegion, kElsewhere);
  const Explanation map = explain("occlusion", subject, picture());
  const Faithfulness result = measure_faithfulness("occlusion", subject, picture(), map);
  EXPECT_NEAR(result.score, 1.0, 1e-6);
  EXPECT_LT(result.deletion.auc, 0.12);
  EXPECT_EQ(result.deletion.scores.size(), 29u);
  EXPECT_EQ(result.road.morf.size(), 4u);
  ASSERT_TRUE(result.sanity.has_value());
  // The subject with random weights looks elsewhere, so the map moves there.
  EXPECT_LT(result.sanity->spearman, kDoubtfulCorrelation);
  EXPECT_EQ(result.sanity->verdict, "changes with the weights");
}

TEST(Faithfulness, NamesAMethodThatForgetsNothing) {
  const test::RegionSubject subject(kRegion, kRegion);
  const Explanation map = explain("occlusion", subject, picture());
  const Faithfulness result = measure_faithfulness("occlusion", subject, picture(), map);
  ASSERT_TRUE(result.sanity.has_value());
  EXPECT_NEAR(result.sanity->spearman, 1.0, 1e-12);
  EXPECT_THAT(result.sanity->verdict, testing::HasSubstr("does not show what the model learnt"));
}

// A subject that always says the same leaves RISE nothing but the noise of its masks, which the two maps do not share.
TEST(Faithfulness, SharedNoiseIsNoLikeness) {
  class Indifferent : public test::RegionSubject {
   public:
    Indifferent() : RegionSubject(kRegion) {}
    std::vector<double> scores(const Tensor& pixels) const override {
      return std::vector<double>(static_cast<size_t>(pixels.size(0)), 0.5);
    }
  };
  const Indifferent subject, other;
  const MethodOptions masks{.samples = 30};
  const Explanation map = explain("rise", subject, picture(), masks);
  const Faithfulness result = measure_faithfulness("rise", subject, picture(), map, masks, {.steps = 2}, &other);
  ASSERT_TRUE(result.sanity.has_value());
  EXPECT_LT(result.sanity->spearman, kDoubtfulCorrelation);
}

TEST(Faithfulness, TakesARandomizedSubjectThatExists) {
  const test::RegionSubject subject(kRegion, kRegion), other(kElsewhere);
  const Explanation map = explain("occlusion", subject, picture());
  const Faithfulness result = measure_faithfulness("occlusion", subject, picture(), map, {}, {}, &other);
  ASSERT_TRUE(result.sanity.has_value());
  EXPECT_LT(result.sanity->spearman, kDoubtfulCorrelation);
  const Faithfulness without = measure_faithfulness("occlusion", subject, picture(), map, {}, {.sanity = false});
  EXPECT_FALSE(without.sanity.has_value());
}

TEST(Faithfulness, SaysHowManyPassesItTakes) {
  EXPECT_EQ(FaithfulnessOptions{}.passes(), 2 * 28 + 1 + 8);
  EXPECT_EQ((FaithfulnessOptions{.steps = 10, .road_shares = {0.5}}.passes()), 23);
}

TEST(Faithfulness, IsJson) {
  const test::RegionSubject subject(kRegion, kElsewhere);
  const Explanation map = explain("occlusion", subject, picture());
  const nlohmann::ordered_json json =
      to_json(measure_faithfulness("occlusion", subject, picture(), map, {}, {.steps = 4, .road_shares = {0.5}}));
  EXPECT_NEAR(json["score"].get<double>(), 1.0, 1e-6);
  EXPECT_EQ(json["deletion"]["shares"], nlohmann::ordered_json({0.0, 0.25, 0.5, 0.75, 1.0}));
  EXPECT_EQ(json["insertion"]["scores"].size(), 5u);
  EXPECT_EQ(json["road"]["shares"], nlohmann::ordered_json(std::vector<double>{0.5}));
  EXPECT_EQ(json["sanity"]["verdict"], "changes with the weights");

  const Explanation flat{.map = Tensor::zeros({4, 4})};
  const Faithfulness constant = measure_faithfulness("occlusion", subject, picture(), flat, {}, {.steps = 2});
  EXPECT_TRUE(to_json(constant)["sanity"]["spearman"].is_null());
  const Faithfulness without = measure_faithfulness("occlusion", subject, picture(), flat, {}, {.sanity = false});
  EXPECT_TRUE(to_json(without)["sanity"].is_null());
}

}  // namespace
}  // namespace vit
