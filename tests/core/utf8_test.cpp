#include "vit/core/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace vit {
namespace {

TEST(Utf8, TellsCharactersFromOtherBytes) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  for (const std::string& wrong :
       {std::string("\x80"), std::string("\xC3"), std::string("\xC0\xAF"), std::string("\xE0\x80\x80"),
        std::string("\xED\xA0\x80"), std::string("\xF4\x90\x80\x80"), std::string("\xFF"), std::string("caf\xE9 noir")})
    EXPECT_FALSE(is_utf8(wrong)) << wrong.size();
  EXPECT_EQ(utf8_length("\xE2\x82\xAC", 0), 3u);
  EXPECT_EQ(utf8_length("\xE2\x82\xAC", 1), 0u);
  EXPECT_EQ(utf8_length("a", 1), 0u);
}

TEST(Utf8, PutsOneCharacterForEveryByteThatIsNone) {
  EXPECT_EQ(repaired_utf8("caf\xE9 noir"), "caf\xEF\xBF\xBD noir");
  EXPECT_EQ(repaired_utf8("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(repaired_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
}

}  // namespace
}  // namespace vit
