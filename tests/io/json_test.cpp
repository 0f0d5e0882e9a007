#include "vit/io/json.h"

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using nlohmann::json;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string parse_error(std::string_view text, const JsonLimits& limits = {}) {
  return usage_error([&] { parse_json(text, "f.json", limits); });
}

TEST(Json, Parses) {
  EXPECT_EQ(parse_json("{\"a\": [1, 2.5, \"x\", null, true]}", "f.json")["a"][1], 2.5);
  EXPECT_EQ(parse_json("\xef\xbb\xbf[1]", "f.json"), json::array({1})) << "a byte order mark is skipped";
}

TEST(Json, WhatIsNotJsonIsRefusedWithItsPlace) {
  EXPECT_THAT(parse_error("{\"a\": 1,\n \"b\": x}"),
              AllOf(StartsWith("f.json: not JSON: byte 16"), HasSubstr("line 2"), HasSubstr("last read")));
  EXPECT_THAT(parse_error(""), StartsWith("f.json: not JSON"));
  EXPECT_THAT(parse_error("{} {}"), StartsWith("f.json: not JSON"));
  EXPECT_THAT(parse_error("{\"a\": NaN}"), StartsWith("f.json: not JSON"));
  EXPECT_THAT(parse_error("[1e999]"), StartsWith("f.json: not JSON"));
  EXPECT_THAT(parse_error("[\"\xff\"]"), StartsWith("f.json: not JSON"));
  EXPECT_THAT(parse_error("\x89PNG\r\n"), StartsWith("f.json: not JSON"));
}

TEST(Json, MessagesAreShortWhateverTheFile) {
  EXPECT_LT(parse_error("[\"" + std::string(1'000'000, 'x')).size(), 500u);
  EXPECT_LT(parse_error("{\"" + std::string(1'000'000, 'x') + "\": 1, \"" + std::string(1'000'000, 'x') + "\": 2}",
                        {.unique_keys = true})
                .size(),
            500u);
}

TEST(Json, DepthIsLimited) {
  const std::string open(10'000, '['), close(10'000, ']');
  EXPECT_THAT(parse_error(open + close), StartsWith("f.json: nested deeper than 256 levels, at byte 256 (line 1)"));
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"a\":\n";
  EXPECT_THAT(parse_error(objects), HasSubstr("(line 257)"));
  EXPECT_TRUE(parse_json(open.substr(0, 256) + close.substr(0, 256), "f.json").is_array());
  EXPECT_TRUE(parse_json("[\"" + open + "\\\"" + open + "\"]", "f.json").is_array())
      << "brackets in strings do not count";
}

TEST(Json, DuplicateKeysAreRefusedWhereAsked) {
  const std::string text = R"({"a": {"x": 1}, "b": {"x": 1, "y": [{"x": 1}], "x": 2}})";
  EXPECT_EQ(parse_json(text, "f.json")["b"]["x"], 2);
  EXPECT_THAT(parse_error(text, {.unique_keys = true}), HasSubstr("the key 'x' stands twice"));
  EXPECT_EQ(parse_json(R"({"a": {"x": 1}, "b": {"x": 1}})", "f.json", {.unique_keys = true}).size(), 2u);
}

TEST(Json, FilesAreLimited) {
  const TempDir dir;
  const auto file = dir.write("a.json", "[1, 2, 3]");
  EXPECT_EQ(load_json(file).size(), 3u);
  EXPECT_THAT(usage_error([&] { load_json(file, {.max_bytes = 5}); }),
              AllOf(HasSubstr("a.json"), HasSubstr("5 bytes")));
  EXPECT_THAT(usage_error([&] { load_json(dir / "none.json"); }), HasSubstr("No such file"));
  EXPECT_THAT(usage_error([&] { load_json(dir.write("bad.json", "{")); }), HasSubstr("bad.json: not JSON"));
}

class JsonObjectTest : public ::testing::Test {
 protected:
  const json value_ =
      json::parse(R"({"int": 16, "whole": 16.0, "half": 0.5, "text": "abc", "yes": true, "nothing": null,
    "big": 18446744073709551615, "huge": 1e300, "ints": [1, 2], "strings": ["a", "b"], "mixed": [1, "a"],
    "bools": [true, false], "object": {"inner": {"deep": "x"}}, "objects": [{"a": 1}, {"a": "x"}]})");
  const JsonObject object_{value_, "config.json"};
};

TEST_F(JsonObjectTest, Values) {
  EXPECT_EQ(object_.get_int("int", 1), 16);
  EXPECT_EQ(object_.get_int("whole", 1), 16);
  EXPECT_EQ(object_.get_int("none", 1), 1);
  EXPECT_EQ(object_.get_int("nothing", 1), 1) << "null is absent";
  EXPECT_EQ(object_.require_int("int"), 16);
  EXPECT_EQ(object_.get_double("half", 1), 0.5);
  EXPECT_EQ(object_.get_double("int", 1), 16.0);
  EXPECT_EQ(object_.get_double("none", 1.5), 1.5);
  EXPECT_TRUE(object_.get_bool("yes", false));
  EXPECT_TRUE(object_.get_bool("none", true));
  EXPECT_EQ(object_.get_string("text", ""), "abc");
  EXPECT_EQ(object_.get_string("none", "d"), "d");
  EXPECT_EQ(object_.require_string("text"), "abc");
  EXPECT_TRUE(object_.has("int"));
  EXPECT_FALSE(object_.has("nothing"));
  EXPECT_FALSE(object_.has("none"));
}

TEST_F(JsonObjectTest, Lists) {
  EXPECT_THAT(object_.get_ints("ints", {}), ElementsAre(1, 2));
  EXPECT_THAT(object_.get_ints("int", {}), ElementsAre(16)) << "a single value is a list of one";
  EXPECT_THAT(object_.get_ints("none", {7}), ElementsAre(7));
  EXPECT_THAT(object_.get_doubles("ints", {}), ElementsAre(1.0, 2.0));
  EXPECT_THAT(object_.get_strings("strings", {}), ElementsAre("a", "b"));
  EXPECT_THAT(object_.get_bools("bools", {}), ElementsAre(true, false));
}

TEST_F(JsonObjectTest, NestedObjects) {
  EXPECT_EQ(object_.get_object("object").get_object("inner").get_string("deep", ""), "x");
  EXPECT_THAT(object_.get_object("none").keys(), IsEmpty());
  ASSERT_EQ(object_.get_objects("objects").size(), 2u);
  EXPECT_EQ(object_.get_objects("objects")[0].get_int("a", 0), 1);
  EXPECT_THAT(object_.get_objects("none"), IsEmpty());
}

TEST_F(JsonObjectTest, ErrorsNameFileAndKey) {
  const auto error = [](const auto& call) { return usage_error(call); };
  EXPECT_EQ(error([&] { object_.get_int("text", 1); }), "config.json: text: expected an integer, got \"abc\"");
  EXPECT_EQ(error([&] {
              object_.get_int("int", 1, {1, 8});
            }),
            "config.json: int: expected an integer from 1 to 8, got 16");
  EXPECT_EQ(error([&] { object_.get_int("int", 1, {.min = 17}); }),
            "config.json: int: expected an integer of at least 17, got 16");
  EXPECT_THAT(error([&] { object_.get_int("half", 1); }), HasSubstr("half: expected an integer, got 0.5"));
  EXPECT_THAT(error([&] { object_.get_int("big", 1); }), HasSubstr("expected an integer"));
  EXPECT_THAT(error([&] { object_.get_int("huge", 1); }), HasSubstr("expected an integer"));
  EXPECT_EQ(error([&] { object_.require_int("none"); }), "config.json: none: expected an integer, got nothing");
  EXPECT_THAT(error([&] { object_.get_double("text", 1); }), HasSubstr("expected a number, got \"abc\""));
  EXPECT_THAT(error([&] { object_.get_double("half", 1, {1.0, 2.0}); }), HasSubstr("a number from 1 to 2, got 0.5"));
  EXPECT_THAT(error([&] { object_.get_bool("int", true); }), HasSubstr("expected true or false, got 16"));
  EXPECT_THAT(error([&] { object_.get_string("int", ""); }), HasSubstr("expected a string, got 16"));
  EXPECT_THAT(error([&] { object_.get_ints("mixed", {}); }), HasSubstr("mixed: expected an integer, got \"a\""));
  EXPECT_THAT(error([&] { object_.get_strings("mixed", {}); }), HasSubstr("mixed: expected a string, got 1"));
  EXPECT_THAT(error([&] { object_.get_object("ints"); }), HasSubstr("ints: expected an object, got a list of 2"));
  EXPECT_THAT(error([&] { object_.get_objects("text"); }), HasSubstr("text: expected a list of objects"));
  EXPECT_THAT(error([&] { object_.get_objects("ints"); }), HasSubstr("ints[0]: expected an object, got 1"));
  EXPECT_EQ(error([&] { object_.get_object("object").get_object("inner").get_int("deep", 1); }),
            "config.json: object.inner.deep: expected an integer, got \"x\"");
  EXPECT_EQ(error([&] { object_.get_objects("objects")[1].get_int("a", 1); }),
            "config.json: objects[1].a: expected an integer, got \"x\"");
  EXPECT_EQ(error([&] { JsonObject(json::array(), "list.json"); }), "list.json: expected an object, got a list of 0");
}

}  // namespace
}  // namespace vit
