#include "vit/core/config_node.h"

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ConfigNode parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return ConfigNode::parse(text, "test.yaml", overrides);
}
std::string parse_error(std::string_view text) {
  return usage_error([&] { parse(text); });
}

TEST(ConfigNode, KindsAndPlaces) {
  const ConfigNode root = parse("a: 1\nb: [x, 'y']\nc:\n  d: ~\n");
  ASSERT_TRUE(root.is_map());
  EXPECT_THAT(root.keys(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(root.get("a").text(), "1");
  EXPECT_EQ(root.get("a").place(), "test.yaml:1");
  ASSERT_EQ(root.get("b").items().size(), 2u);
  EXPECT_FALSE(root.get("b").items()[0].is_text());
  EXPECT_TRUE(root.get("b").items()[1].is_text());
  EXPECT_EQ(root.get("b").items()[1].path(), "b[1]");
  EXPECT_EQ(root.get("c").place(), "test.yaml:3") << "a map stands where its key stands";
  EXPECT_TRUE(root.get("c").get("d").is_null());
  EXPECT_EQ(root.get("c").get("d").path(), "c.d");
  EXPECT_TRUE(root.get("c").has("d"));
  EXPECT_FALSE(root.has("e"));
  EXPECT_TRUE(root.get("e").get("f").is_null());
  EXPECT_EQ(root.get("e").place(), "test.yaml:1");
}

TEST(ConfigNode, EmptyTextIsNull) {
  EXPECT_TRUE(parse("").is_null());
  EXPECT_TRUE(parse("# only a comment\n").is_null());
  EXPECT_TRUE(parse("---\n").is_null());
}

TEST(ConfigNode, Aliases) {
  const ConfigNode root = parse("a: &x {v: 1}\nb: *x\n");
  EXPECT_EQ(root.get("a"), root.get("b"));
}

TEST(ConfigNode, WhatIsNotYamlIsRefusedWithItsLine) {
  EXPECT_THAT(parse_error("a: 1\nb: [1, 2\n"), AllOf(StartsWith("test.yaml:"), HasSubstr("not YAML")));
  EXPECT_THAT(parse_error("a: 1\n b: 2\n"), StartsWith("test.yaml:2: not YAML"));
  EXPECT_THAT(parse_error("a: *nowhere\n"), StartsWith("test.yaml:1: not YAML"));
  EXPECT_THAT(parse_error("a: 1\na: 2\n"), AllOf(StartsWith("test.yaml:2"), HasSubstr("first in line 1")));
  EXPECT_THAT(parse_error("a: !!python/object:os.system x\n"), HasSubstr("tags are not supported"));
  EXPECT_THAT(parse_error("[a, b]: 1\n"), HasSubstr("a key must be a plain name"));
  EXPECT_THAT(parse_error("~: 1\n"), HasSubstr("a key must be a plain name"));
  EXPECT_THAT(parse_error("a: 1\n---\nb: 2\n"), AllOf(StartsWith("test.yaml:"), HasSubstr("only one document")));
  EXPECT_THAT(parse_error(std::string_view("a: 1\0b: 2\n", 10)), HasSubstr("zero byte"));
  for (const std::string bytes :
       {"\x84", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe0\x9f\xbf"})
    EXPECT_THAT(parse_error("a: " + bytes), HasSubstr("not UTF-8"));
  EXPECT_THAT(parse_error("a: \"\\N\""), HasSubstr("does not give UTF-8"))
      << "yaml-cpp makes a lone byte of this escape";
  EXPECT_THAT(parse_error("a: &x [1, *x]\n"), HasSubstr("test.yaml:1"));
}

TEST(ConfigNode, AliasBombsAreRefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int copy = 1; copy < 10; ++copy) bomb += ", " + below;
    bomb += "]\n";
  }
  EXPECT_THAT(parse_error(bomb), HasSubstr("more than 100000 nodes"));
}

TEST(ConfigNode, DeepNestingIsRefused) {
  for (const std::string open : {"[", "{a: ", "- ", "? "}) {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += open;
    EXPECT_THAT(parse_error(text), StartsWith("test.yaml")) << open;
  }
  std::string fits, too_deep;
  for (int i = 0; i < 63; ++i) fits += "[";
  too_deep = fits + "[[";
  EXPECT_TRUE(parse(fits + std::string(63, ']')).is_list());
  EXPECT_THAT(parse_error(too_deep + std::string(65, ']')), HasSubstr("deeper than 64 levels"));
}

TEST(ConfigNode, LongFilesAreRefused) {
  EXPECT_THAT(parse_error("a: " + std::string(1 << 20, 'x')), HasSubstr("limit of 1048576 bytes"));
  const TempDir dir;
  const auto file = dir.write("big.yaml", "a: " + std::string(1 << 20, 'x'));
  EXPECT_THAT(usage_error([&] { ConfigNode::load(file); }), HasSubstr("limit of 1048576 bytes"));
}

TEST(ConfigNode, IncludesAreOverriddenByTheFileThatIncludes) {
  const TempDir dir;
  dir.write("model/base.yaml", "dim: 192\ndepth: 12\nattention:\n  type: window\n  window: 7\n");
  const auto file = dir.write(
      "train/run.yaml", "model:\n  __include__: ../model/base.yaml\n  depth: 6\n  attention: {window: 5}\nseed: 1\n");
  EXPECT_EQ(ConfigNode::load(file),
            parse("model: {dim: 192, depth: 6, attention: {type: window, window: 5}}\nseed: 1\n"));
}

TEST(ConfigNode, LaterIncludesOverrideEarlierOnes) {
  const TempDir dir;
  dir.write("a.yaml", "x: 1\ny: 1\n");
  dir.write("b.yaml", "y: 2\nz: 2\n");
  const auto file = dir.write("c.yaml", "__include__: [a.yaml, b.yaml]\nz: 3\n");
  EXPECT_EQ(ConfigNode::load(file), parse("{x: 1, y: 2, z: 3}"));
}

TEST(ConfigNode, IncludedValuesKnowTheirFile) {
  const TempDir dir;
  dir.write("a.yaml", "p: 0\nx: 1\n");
  const ConfigNode root = ConfigNode::load(dir.write("b.yaml", "__include__: a.yaml\ny: 2\n"));
  EXPECT_EQ(root.get("x").place(), (dir / "a.yaml").string() + ":2");
  EXPECT_EQ(root.get("y").place(), (dir / "b.yaml").string() + ":2");
}

TEST(ConfigNode, BadIncludesAreRefused) {
  const TempDir dir;
  const auto error = [&](const std::string& text) {
    const auto file = dir.write("main.yaml", text);
    return usage_error([&] { ConfigNode::load(file); });
  };
  EXPECT_THAT(error("a: 1\n__include__: none.yaml\n"), AllOf(HasSubstr("main.yaml:2"), HasSubstr("none.yaml")));
  EXPECT_THAT(error("__include__: main.yaml\n"), HasSubstr("includes itself"));
  dir.write("x.yaml", "__include__: sub/../main.yaml\n");
  std::filesystem::create_directory(dir / "sub");
  EXPECT_THAT(error("__include__: x.yaml\n"), HasSubstr("includes itself"));
  dir.write("list.yaml", "[1, 2]\n");
  EXPECT_THAT(error("__include__: list.yaml\n"), HasSubstr("must be a map"));
  EXPECT_THAT(error("__include__: {a: 1}\n"), HasSubstr("expected a file name"));
  EXPECT_THAT(error("__include__: sub\n"), HasSubstr("it is a folder"));
}

TEST(ConfigNode, IncludesAreLimited) {
  const TempDir dir;
  // Each level includes the next one twice: 2^20 files if nobody counted.
  for (int i = 0; i < 20; ++i) {
    const std::string next = "l" + std::to_string(i + 1) + ".yaml";
    dir.write("l" + std::to_string(i) + ".yaml", "a: {__include__: " + next + "}\nb: {__include__: " + next + "}\n");
  }
  dir.write("l20.yaml", "x: 1\n");
  EXPECT_THAT(usage_error([&] { ConfigNode::load(dir / "l0.yaml"); }), HasSubstr("more than 64 files"));
}

TEST(ConfigNode, OverridesSetReplaceAndAdd) {
  const std::string text = "model: {dim: 192, depths: [2, 2], attention: {type: window, window: 7}}\n";
  EXPECT_EQ(parse(text, {"model.dim=64", "model.depths=[1, 3]", "seed=5"}),
            parse("model: {dim: 64, depths: [1, 3], attention: {type: window, window: 7}}\nseed: 5\n"));
  EXPECT_EQ(parse(text, {"model.dim=1", "model.dim=2"}).get("model").get("dim").text(), "2");
  EXPECT_EQ(parse("a: 1", {"a=x=y"}).get("a").text(), "x=y") << "only the first '=' separates";
  EXPECT_TRUE(parse("a: 1", {"a="}).get("a").is_null());
  EXPECT_EQ(parse("", {"a.b=1"}), parse("a: {b: 1}"));
}

TEST(ConfigNode, AnotherTypeDropsTheOptionsOfTheOldOne) {
  const std::string text = "attention: {type: window, window: 7}\n";
  EXPECT_EQ(parse(text, {"attention.type=self"}), parse("attention: {type: self}"));
  EXPECT_EQ(parse(text, {"attention.type=window"}), parse(text));
  EXPECT_EQ(parse(text, {"attention.reduction=4", "attention.type=channel"}),
            parse("attention: {reduction: 4, type: channel}"))
      << "overrides belong together, in any order";
  EXPECT_EQ(parse(text, {"attention=self"}), parse("attention: self"));
}

TEST(ConfigNode, BadOverridesAreRefused) {
  const auto error = [](const std::string& override_text) {
    return usage_error([&] { parse("a: 1", {override_text}); });
  };
  EXPECT_THAT(error("novalue"), HasSubstr("expected key=value"));
  EXPECT_THAT(error("=1"), HasSubstr("expected key=value"));
  EXPECT_THAT(error("a..b=1"), HasSubstr("a part of the key is empty"));
  EXPECT_THAT(error(".a=1"), HasSubstr("a part of the key is empty"));
  EXPECT_THAT(error("a=[1"), AllOf(HasSubstr("override 'a=[1'"), HasSubstr("not YAML")));
  std::string deep = "a";
  for (int i = 0; i < 10'000; ++i) deep += ".a";
  EXPECT_THAT(error(deep + "=1"), HasSubstr("too many parts"));
}

TEST(ConfigNode, EditedCopies) {
  const ConfigNode root = parse("{a: 1, b: 2}");
  EXPECT_EQ(root.with("b", ConfigNode::make_scalar("3", false)), parse("{a: 1, b: 3}"));
  EXPECT_EQ(root.with("c", ConfigNode()), parse("{a: 1, b: 2, c: ~}"));
  EXPECT_EQ(root.without("a"), parse("{b: 2}"));
  EXPECT_EQ(root.without("none"), root);
  EXPECT_EQ(root, parse("{b: 2, a: 1}")) << "the original is as it was, and the order of keys does not count";
  EXPECT_EQ(ConfigNode().with("a", ConfigNode::make_scalar("1", false)), parse("{a: 1}"));
  EXPECT_THAT(usage_error([] { parse("[1]").with("a", ConfigNode()); }), HasSubstr("expected a map"));
  EXPECT_EQ(root.overridden({"a=5"}), parse("{a: 5, b: 2}"));
  EXPECT_EQ(root.merged_with(parse("{c: 1}")), parse("{a: 1, b: 2, c: 1}"));
}

TEST(ConfigNode, YamlRoundTrip) {
  const std::string text =
      "number: 1\ntext: '1'\nwords: hello world\nodd: 'a: b # c'\nempty: ''\nnothing: ~\nnull_text: 'null'\nyes: "
      "'true'\n"
      "list: [1, two, '3']\nmap: {a: {b: []}, c: {}}\nlines: |\n  one\n  two\nunicode: \"\\u00e9\\t\"\nplain: "
      "\xe2\x82\xac \xf0\x9f\x98\x80\n"
      "'null': 1\n'': 2\n'~': 3\nmaps:\n  - a: 1\n    b: 2\n  - a: 3\n";
  const ConfigNode root = parse(text);
  const ConfigNode again = parse(root.to_yaml());
  EXPECT_EQ(again, root) << root.to_yaml();
  EXPECT_EQ(again.get("unicode").text(), "\xc3\xa9\t");
  EXPECT_NE(parse("a: 1"), parse("a: '1'"));
  EXPECT_EQ(parse("a: x"), parse("a: 'x'"));
  EXPECT_EQ(ConfigNode().to_yaml(), "null\n");
  for (const std::string odd :
       {"\r", "\x01", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", " x ", "- x", "-", "a: b", "#", "a  b", ".5"}) {
    const ConfigNode node = ConfigNode::make_map()
                                .with("key", ConfigNode::make_scalar("a" + odd, true))
                                .with(odd, ConfigNode::make_scalar(odd, true));
    EXPECT_EQ(parse(node.to_yaml()), node) << node.to_yaml();
  }
}

TEST(ConfigNode, RefuseNamesPlaceAndPath) {
  const ConfigNode node = parse("a:\n  b: 1\n").get("a").get("b");
  EXPECT_EQ(usage_error([&] { node.refuse("is bad"); }), "test.yaml:2: a.b: is bad");
  EXPECT_EQ(usage_error([] { ConfigNode().refuse("is bad"); }), "configuration: is bad");
  EXPECT_EQ(parse("abc").description(), "'abc'");
  EXPECT_EQ(parse("[1, 2]").description(), "a list of 2");
  EXPECT_EQ(parse("{a: 1}").description(), "a map of 1");
  EXPECT_EQ(parse("").description(), "nothing");
}

TEST(ConfigNode, SplitType) {
  TypedConfig typed = split_type(parse("{type: window, window: 7}"));
  EXPECT_EQ(typed.type, "window");
  EXPECT_EQ(typed.options, parse("{window: 7}"));
  typed = split_type(parse("self"));
  EXPECT_EQ(typed.type, "self");
  EXPECT_TRUE(typed.options.is_null());
  EXPECT_EQ(split_type(ConfigNode(), "self").type, "self");
  EXPECT_EQ(split_type(parse("{window: 7}"), "window").options, parse("{window: 7}"));
  EXPECT_THAT(usage_error([] { split_type(parse("{window: 7}")); }), HasSubstr("expected a name or a map with 'type'"));
  EXPECT_THAT(usage_error([] { split_type(parse("[a]"), "self"); }), HasSubstr("a list of 1"));
  EXPECT_THAT(usage_error([] { split_type(parse("{type: [a]}")); }), HasSubstr("expected a name"));
}

}  // namespace
}  // namespace vit
