// The attention mechanisms of a vision transformer, swapped by configuration: one for all blocks, or one for each.
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "vit/attention/self.h"
#include "vit/models/build.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using testing::HasSubstr;

/// What the mechanisms of the last model were told, in the order of the blocks.
struct Told {
  std::vector<int64_t> layers, ranks;
  std::vector<Grid> native, resized;
};
Told& told() {
  static Told all;
  return all;
}

struct ListeningOptions {
  int64_t rank = 1;
  template <class V>
  void visit_fields(V& v) {
    v("rank", rank, "A number.");
  }
};

/// Notes what it is told; needs a grid without prefix tokens.
class ListeningAttention : public Attention {
 public:
  using Options = ListeningOptions;
  ListeningAttention(const AttentionShape& shape, const Options& options) {
    if (options.rank > shape.dim) fail_usage("rank ", options.rank, " is larger than dim ", shape.dim);
    told().layers.push_back(shape.layer);
    told().ranks.push_back(options.rank);
    told().native.push_back(shape.grid);
  }
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    return with_residual(ctx, x, input.residual);
  }
  void set_grid(Grid grid) override { told().resized.push_back(grid); }
};

VITKIT_REGISTER_ATTENTION("listening", ListeningAttention, .summary = "notes what it is told", .needs_grid = true,
                          .takes_prefix = false);

class VitAttention : public testing::Test {
 protected:
  VitAttention() { told() = {}; }

  static ConfigNode config(const std::string& attention) {
    return ConfigNode::parse(
        "{type: vit, img_size: [16, 24], patch_size: [8, 8], depth: 3, num_heads: 2, class_token: false,\n"
        " global_pool: avg, pos_embed: false, num_classes: 4, embed_dim: 12,\n attention: " +
            attention + "}",
        "model.yaml");
  }
  static std::unique_ptr<ImageModel> build(const std::string& attention) {
    return build_model(config(attention), "vit");
  }
  static std::string refused(const std::string& attention) {
    return test::usage_error([&] { build(attention); });
  }
};

TEST_F(VitAttention, EveryBlockHasTheMechanismAndKnowsItsPlace) {
  build("listening");
  EXPECT_EQ(told().layers, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(told().native, (std::vector<Grid>(3, {2, 3})));
  build("{type: listening, rank: 5}");
  EXPECT_EQ(told().ranks, (std::vector<int64_t>{1, 1, 1, 5, 5, 5}));
}

TEST_F(VitAttention, AListHasOneForEachBlock) {
  const auto model = build("[{type: listening, rank: 2}, self, {type: listening, rank: 3}]");
  EXPECT_EQ(told().layers, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(told().ranks, (std::vector<int64_t>{2, 3}));
  model->set_input_size(32, 40);
  EXPECT_EQ(told().resized, (std::vector<Grid>(2, {4, 5})));

  // What describe() writes makes the same model: a checkpoint keeps its list and its size.
  told() = {};
  const auto again = build_model(model->describe(), "again");
  EXPECT_EQ(told().ranks, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(told().native, (std::vector<Grid>(2, {4, 5})));
  EXPECT_EQ(again->describe(), model->describe());
}

TEST_F(VitAttention, RefusesListsOfAnotherLengthWithBothNumbers) {
  const std::string words = refused("[self, self]");
  EXPECT_THAT(words, HasSubstr("model.yaml:3: attention: "));
  EXPECT_THAT(words, HasSubstr("depth = 3, got 2"));
  EXPECT_THAT(refused("[]"), HasSubstr("depth = 3, got 0"));
  EXPECT_THAT(refused("[self, self, self, self]"), HasSubstr("depth = 3, got 4"));
}

TEST_F(VitAttention, RefusesWithThePlace) {
  EXPECT_THAT(refused("[self, slef, self]"), HasSubstr("model.yaml:3: attention[1]: "));
  EXPECT_THAT(refused("slef"), HasSubstr("did you mean 'self'"));
  EXPECT_THAT(refused("{type: listening, rnak: 3}"), HasSubstr("did you mean 'rank'"));
  EXPECT_THAT(refused("{type: listening, rank: 13}"),
              HasSubstr("model.yaml:3: attention: attention 'listening': rank 13 is larger than dim 12"));
  const std::string prefix = test::usage_error([] {
    build_model(ConfigNode::parse("{type: vit, embed_dim: 12, num_heads: 2,\n attention: listening}", "m.yaml"), "m");
  });
  EXPECT_THAT(prefix, HasSubstr("m.yaml:2: attention: "));
  EXPECT_THAT(prefix, HasSubstr("class_token: false"));
}

TEST_F(VitAttention, DimIsAnotherNameOfEmbedDim) {
  const auto model = build_model(ConfigNode::parse("{type: vit, dim: 24, depth: 1, num_heads: 3}", "m.yaml"), "m");
  EXPECT_EQ(dynamic_cast<const Vit&>(*model).config().embed_dim, 24);
  const auto both = [] { build_model(ConfigNode::parse("type: vit\ndim: 24\nembed_dim: 24", "m.yaml"), "m"); };
  EXPECT_THAT(test::usage_error(both), HasSubstr("m.yaml:2: dim: "));
}

}  // namespace
}  // namespace vit
