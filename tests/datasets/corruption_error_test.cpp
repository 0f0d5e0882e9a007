#include "datasets/corruption_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::Optional;

constexpr double kExact = 1e-12;

/// Errors of two families of the benchmark and an extra one.
CorruptionErrors errors() {
  CorruptionErrors errors;
  errors.clean = 0.1;
  errors.corrupted["fog"] = {{1, 0.2}, {2, 0.4}};
  errors.corrupted["frost"] = {{1, 0.1}, {2, 0.3}};
  errors.corrupted["gaussian_noise"] = {{1, 0.5}, {2, 0.9}};
  errors.corrupted["saturate"] = {{1, 0.9}, {2, 0.9}};
  return errors;
}

CorruptionErrors baseline() {
  CorruptionErrors errors;
  errors.clean = 0.2;
  errors.corrupted["fog"] = {{1, 0.5}, {2, 0.7}};
  errors.corrupted["frost"] = {{1, 0.2}, {2, 0.2}, {3, 0.9}};
  errors.corrupted["gaussian_noise"] = {{1, 0.4}, {2, 0.6}};
  return errors;
}

TEST(CorruptionError, AveragesFamiliesAndGroups) {
  const CorruptionSummary summary = summarise_corruptions(errors());
  ASSERT_EQ(summary.families.size(), 4u);
  EXPECT_EQ(summary.families[0].family, "gaussian_noise") << "the paper's order";
  EXPECT_EQ(summary.families[1].family, "frost");
  EXPECT_EQ(summary.families[3].family, "saturate");
  EXPECT_TRUE(summary.families[3].is_extra);
  EXPECT_NEAR(summary.families[1].mean, 0.2, kExact);
  EXPECT_THAT(summary.families[1].increase, Optional(DoubleNear(0.1, kExact)));
  ASSERT_EQ(summary.groups.size(), 2u);
  EXPECT_EQ(summary.groups[1].group, "weather");
  EXPECT_EQ(summary.groups[1].families, 2);
  EXPECT_NEAR(summary.groups[1].mean, 0.25, kExact);
  EXPECT_THAT(summary.mean_error, Optional(DoubleNear((0.3 + 0.2 + 0.7) / 3.0, kExact)));
  EXPECT_THAT(summary.mean_increase, Optional(DoubleNear((0.2 + 0.1 + 0.6) / 3.0, kExact)));
  EXPECT_FALSE(summary.mce.has_value());
  EXPECT_FALSE(summary.families[0].normalised.has_value());
}

TEST(CorruptionError, DividesByTheBaselines) {
  const CorruptionErrors base = baseline();
  const CorruptionSummary summary = summarise_corruptions(errors(), &base);
  const double noise = 1.4 / 1.0, frost = 0.4 / 0.4, fog = 0.6 / 1.2;
  EXPECT_THAT(summary.families[0].normalised, Optional(DoubleNear(noise, kExact)));
  EXPECT_THAT(summary.families[1].normalised, Optional(DoubleNear(frost, kExact))) << "severities that both have";
  EXPECT_FALSE(summary.families[3].normalised.has_value()) << "the baseline has none";
  EXPECT_THAT(summary.mce, Optional(DoubleNear((noise + frost + fog) / 3.0, kExact)));
  // What corruptions add: 1.2 of 0.6, 0.4 of 0.8; frost adds nothing to the baseline's error.
  EXPECT_THAT(summary.families[0].relative_normalised, Optional(DoubleNear(2.0, 1e-9)));
  EXPECT_FALSE(summary.families[1].relative_normalised.has_value());
  EXPECT_THAT(summary.relative_mce, Optional(DoubleNear((2.0 + 0.5) / 2.0, 1e-9)));
}

TEST(CorruptionError, OfAModelByItselfIsOne) {
  const CorruptionErrors own = errors();
  const CorruptionSummary summary = summarise_corruptions(own, &own);
  EXPECT_THAT(summary.mce, Optional(DoubleNear(1.0, kExact)));
  EXPECT_THAT(summary.relative_mce, Optional(DoubleNear(1.0, kExact)));
}

TEST(CorruptionError, SaysNothingOfNothing) {
  const CorruptionSummary summary = summarise_corruptions({});
  EXPECT_TRUE(summary.families.empty());
  EXPECT_TRUE(summary.groups.empty());
  EXPECT_FALSE(summary.mean_error.has_value());
  CorruptionErrors without_clean;
  without_clean.corrupted["fog"] = {{3, 0.5}};
  EXPECT_FALSE(summarise_corruptions(without_clean, &without_clean).relative_mce.has_value());
  CorruptionErrors extra_only;
  extra_only.corrupted["spatter"] = {{3, 0.5}};
  EXPECT_FALSE(summarise_corruptions(extra_only).mean_error.has_value());
  EXPECT_EQ(summarise_corruptions(extra_only).families.size(), 1u);
}

TEST(CorruptionError, RefusesUnknownFamilies) {
  CorruptionErrors wrong;
  wrong.corrupted["frog"] = {{1, 0.5}};
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(summarise_corruptions(wrong)); }),
              HasSubstr("did you mean 'fog'"));
}

}  // namespace
}  // namespace datasets
