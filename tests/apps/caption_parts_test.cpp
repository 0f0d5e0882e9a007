// The parts of `vitkit caption` that need no model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/caption_files.h"
#include "apps/caption_run.h"
#include "apps/plural.h"
#include "tests/support/errors.h"

namespace apps {
namespace {

using testing::HasSubstr;
using vit::test::usage_error;

TEST(Subtitles, StandUntilTheNextAndGoOnWhereTheySayTheSame) {
  EXPECT_EQ(subrip({}, 5.0), "");
  EXPECT_EQ(subrip({{0.0, "A cat."}, {2.0, "A cat."}, {4.0, "A dog."}, {3661.5, "An owl."}}, 3662.0),
            "1\n00:00:00,000 --> 00:00:04,000\nA cat.\n\n"
            "2\n00:00:04,000 --> 01:01:01,500\nA dog.\n\n"
            "3\n01:01:01,500 --> 01:01:02,000\nAn owl.\n\n");
}

TEST(Subtitles, NeverEndBeforeTheyBegin) {
  EXPECT_EQ(subrip({{2.0, "A"}}, 1.0), "1\n00:00:02,000 --> 00:00:02,000\nA\n\n");
}

TEST(Times, HaveUnits) {
  EXPECT_DOUBLE_EQ(parse_seconds("--every", "2s"), 2.0);
  EXPECT_DOUBLE_EQ(parse_seconds("--every", "500ms"), 0.5);
  EXPECT_DOUBLE_EQ(parse_seconds("--every", "1.5"), 1.5);
  EXPECT_DOUBLE_EQ(parse_seconds("--every", "2m"), 120.0);
  EXPECT_DOUBLE_EQ(parse_seconds("--every", "0"), 0.0);
  for (const char* wrong : {"", "s", "-1s", "2 hours", "nan", "inf", "100000"})
    EXPECT_THAT(usage_error([&] { parse_seconds("--every", wrong); }), HasSubstr("--every: expected a time"));
}

TEST(Words, AgreeWithTheirNumbers) {
  EXPECT_EQ(counted(1, "failure"), "1 failure");
  EXPECT_EQ(counted(0, "failure"), "0 failures");
  EXPECT_EQ(counted(2, "frame is", "frames are"), "2 frames are");
}

}  // namespace
}  // namespace apps
