#include "vit/core/config.h"

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

enum class Pooling { token, average };
const EnumNames<Pooling>& enum_names(Pooling) {
  static const EnumNames<Pooling> names = {{Pooling::token, "token"}, {Pooling::average, "avg"}};
  return names;
}

struct Stage {
  int64_t depth = 2;
  float rate = 0.1f;
  template <class V>
  void visit_fields(V& v) {
    v("depth", depth, "Blocks.", at_least(1));
    v("rate", rate, "Stochastic depth.", between(0, 1));
  }
};

struct Model {
  int64_t dim = 192;
  int heads = 3;
  uint64_t seed = 7;
  uint8_t level = 1;
  bool bias = true;
  double lr = 1e-3;
  std::string name = "vit";
  std::string filter = "bicubic";
  Pooling pooling = Pooling::token;
  std::optional<double> drop;
  std::optional<Stage> extra;
  std::vector<int64_t> depths = {2, 2};
  std::vector<bool> flags;
  std::array<float, 3> mean = {0.5f, 0.5f, 0.5f};
  std::map<std::string, double> weights = {{"ce", 1.0}};
  Stage stage;
  std::vector<Stage> stages;
  ConfigNode attention;

  void validate() const { check(dim % heads == 0, "dim ", dim, " is not a multiple of heads ", heads); }

  template <class V>
  void visit_fields(V& v) {
    v("dim", dim, "Width of the tokens.", between(1, 65536));
    v("heads", heads, "Attention heads.", at_least(1));
    v("seed", seed, "Seed.");
    v("level", level, "A small number.");
    v("bias", bias, "Whether there is one.");
    v("lr", lr, "Learning rate.", above(0));
    v("name", name, "What it is called.");
    v("filter", filter, "How pictures are resized.", one_of({"nearest", "bilinear", "bicubic"}));
    v("pooling", pooling, "What the head sees.");
    v("drop", drop, "Dropout; none: as the checkpoint says.", between(0, 1));
    v("extra", extra, "A stage more.");
    v("depths", depths, "Blocks of each stage.", at_least(1));
    v("flags", flags, "Switches.");
    v("mean", mean, "Mean of each channel.");
    v("weights", weights, "Weight of each loss.", at_least(0));
    v("stage", stage, "The first stage.");
    v("stages", stages, "All others.");
    v("attention", attention, "How tokens mix.");
  }
};

Model read(std::string_view text) { return read_config<Model>(ConfigNode::parse(text, "m.yaml")); }
std::string read_error(std::string_view text) {
  return usage_error([&] { read(text); });
}

TEST(Config, DefaultsHoldWhereNothingIsSaid) {
  const Model model = read("");
  EXPECT_EQ(model.dim, 192);
  EXPECT_EQ(model.filter, "bicubic");
  EXPECT_FALSE(model.drop.has_value());
  EXPECT_TRUE(model.attention.is_null());
}

TEST(Config, ReadsEveryKindOfField) {
  const Model model = read(
      "dim: 384\nheads: +6\nseed: 9223372036854775807\nlevel: 255\nbias: false\nlr: 5e-4\nname: 12\nfilter: nearest\n"
      "pooling: avg\ndrop: 0.5\nextra: {depth: 5}\ndepths: [3, 4, 6]\nflags: [true, false]\nmean: [0.1, 0.2, 0.3]\n"
      "weights: {bbox: 5, giou: 2}\nstage: {rate: 0}\nstages:\n  - depth: 7\n  - {}\nattention: {type: window, window: "
      "7}\n");
  EXPECT_EQ(model.dim, 384);
  EXPECT_EQ(model.heads, 6);
  EXPECT_EQ(model.seed, 9223372036854775807u);
  EXPECT_EQ(model.level, 255);
  EXPECT_FALSE(model.bias);
  EXPECT_EQ(model.lr, 5e-4);
  EXPECT_EQ(model.name, "12");
  EXPECT_EQ(model.filter, "nearest");
  EXPECT_EQ(model.pooling, Pooling::average);
  EXPECT_EQ(model.drop, 0.5);
  ASSERT_TRUE(model.extra.has_value());
  EXPECT_EQ(model.extra->depth, 5);
  EXPECT_THAT(model.depths, ElementsAre(3, 4, 6));
  EXPECT_THAT(model.flags, ElementsAre(true, false));
  EXPECT_THAT(model.mean, ElementsAre(0.1f, 0.2f, 0.3f));
  EXPECT_EQ(model.weights, (std::map<std::string, double>{{"bbox", 5}, {"giou", 2}}));
  EXPECT_EQ(model.stage.depth, 2) << "a section keeps the defaults that it does not mention";
  EXPECT_EQ(model.stage.rate, 0.0f);
  ASSERT_EQ(model.stages.size(), 2u);
  EXPECT_EQ(model.stages[0].depth, 7);
  EXPECT_EQ(model.stages[1].depth, 2);
  EXPECT_EQ(split_type(model.attention).type, "window");
  EXPECT_EQ(model.attention.get("window").path(), "attention.window") << "errors of the mechanism still know the place";
}

TEST(Config, UnknownKeysAreRefusedWithTheNearestName) {
  EXPECT_THAT(read_error("dim: 6\ndetphs: [1]\n"), AllOf(StartsWith("m.yaml:2: unknown key 'detphs'"),
                                                         HasSubstr("did you mean 'depths'?"), HasSubstr("known: dim")));
  EXPECT_THAT(
      read_error("stage:\n  depth: 1\n  rte: 2\n"),
      AllOf(StartsWith("m.yaml:3: unknown key 'stage.rte'"), HasSubstr("'rate'"), HasSubstr("known: depth, rate")));
  EXPECT_THAT(read_error("nested:\n  a: 1\n"), StartsWith("m.yaml:1: unknown key 'nested'"));
}

TEST(Config, WrongTypesAreRefused) {
  EXPECT_EQ(read_error("dim: abc\n"), "m.yaml:1: dim: expected an integer from 1 to 65536, got 'abc'");
  EXPECT_THAT(read_error("dim: '5'\n"), HasSubstr("got '5' in quotes"));
  EXPECT_THAT(read_error("dim: 5.0\n"), HasSubstr("expected an integer"));
  EXPECT_THAT(read_error("dim:\n"), HasSubstr("got nothing"));
  EXPECT_THAT(read_error("dim: [1]\n"), HasSubstr("got a list of 1"));
  EXPECT_THAT(read_error("bias: 1\n"), HasSubstr("expected true or false, got '1'"));
  EXPECT_THAT(read_error("lr: fast\n"), HasSubstr("expected a number above 0, got 'fast'"));
  EXPECT_THAT(read_error("lr: 1e-3x\n"), HasSubstr("expected a number"));
  EXPECT_THAT(read_error("name: [a]\n"), HasSubstr("name: expected a string, got a list of 1"));
  EXPECT_THAT(read_error("depths: 3\n"), HasSubstr("depths: expected a list, got '3'"));
  EXPECT_THAT(read_error("depths: [1, x]\n"), HasSubstr("depths[1]: expected an integer"));
  EXPECT_THAT(read_error("stage: 3\n"), HasSubstr("stage: expected a map of keys, got '3'"));
  EXPECT_THAT(read_error("weights: [1]\n"), HasSubstr("expected a map of keys"));
  EXPECT_THAT(read_error("mean: [1, 2]\n"), HasSubstr("mean: expected a list of 3, got a list of 2"));
  EXPECT_THAT(read_error("[1]\n"), HasSubstr("expected a map of keys"));
  EXPECT_THAT(read_error("stages:\n  - depth: 1\n  - rate: x\n"),
              StartsWith("m.yaml:3: stages[1].rate: expected a number"));
}

TEST(Config, ValuesOutOfRangeAreRefused) {
  EXPECT_THAT(read_error("dim: 0\n"), HasSubstr("from 1 to 65536, got '0'"));
  EXPECT_THAT(read_error("dim: 99999999999999999999\n"), HasSubstr("expected an integer"));
  EXPECT_THAT(read_error("heads: 4294967296\n"), HasSubstr("an integer from -2147483648 to 2147483647"));
  EXPECT_THAT(read_error("heads: 0\n"), HasSubstr("an integer of at least 1"));
  EXPECT_THAT(read_error("seed: -1\n"), HasSubstr("an integer from 0"));
  EXPECT_THAT(read_error("level: 256\n"), HasSubstr("an integer from 0 to 255"));
  EXPECT_THAT(read_error("lr: 0\n"), HasSubstr("a number above 0"));
  EXPECT_THAT(read_error("lr: 1e999\n"), HasSubstr("a number above 0"));
  EXPECT_THAT(read_error("lr: nan\n"), HasSubstr("a number above 0"));
  EXPECT_THAT(read_error("lr: inf\n"), HasSubstr("a number above 0"));
  EXPECT_THAT(read_error("drop: 1.5\n"), HasSubstr("drop: expected a number from 0 to 1"));
  EXPECT_THAT(read_error("depths: [1, 0]\n"), HasSubstr("depths[1]: expected an integer of at least 1"));
  EXPECT_THAT(read_error("weights: {ce: -1}\n"), HasSubstr("weights.ce: expected a number of at least 0"));
}

TEST(Config, ChoicesAreRefusedWithTheNearestName) {
  EXPECT_THAT(read_error("filter: bicubik\n"),
              AllOf(HasSubstr("expected one of nearest, bilinear, bicubic"), HasSubstr("did you mean 'bicubic'?")));
  EXPECT_THAT(read_error("pooling: max\n"), HasSubstr("pooling: expected one of token, avg, got 'max'"));
}

TEST(Config, CombinationsAreValidated) {
  EXPECT_EQ(read_error("dim: 10\nheads: 3\n"), "m.yaml:1: dim 10 is not a multiple of heads 3");
}

TEST(Config, OptionalsCanBeTakenBack) {
  Model model;
  model.drop = 0.5;
  read_config(ConfigNode::parse("drop: ~\n", "m.yaml"), model);
  EXPECT_FALSE(model.drop.has_value());
}

TEST(Config, WrittenConfigReadsBackToTheSame) {
  Model model = read(
      "dim: 30\nlr: 0.1\nname: 'null'\ndrop: 0.1\nextra: {rate: 0.3}\nmean: [0.1, 0.2, 0.3]\npooling: avg\n"
      "flags: [true]\nstages: [{depth: 3}]\nattention: {type: window, window: 7}\n");
  const ConfigNode written = write_config(model);
  const Model again = read_config<Model>(ConfigNode::parse(written.to_yaml(), "again.yaml"));
  EXPECT_EQ(write_config(again), written) << written.to_yaml();
  EXPECT_EQ(again.name, "null");
  EXPECT_EQ(again.mean, model.mean) << "floats survive to the last bit";
  EXPECT_EQ(again.extra->rate, 0.3f);
  EXPECT_EQ(written.get("lr").text(), "0.1");
  EXPECT_EQ(written.get("mean").items()[0].text(), "0.1");
  EXPECT_EQ(written.keys().size(), 18u) << "every field is written, mentioned or not";
}

TEST(Config, LoadAppliesIncludesAndOverrides) {
  const TempDir dir;
  dir.write("base.yaml", "dim: 384\nheads: 6\n");
  const auto file = dir.write("run.yaml", "__include__: base.yaml\nheads: 12\n");
  const Model model = load_config<Model>(file, {"stage.depth=9", "name=x"});
  EXPECT_EQ(model.dim, 384);
  EXPECT_EQ(model.heads, 12);
  EXPECT_EQ(model.stage.depth, 9);
  EXPECT_THAT(usage_error([&] { load_config<Model>(file, {"stage.depht=9"}); }),
              StartsWith("override 'stage.depht=9': unknown key 'stage.depht' (did you mean 'depth'?)"));
  EXPECT_THAT(usage_error([&] { load_config<Model>(file, {"dim=x"}); }),
              StartsWith("override 'dim=x': dim: expected an integer"));
}

TEST(Config, HelpListsEveryFieldOnce) {
  const std::string help = describe_config<Model>();
  EXPECT_THAT(help, HasSubstr("dim (integer from 1 to 65536; default 192): Width of the tokens.\n"));
  EXPECT_THAT(help, HasSubstr("lr (number above 0; default 0.001): Learning rate.\n"));
  EXPECT_THAT(help, HasSubstr("filter (string, one of nearest, bilinear, bicubic; default bicubic): How pictures"));
  EXPECT_THAT(help, HasSubstr("pooling (token|avg; default token): What the head sees.\n"));
  EXPECT_THAT(help, HasSubstr("drop (optional number from 0 to 1; default none): Dropout"));
  EXPECT_THAT(help, HasSubstr("depths (list of integer of at least 1; default [2, 2]): Blocks of each stage.\n"));
  EXPECT_THAT(help, HasSubstr("weights (map of number of at least 0; default {ce: 1}): Weight of each loss.\n"));
  EXPECT_THAT(help, HasSubstr("stage: The first stage.\n  depth (integer of at least 1; default 2): Blocks.\n"));
}

}  // namespace
}  // namespace vit
