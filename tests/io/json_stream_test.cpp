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

}  // namespace
}  // namespace vit
