#include "vit/core/names.h"

#include <gtest/gtest.h>

namespace vit {
namespace {

const std::vector<std::string> kNames = {"self", "window", "linear", "cross", "squeeze_excite", "vit_tiny_patch16_224"};

TEST(Names, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("depth", "detph"), 1u) << "a swap of neighbours is one slip";
  EXPECT_EQ(edit_distance("Drop-Path", "drop_path"), 0u) << "case and '-' do not count";
}

TEST(Names, NearestIsAPlausibleSlip) {
  EXPECT_EQ(nearest_name("widnow", kNames), "window");
  EXPECT_EQ(nearest_name("Linear", kNames), "linear");
  EXPECT_EQ(nearest_name("squeeze-excite", kNames), "squeeze_excite");
  EXPECT_EQ(nearest_name("vit_tiny", kNames), "vit_tiny_patch16_224") << "a part of a name points to it";
  EXPECT_EQ(nearest_name("tiny_vit", kNames), "");
  EXPECT_EQ(nearest_name("banana", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(Names, LongNamesAreComparedByTheirBeginnings) {
  const std::string huge(1'000'000, 'a');
  EXPECT_LE(edit_distance(huge, "b" + huge), 100u);
  EXPECT_EQ(nearest_name(huge, kNames), "");
}

TEST(Names, Phrases) {
  EXPECT_EQ(did_you_mean("widnow", kNames), " (did you mean 'window'?)");
  EXPECT_EQ(did_you_mean("banana", kNames), "");
  EXPECT_EQ(joined({}), "");
  EXPECT_EQ(joined({"a"}), "a");
  EXPECT_EQ(joined({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(joined({"a", "b", "c"}, 2), "a, b and 1 more");
}

}  // namespace
}  // namespace vit
