#include "vit/train/param_group.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"

namespace vit {
namespace {

using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Entry {
  const char* name;
  Shape shape;
};

std::vector<NamedParameter> parameters() {
  const std::vector<Entry> entries = {{"cls_token", {1, 1, 4}},
                                      {"pos_embed", {1, 5, 4}},
                                      {"patch_embed.proj.weight", {4, 3, 2, 2}},
                                      {"patch_embed.proj.bias", {4}},
                                      {"blocks.0.norm1.weight", {4}},
                                      {"blocks.0.attn.qkv.weight", {12, 4}},
                                      {"blocks.1.mlp.fc1.weight", {8, 4}},
                                      {"blocks.10.mlp.fc1.weight", {8, 4}},
                                      {"norm.weight", {4}},
                                      {"head.weight", {3, 4}},
                                      {"head.bias", {3}}};
  std::vector<NamedParameter> all;
  for (const Entry& entry : entries) all.push_back({entry.name, Tensor::zeros(entry.shape), {}});
  return all;
}

std::vector<double> decays(const OptimizerConfig& config) {
  std::vector<double> all;
  for (const ParamSettings& settings : plan_param_groups(parameters(), config)) all.push_back(settings.weight_decay);
  return all;
}

std::vector<double> scales(const OptimizerConfig& config) {
  std::vector<double> all;
  for (const ParamSettings& settings : plan_param_groups(parameters(), config)) all.push_back(settings.lr_scale);
  return all;
}

TEST(ParamGroups, TokensTablesAndVectorsDoNotDecay) {
  OptimizerConfig config;
  config.weight_decay = 0.1;
  EXPECT_THAT(decays(config), ElementsAre(0, 0, 0.1, 0, 0, 0.1, 0.1, 0.1, 0, 0.1, 0));
  config.filter_bias_and_bn = false;
  EXPECT_THAT(decays(config), ElementsAre(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1));
  config.layer_decay = 0.9;
  EXPECT_THAT(decays(config), ElementsAre(0, 0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)) << "as timm";
}

TEST(ParamGroups, LayerDecayGoesDownFromTheHead) {
  OptimizerConfig config;
  EXPECT_THAT(scales(config), ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
  config.layer_decay = 0.5;
  // Embedding, three blocks (numbers do not have to be dense), the norm with the last of them, the head.
  EXPECT_THAT(scales(config), ElementsAre(0.0625, 0.0625, 0.0625, 0.0625, 0.125, 0.125, 0.25, 0.5, 0.5, 1, 1));
  config.layer_decay_min_scale = 0.1;
  EXPECT_THAT(scales(config), ElementsAre(0.1, 0.1, 0.1, 0.1, 0.125, 0.125, 0.25, 0.5, 0.5, 1, 1));
}

TEST(ParamGroups, HierarchicalModelsCountTheirBlocks) {
  EXPECT_THAT(
      layer_numbers({"patch_embed.proj.weight", "layers.0.blocks.0.norm1.weight", "layers.0.blocks.1.norm1.bias",
                     "layers.1.downsample.norm.weight", "layers.1.blocks.0.mlp.fc1.weight",
                     "layers.1.blocks.1.mlp.fc1.weight", "norm.weight", "head.fc.weight"}),
      ElementsAre(0, 1, 2, 3, 3, 4, 4, 5));
  EXPECT_THAT(layer_numbers({"blocks.0.x", "norm.weight"}), ElementsAre(0, 0));
  EXPECT_THAT(layer_numbers({"norm.weight", "fc_norm.weight", "reg_token", "blocks.2.x", "norm_pre.weight"}),
              ElementsAre(1, 2, 0, 1, 1));
}

TEST(ParamGroups, RulesAndFreezingByPattern) {
  OptimizerConfig config;
  config.weight_decay = 0.1;
  config.layer_decay = 0.5;
  config.param_groups = {{"blocks.1", 3.0, {}}, {"*.weight", {}, 0.7}, {"head", 10.0, 0.0}};
  config.freeze = {"blocks.0", "*_embed*.bias", "cls_*"};
  const auto settings = plan_param_groups(parameters(), config);
  EXPECT_EQ(settings[6].lr_scale, 0.25 * 3.0);
  EXPECT_EQ(settings[7].lr_scale, 0.5) << "blocks.1 is not blocks.10";
  EXPECT_EQ(settings[8].weight_decay, 0.7) << "a rule overrides the exemption of vectors";
  EXPECT_EQ(settings[9].weight_decay, 0.0) << "the last rule counts";
  EXPECT_EQ(settings[9].lr_scale, 10.0);
  std::vector<bool> frozen;
  for (const ParamSettings& s : settings) frozen.push_back(s.frozen);
  EXPECT_THAT(frozen, ElementsAre(true, false, false, true, true, true, false, false, false, false, false));

  const auto groups = summarise_groups(parameters(), settings);
  int64_t elements = 0;
  for (const ParamGroup& group : groups) elements += group.elements;
  EXPECT_EQ(elements, 4 + 20 + 48 + 4 + 4 + 48 + 32 + 32 + 4 + 12 + 3);
  EXPECT_THAT(groups.back().names, ElementsAre("head.weight", "head.bias"));
}

TEST(ParamGroups, PatternsThatFitNothingAreErrors) {
  OptimizerConfig config;
  config.freeze = {"block.0"};
  EXPECT_THAT(usage_error([&] { plan_param_groups(parameters(), config); }),
              AllOf(HasSubstr("freeze"), HasSubstr("block.0"), HasSubstr("did you mean 'blocks.0")));
  config.freeze = {"*"};
  EXPECT_THAT(usage_error([&] { plan_param_groups(parameters(), config); }), HasSubstr("nothing is left to train"));
  config.freeze = {};
  config.param_groups = {{"heads", 1.0, {}}};
  EXPECT_THAT(usage_error([&] { plan_param_groups(parameters(), config); }), HasSubstr("param_groups"));
}

TEST(OptimizerConfig, IsStrict) {
  const auto error = [](const char* yaml) {
    return usage_error([&] { read_config<OptimizerConfig>(ConfigNode::parse(yaml, "a.yaml")); });
  };
  EXPECT_THAT(error("{opt: adamv}"), AllOf(HasSubstr("a.yaml"), HasSubstr("adamw")));
  EXPECT_THAT(error("{opt_betas: [0.9, 1.0]}"), HasSubstr("below 1"));
  EXPECT_THAT(error("{param_groups: [{lr_scale: 2}]}"), HasSubstr("needs a pattern"));
  const auto config = read_config<OptimizerConfig>(ConfigNode::parse(
      "{opt: lion, opt_betas: [0.95, 0.98], param_groups: [{pattern: head, lr_scale: 2}]}", "a.yaml"));
  EXPECT_EQ((*config.opt_betas)[1], 0.98);
  EXPECT_EQ(*config.param_groups.at(0).lr_scale, 2.0);
  EXPECT_FALSE(config.param_groups.at(0).weight_decay);
}

}  // namespace
}  // namespace vit
