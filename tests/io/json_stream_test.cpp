#include "vit/io/json_stream.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using nlohmann::json;
using test::TempDir;
using test::usage_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Seen {
  std::vector<std::string> objects;  // "list position object"
  json rest;
};

Seen stream(const std::string& text, const JsonStreamLimits& limits = {}) {
  const TempDir dir;
  Seen seen;
  seen.rest = stream_json(dir.write("f.json", text), limits,
                          [&](const std::string& list, int64_t position, const json& object) {
                            seen.objects.push_back(list + " " + std::to_string(position) + " " + object.dump());
                          });
  return seen;
}

TEST(JsonStream, HandsOutTheObjectsOfLists) {
  const Seen seen =
      stream(R"({"a": [{"x": 1}, {"x": {"y": [{"z": 2}]}}], "n": 3, "b": [{"x": []}], "o": {"p": [{}]}})");
  EXPECT_THAT(seen.objects, ElementsAre("a 0 {\"x\":1}", "a 1 {\"x\":{\"y\":[{\"z\":2}]}}", "b 0 {\"x\":[]}"));
  EXPECT_EQ(seen.rest, json::parse(R"({"a": [], "n": 3, "b": [], "o": {"p": [{}]}})"));
}

TEST(JsonStream, HandsOutTheObjectsOfOneList) {
  const Seen seen = stream(R"([{"x": [1, 2]}, 5, {"x": "s"}, [{"x": 1}], {"x": null}])");
  EXPECT_THAT(seen.objects, ElementsAre(" 0 {\"x\":[1,2]}", " 1 {\"x\":\"s\"}", " 2 {\"x\":null}"));
  EXPECT_EQ(seen.rest, json::parse(R"([5, [{"x": 1}]])")) << "what is no object stays";
}

TEST(JsonStream, SkipsKeysWhateverStandsUnderThem) {
  const Seen seen = stream(R"([{"s": {"a": [1, {"s": 2}]}, "x": 1}, {"s": [[1], [2]], "x": 2}, {"x": 3, "s": 4}])",
                           {.skipped = {"s"}});
  EXPECT_THAT(seen.objects, ElementsAre(" 0 {\"x\":1}", " 1 {\"x\":2}", " 2 {\"x\":3}"));
}

TEST(JsonStream, LimitsAndDamage) {
  EXPECT_THAT(usage_error([] { stream("[" + std::string(50, '[') + std::string(51, ']')); }),
              HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(usage_error([] { stream("[{\"s\": " + std::string(50, '[') + "]}]", {.skipped = {"s"}}); }),
              HasSubstr("nested deeper"));
  EXPECT_THAT(usage_error([] { stream("[1, 2, 3]", {.max_bytes = 5}); }), HasSubstr("more than the limit of 5"));
  EXPECT_THAT(usage_error([] { stream("[{\"a\": 1}"); }), HasSubstr("f.json: not JSON: byte"));
  EXPECT_THAT(usage_error([] { stream("[] []"); }), HasSubstr("not JSON"));
  EXPECT_THAT(usage_error([] { stream("[\"" + std::string(100000, 'x')); }).size(), ::testing::Lt(600u));
  EXPECT_THAT(usage_error([] { stream("null"); }), HasSubstr("expected a list or an object"));
}

TEST(JsonStream, RepairsBytesThatAreNoUtf8WhereItIsAsked) {
  const std::string text = "[{\"a\": \"caf\xE9\"}, {\"a\": \"\xE2\x82\xAC\"}]";
  EXPECT_THAT(usage_error([&] { stream(text); }), HasSubstr("not JSON"));
  const JsonStreamLimits repairing{.repair_utf8 = true};
  EXPECT_THAT(stream(text, repairing).objects,
              ElementsAre(" 0 {\"a\":\"caf\xEF\xBF\xBD\"}", " 1 {\"a\":\"\xE2\x82\xAC\"}"));
  // A character on every side of where one piece ends and the next begins.
  for (int64_t filler = 65520; filler < 65540; ++filler) {
    const std::string long_text =
        "[{\"a\": \"" + std::string(static_cast<size_t>(filler), 'x') + "\xF0\x9F\x98\x80\"}]";
    const Seen seen = stream(long_text, repairing);
    ASSERT_EQ(seen.objects.size(), 1u);
    EXPECT_TRUE(seen.objects[0].ends_with("x\xF0\x9F\x98\x80\"}")) << filler;
  }
}

}  // namespace
}  // namespace vit
