#include "vit/explain/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"

namespace vit {
namespace {

using testing::HasSubstr;

constexpr int64_t kSide = 28;

/// Regions that move with the picture; what is forgotten is elsewhere.
std::optional<ExplainedPicture> picture_of(int64_t index) {
  if (index == 2) return std::nullopt;
  const test::Region region{.top = 2 * index, .left = 16 - 2 * index, .height = 8, .width = 8};
  const test::Region elsewhere{.top = 18, .left = 18, .height = 6, .width = 6};
  const auto top = static_cast<double>(region.top), left = static_cast<double>(region.left);
  ExplainedPicture picture;
  picture.subject = std::make_unique<test::RegionSubject>(region, elsewhere);
  picture.pixels = test::flat_picture(1, kSide);
  picture.object = Corners{left, top, left + 8.0, top + 8.0};
  return picture;
}

MethodEvaluationOptions options_of() {
  MethodEvaluationOptions options;
  options.method.samples = 200;
  options.faithfulness.steps = 14;
  options.bootstrap.resamples = 200;
  return options;
}

TEST(Evaluation, FindsTheMethodsThatShowTheTruth) {
  int64_t last = 0;
  MethodEvaluationOptions options = options_of();
  options.progress = [&](int64_t done) { last = done; };
  const std::vector<MethodFigures> rows = evaluate_methods(6, picture_of, {"occlusion", "rise"}, options);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(last, 6);
  EXPECT_EQ(rows[0].method, "occlusion");
  EXPECT_EQ(rows[2].method, kRandomBaseline);
  EXPECT_EQ(rows[3].method, kCentreBaseline);
  const MethodFigures &occlusion = rows[0], &random = rows[2];
  EXPECT_EQ(occlusion.deletion.count, 5);  // one picture could not be read
  EXPECT_LT(occlusion.deletion.high, random.deletion.low);
  EXPECT_GT(occlusion.mass.mean, 0.6);
  EXPECT_EQ(occlusion.pointing.mean, 1.0);
  EXPECT_NEAR(occlusion.area.mean, 64.0 / (kSide * kSide), 1e-9);
  EXPECT_LT(occlusion.spearman.mean, kDoubtfulCorrelation);
  EXPECT_EQ(occlusion.unchanged.mean, 0.0);
  EXPECT_GT(occlusion.seconds.mean, 0.0);
  EXPECT_GT(rows[1].mass.mean, rows[1].area.mean);
  // Baselines have no model: nothing to check, no time.
  EXPECT_TRUE(random.baseline);
  EXPECT_EQ(random.spearman.count, 0);
  EXPECT_EQ(random.seconds.count, 0);
  EXPECT_NEAR(random.mass.mean, random.area.mean, 0.08);
}

TEST(Evaluation, IsDeterministicAndSharesWhatIsRandomized) {
  const auto shared =
      std::make_shared<test::RegionSubject>(test::Region{.top = 20, .left = 2, .height = 4, .width = 4});
  const auto source = [&](int64_t index) {
    std::optional<ExplainedPicture> picture = picture_of(index);
    if (picture) picture->randomized = shared;
    return picture;
  };
  const MethodFigures own = evaluate_methods(4, picture_of, {"rise"}, options_of()).front();
  const MethodFigures again = evaluate_methods(4, picture_of, {"rise"}, options_of()).front();
  EXPECT_EQ(own.deletion.low, again.deletion.low);
  EXPECT_EQ(own.road.mean, again.road.mean);
  EXPECT_EQ(own.spearman.mean, again.spearman.mean);
  EXPECT_NE(own.spearman.mean, evaluate_methods(4, source, {"rise"}, options_of()).front().spearman.mean);
}

TEST(Evaluation, LeavesOutWhatIsNotAskedForOrNotKnown) {
  MethodEvaluationOptions options = options_of();
  options.baselines = false;
  options.faithfulness.sanity = false;
  const auto source = [](int64_t index) {
    std::optional<ExplainedPicture> picture = picture_of(index);
    if (picture) picture->object.reset();
    return picture;
  };
  const std::vector<MethodFigures> rows = evaluate_methods(2, source, {"occlusion"}, options);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].ssim.count, 0);
  EXPECT_EQ(rows[0].mass.count, 0);
  EXPECT_TRUE(std::isnan(rows[0].mass.mean));
}

TEST(Evaluation, SaysWhatIsWrong) {
  EXPECT_THAT(test::usage_error([] { static_cast<void>(evaluate_methods(1, picture_of, {"occlusio"}, options_of())); }),
              HasSubstr("did you mean 'occlusion'"));
  const auto none = [](int64_t) { return std::optional<ExplainedPicture>(); };
  EXPECT_THAT(test::failure([&] { static_cast<void>(evaluate_methods(3, none, {"rise"}, options_of())); }),
              HasSubstr("none of 3 pictures"));
}

}  // namespace
}  // namespace vit
