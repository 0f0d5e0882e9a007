// CoAtNet and MaxViT: what timm's files make of them, feature maps, other image sizes and heads, and training.
#include "vit/models/maxxvit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "tests/support/tolerance.h"
#include "vit/models/build.h"
#include "vit/models/load.h"
#include "vit/models/maxxvit_timm_architectures.h"

namespace vit {
namespace {

using nlohmann::json;
using test::same_bits;
using testing::HasSubstr;

/// Two stages: maps of 16 x 16 after the stem, 8 x 8 and 4 x 4.
MaxxvitConfig small() {
  MaxxvitConfig config;
  config.img_size = {32, 32};
  config.num_classes = 5;
  config.embed_dim = {8, 12};
  config.depths = {1, 2};
  config.block_type = {"C", "T"};
  config.stem_width = {4, 8};
  config.transformer.dim_head = 4;
  return config;
}

Tensor pixels(int64_t height = 32, int64_t width = 32) { return test::random_tensor({2, 3, height, width}, 1); }

/// Convolutions and their folded norms make the chain of roundings longer.
constexpr int64_t kOperations = 2000;

MaxxvitConfig timm(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Maxxvit&>(*plan.model).config();
}

std::vector<std::string> parameters_of(ImageModel& model, const std::string& under) {
  std::vector<std::string> names;
  model.visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (name.starts_with(under)) names.push_back(str(name.substr(under.size()), " ", parameter.shape));
  });
  return names;
}

// ---- timm's files ----

TEST(MaxxvitConfig, EveryNameIsAModelOfItsWidths) {
  // Parameters in millions, with 1000 classes, as the checkpoints' model cards at huggingface.co/timm have them.
  const std::map<std::string, double> millions = {
      {"coatnet_nano_rw_224", 15.14},       {"coatnet_0_rw_224", 27.44},         {"coatnet_bn_0_rw_224", 27.44},
      {"coatnet_1_rw_224", 41.72},          {"coatnet_2_rw_224", 73.87},         {"coatnet_rmlp_nano_rw_224", 15.15},
      {"coatnet_rmlp_1_rw_224", 41.69},     {"coatnet_rmlp_1_rw2_224", 41.72},   {"coatnet_rmlp_2_rw_384", 73.88},
      {"coatnext_nano_rw_224", 14.70},      {"maxvit_rmlp_pico_rw_256", 7.52},   {"maxvit_nano_rw_256", 15.45},
      {"maxvit_rmlp_nano_rw_256", 15.50},   {"maxvit_tiny_rw_224", 29.06},       {"maxvit_rmlp_tiny_rw_256", 29.15},
      {"maxvit_rmlp_small_rw_224", 64.90},  {"maxvit_rmlp_base_rw_384", 116.14}, {"maxxvit_rmlp_nano_rw_256", 16.78},
      {"maxxvit_rmlp_small_rw_256", 66.01}, {"maxxvitv2_nano_rw_256", 23.70},    {"maxxvitv2_rmlp_base_rw_384", 116.09},
      {"maxvit_tiny_tf_224", 30.92},        {"maxvit_tiny_tf_512", 31.05},       {"maxvit_small_tf_384", 69.02},
      {"maxvit_base_tf_224", 119.47},       {"maxvit_large_tf_224", 211.79},     {"maxvit_xlarge_tf_512", 475.77}};
  for (const auto& [name, count] : millions) {
    const ModelPlan plan = plan_model({{{"architecture", name}, {"num_classes", 1000}}, "config.json"});
    EXPECT_NEAR(static_cast<double>(plan.model->parameter_count()) / 1e6, count, 0.006) << name;
  }
  for (const auto& [name, arguments] : timm_maxxvit_architectures())
    EXPECT_NO_THROW(timm({{"architecture", name}, {"model_args", {{"depths", {1, 1, 1, 1}}}}})) << name;
}

TEST(MaxxvitConfig, ArgumentsOverrideTheName) {
  const MaxxvitConfig tf = timm({{"architecture", "maxvit_tiny_tf_384"}});
  EXPECT_EQ(tf.img_size[0], 384);
  EXPECT_EQ(tf.window_size(), (std::array<int64_t, 2>{12, 12}));
  EXPECT_EQ(tf.head_hidden_size, 512);
  EXPECT_EQ(tf.conv.padding, MapPadding::same);
  EXPECT_EQ(tf.conv.norm_eps, 1e-3f);
  EXPECT_FALSE(tf.transformer.head_first);
  const MaxxvitConfig next = timm({{"architecture", "coatnext_nano_rw_224"}});
  EXPECT_EQ(next.conv.norm(), MapNormKind::layer_norm);
  EXPECT_EQ(next.conv.init_values, 1e-5f);
  EXPECT_EQ(next.transformer.init_values, std::nullopt);
  const MaxxvitConfig changed = timm({{"architecture", "coatnet_nano_cc_224"},
                                      {"num_classes", 7},
                                      {"pretrained_cfg", {{"input_size", {1, 192, 160}}, {"fixed_input_size", true}}},
                                      {"model_args",
                                       {{"depths", {1, 1, 3, 2}},
                                        {"stem_width", 24},
                                        {"conv_attn_layer", "eca"},
                                        {"conv_init_values", nullptr},
                                        {"transformer_init_values", 1e-4},
                                        {"transformer_window_size", 5},
                                        {"transformer_rel_pos_type", ""},
                                        {"global_pool", "max"}}}});
  EXPECT_EQ(changed.img_size, (std::array<int64_t, 2>{192, 160}));
  EXPECT_EQ(changed.in_chans, 1);
  EXPECT_EQ(changed.num_classes, 7);
  EXPECT_EQ(changed.stage_blocks(2), (std::vector<std::string>{"C", "T", "T"}));
  EXPECT_EQ(changed.stem_width, (std::array<int64_t, 2>{24, 24}));
  EXPECT_EQ(changed.conv.attn_layer, "eca");
  EXPECT_EQ(changed.conv.init_values, std::nullopt);
  EXPECT_EQ(changed.transformer.init_values, 1e-4f);
  EXPECT_EQ(changed.grid_size(), (std::array<int64_t, 2>{5, 5}));
  EXPECT_EQ(changed.transformer.rel_pos_type, WindowBiasKind::none);
  EXPECT_EQ(changed.global_pool, Pool::max);
}

TEST(MaxxvitConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { timm({{"architecture", "coatnet_0_rw_224"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"embed_dims", {48}}}), HasSubstr("did you mean 'embed_dim'"));
  EXPECT_THAT(refused({{"depths", {1, 2}}}), HasSubstr("each stage needs"));
  EXPECT_THAT(refused({{"embed_dim", {96, 192, 384, 700}}}), HasSubstr("dim_head"));
  EXPECT_THAT(refused({{"conv_norm_layer", "groupnorm"}}), HasSubstr("batchnorm2d"));
  EXPECT_THAT(refused({{"conv_attn_layer", "bat"}}), HasSubstr("'se'"));
  EXPECT_THAT(refused({{"block_type", {"C", "C", "T", "X"}}}), HasSubstr("unknown type 'X'"));
  EXPECT_THAT(refused({{"block_type", {"C", "C", "T", 3}}}), HasSubstr("list of C, T, M, PM"));
  EXPECT_THAT(refused({{"img_size", 100}}), HasSubstr("multiples of 8"));
  EXPECT_THAT(refused({{"global_pool", "token"}}), HasSubstr("'avg'"));
  const auto yaml = [](const std::string& text) {
    return test::usage_error([&] { build_model(ConfigNode::parse(text, "maxvit.yaml"), "maxvit"); });
  };
  EXPECT_THAT(yaml("{type: maxvit, attention: [self, self]}"), HasSubstr("stages = 4, got 2"));
  EXPECT_THAT(yaml("{type: maxvit, img_size: [16, 16], embed_dim: [32], depths: [1], block_type: [M]}"),
              HasSubstr("partition_ratio"));
  EXPECT_THAT(yaml("{type: maxvit, block_type: [PM, PM, PM, PM], attention: self}"), HasSubstr("use type M"));
  EXPECT_THAT(yaml("{type: maxvit, attention: class_attention}"), HasSubstr("class_token"));
  EXPECT_THAT(yaml("{type: maxvit, global_pool: token}"), HasSubstr("avgmax"));
  EXPECT_THAT(yaml("{type: maxvit, transformer: {dim_head: 5}}"), testing::StartsWith("maxvit.yaml:1: "));
  EXPECT_THAT(yaml("{type: maxvit, conv: {kernel_size: 4}}"), HasSubstr("even kernel_size of 4"));
  // A shortcut that rounds up, and a branch that rounds down.
  EXPECT_THAT(yaml("{type: maxvit, img_size: [196, 196], conv: {stride_mode: pool, pool_type: max}}"),
              HasSubstr("cannot halve a map of 49 x 49"));
  EXPECT_THAT(refused({{"transformer_use_nchw_attn", true}, {"transformer_norm_layer", "batchnorm2d"}}),
              HasSubstr("transformer_norm_layer_cl differ"));
}

TEST(MaxxvitConfig, NormsFollowTheKindOfBlock) {
  const auto conv = [](const std::string& options) {
    return read_config<MaxxvitConfig>(ConfigNode::parse("{conv: {" + options + "}}", "maxvit.yaml")).conv;
  };
  EXPECT_EQ(conv("").norm(), MapNormKind::batch_norm);
  EXPECT_EQ(conv("").eps(), 1e-5f);
  EXPECT_EQ(conv("block_type: convnext").norm(), MapNormKind::layer_norm);
  EXPECT_EQ(conv("block_type: convnext").eps(), 1e-6f);
  EXPECT_EQ(conv("block_type: convnext, norm_layer: batchnorm, norm_eps: 1e-3").norm(), MapNormKind::batch_norm);
  const auto of_timm = [](const json& args) {
    return timm({{"architecture", "coatnet_0_rw_224"}, {"model_args", args}}).conv;
  };
  // timm's own default is no name.
  EXPECT_EQ(of_timm({{"conv_norm_layer", ""}}).norm(), MapNormKind::batch_norm);
  EXPECT_EQ(
      of_timm({{"conv_norm_layer", ""}, {"conv_block_type", "convnext"}, {"block_type", {"T", "T", "T", "T"}}}).norm(),
      MapNormKind::layer_norm);
  EXPECT_NO_THROW(of_timm({{"transformer_use_nchw_attn", true}}));
}

/// Even kernels keep maps whose border is "same".
TEST(Maxxvit, EvenKernels) {
  MaxxvitConfig config = small();
  config.conv.kernel_size = 4;
  config.conv.padding = MapPadding::same;
  Maxxvit model(config, "coatnet");
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{2, 5}));
}

TEST(Maxxvit, ParametersHaveTimmsNames) {
  MaxxvitConfig config = small();
  config.conv.attn_early = true;
  config.transformer.init_values = 0.5f;
  Maxxvit model(config, "coatnet");
  EXPECT_EQ(parameters_of(model, "stages.0.blocks.0.se_early."),
            (std::vector<std::string>{"fc1.weight [2, 32, 1, 1]", "fc1.bias [2]", "fc2.weight [32, 2, 1, 1]",
                                      "fc2.bias [32]"}));
  EXPECT_EQ(parameters_of(model, "stages.1.blocks.0."),
            (std::vector<std::string>{
                "shortcut.expand.weight [12, 8, 1, 1]", "shortcut.expand.bias [12]", "norm1.norm.weight [8]",
                "norm1.norm.bias [8]", "attn.qkv.weight [36, 8]", "attn.qkv.bias [36]",
                "attn.rel_pos.relative_position_bias_table [49, 3]", "attn.proj.weight [12, 12]", "attn.proj.bias [12]",
                "ls1.gamma [12]", "norm2.weight [12]", "norm2.bias [12]", "mlp.fc1.weight [48, 12]",
                "mlp.fc1.bias [48]", "mlp.fc2.weight [12, 48]", "mlp.fc2.bias [12]", "ls2.gamma [12]"}));
  // Weights of 1 x 1 convolutions and tables of other maps are fitted, as timm's filter does.
  const Tensor conv = Tensor::zeros({36, 8, 1, 1});
  EXPECT_EQ(model.adapt_parameter("stages.1.blocks.0.attn.qkv.weight", {36, 8}, conv).shape(), (Shape{36, 8}));
  const Tensor table = Tensor::full({81, 3}, 2.0f);
  const Tensor fitted =
      model.adapt_parameter("stages.1.blocks.0.attn.rel_pos.relative_position_bias_table", {49, 3}, table);
  ASSERT_EQ(fitted.shape(), (Shape{49, 3}));
  for (const float value : fitted.span<float>()) EXPECT_NEAR(value, 2.0f, 1e-5f);
}

// ---- what verbs and detectors ask of it ----

TEST(Maxxvit, StagesHaveTheirMechanisms) {
  const auto model = build_model(
      ConfigNode::parse("{type: maxvit, img_size: [64, 64], embed_dim: [16, 32], depths: [1, 2], block_type: [M, T], "
                        "stem_width: [8, 8], transformer: {dim_head: 8}, attention: [{type: window, window: 4}, self]}",
                        "maxvit.yaml"),
      "maxvit");
  // Where the width changes, it does before a mechanism that keeps it.
  EXPECT_EQ(parameters_of(*model, "stages.1.blocks.0.expand."),
            (std::vector<std::string>{"weight [32, 16]", "bias [32]"}));
  EXPECT_EQ(parameters_of(*model, "stages.0.blocks.0.attn_grid.attn.relative_position_bias_table"),
            std::vector<std::string>{" [49, 2]"});
  const auto again = build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
  initialise_parameters(*model, 1);
  Context ctx;
  EXPECT_EQ(model->forward(ctx, pixels(64, 64)).shape(), (Shape{2, 1000}));
}

TEST(Maxxvit, MapsAreWhatStagesLeave) {
  Maxxvit model(small(), "coatnet");
  initialise_parameters(model, 1);
  ASSERT_EQ(model.features().size(), 3u);
  EXPECT_EQ(model.features()[0].name, "stem");
  EXPECT_EQ(model.features()[2].name, "stages.1");
  EXPECT_EQ(model.features()[2].channels, 12);
  EXPECT_EQ(model.features()[2].reduction, 8);
  struct Last : Observer {
    bool wants(const std::string& name) override { return name == "stages.1"; }
    void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
    Tensor value;
  } last;
  Context ctx;
  const std::vector<Var> maps = model.forward_maps(ctx, pixels(), {2, 0});
  ASSERT_EQ(maps[0].shape(), (Shape{2, 4, 4, 12}));
  ASSERT_EQ(maps[1].shape(), (Shape{2, 16, 16, 8}));
  ctx.observer = &last;
  model.forward(ctx, pixels());
  EXPECT_EQ(test::relative_l2(maps[0].value().f32(), last.value.f32(), last.value.numel()), 0.0);
  EXPECT_THAT(test::failure([&] { model.forward_maps(ctx, pixels(), {3}); }), HasSubstr("no feature map 3"));
}

TEST(Maxxvit, OtherImageSizes) {
  MaxxvitConfig config = small();
  config.block_type = {"M", "T"};
  config.transformer.partition_ratio = 16;
  Maxxvit model(config, "maxvit"), square(config, "maxvit");
  for (Maxxvit* each : {&model, &square}) initialise_parameters(*each, 1);
  Context ctx;
  EXPECT_THAT(test::failure([&] { model.forward(ctx, pixels(48, 32)); }), HasSubstr("input size"));
  model.set_input_size(48, 32);
  EXPECT_EQ(model.info().input_size, (std::array<int64_t, 2>{48, 32}));
  EXPECT_EQ(model.config().window_size(), (std::array<int64_t, 2>{3, 2}));
  EXPECT_EQ(model.forward(ctx, pixels(48, 32)).shape(), (Shape{2, 5}));
  EXPECT_THAT(test::usage_error([&] { model.set_input_size(36, 36); }), HasSubstr("multiples of"));
  // The same size changes nothing.
  Maxxvit untouched(config, "maxvit");
  initialise_parameters(untouched, 1);
  square.set_input_size(32, 32);
  EXPECT_TRUE(same_bits(square.forward(ctx, pixels()).value(), untouched.forward(ctx, pixels()).value()));
}

TEST(Maxxvit, AnotherHead) {
  for (const bool hidden : {false, true}) {
    MaxxvitConfig config = small();
    if (hidden) config.head_hidden_size = 16;
    Maxxvit model(config, "coatnet");
    EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.fc.weight", "head.fc.bias"}));
    initialise_parameters(model, 1);
    Context ctx;
    EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{2, 9}));
    EXPECT_TRUE(model.replace_head(0).empty());
    EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{2, hidden ? 16 : 12}));
  }
}

// ---- training ----

struct NamedConfig {
  std::string name;
  MaxxvitConfig config;
  /// Of differences: short where a layer norm over few channels bends, shorter where maxima change hands; the
  /// differences come closer to the gradients the shorter it is.
  double step = 0.01;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"coatnet", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    MaxxvitConfig config = small();
    change(config, config.conv, config.transformer);
    all.push_back({name, config});
  };
  using Base = MaxxvitConfig;
  using Conv = MaxxvitConvConfig;
  using Transformer = MaxxvitTransformerConfig;
  add("coatnet_rw", [](Base&, Conv& c, Transformer& t) {
    c.stride_mode = StrideMode::pool, c.pre_norm_act = true, c.expand_output = false, c.output_bias = false;
    c.attn_early = true, c.act_layer = Activation::silu;
    t.expand_first = false, t.shortcut_bias = false;
  });
  add("batch_norm", [](Base& b, Conv& c, Transformer& t) {
    b.block_type = {"C", "C T"}, t.norm_layer = MapNormKind::batch_norm, c.stride_mode = StrideMode::pointwise;
  });
  add("max_pool_scaled", [](Base&, Conv& c, Transformer& t) {
    c.pool_type = t.pool_type = HalvingPool::max, c.attn_layer = "eca", t.init_values = 0.3f;
  });
  all.back().step = 0.001;
  add("layer_norm_conv", [](Base&, Conv& c, Transformer&) {
    c.norm_layer = MapNormKind::layer_norm, c.group_size = 4, c.attn_layer = "none", c.pool_type = HalvingPool::avg;
  });
  add("convnext", [](Base&, Conv& c, Transformer&) {
    c.block_type = ConvBlockType::convnext, c.norm_layer = MapNormKind::layer_norm, c.init_values = 0.3f;
  });
  const auto windows = [](Base& b) { b.block_type = {"M", "M"}, b.transformer.partition_ratio = 16; };
  add("maxvit", [&](Base& b, Conv&, Transformer&) { windows(b); });
  add("maxvit_tf", [&](Base& b, Conv& c, Transformer& t) {
    windows(b);
    b.stem_bias = true, b.head_hidden_size = 6;
    c.padding = MapPadding::same, c.norm_eps = 1e-3f, c.act_layer = t.act_layer = Activation::gelu_tanh;
    t.head_first = false, t.rel_pos_type = WindowBiasKind::bias_tf;
  });
  add("maxvit_parallel", [&](Base& b, Conv&, Transformer& t) {
    windows(b);
    b.block_type = {"PM", "PM"}, t.init_values = 0.3f;
  });
  add("maxxvit_v2", [&](Base& b, Conv& c, Transformer& t) {
    windows(b);
    b.embed_dim = {8, 16};  // a depthwise convolution widens by a whole factor
    c.block_type = ConvBlockType::convnext, c.stride_mode = StrideMode::pool, c.norm_layer = MapNormKind::layer_norm;
    c.init_values = t.init_values = 0.3f, t.no_block_attn = true;
  });
  add("no_head", [](Base& b, Conv&, Transformer&) { b.num_classes = 0, b.global_pool = Pool::avgmax; });
  add("swapped", [](Base& b, Conv&, Transformer&) {
    b.block_type = {"M", "T"}, b.attention = ConfigNode::parse("[axial, {type: spatial_reduction}]", "test");
  });
  return all;
}

class MaxxvitTrainingTest : public testing::TestWithParam<NamedConfig> {
 protected:
  test::MakeModel make_ = [] { return std::make_unique<Maxxvit>(GetParam().config, GetParam().name); };
  Tensor pixels_ = pixels();
};

TEST_P(MaxxvitTrainingTest, RecordingChangesNoNumbers) {
  test::expect_same_with_and_without_tape(make_, pixels_, kOperations);
}

TEST_P(MaxxvitTrainingTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels_, GetParam().step); }

TEST_P(MaxxvitTrainingTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels_); }

TEST_P(MaxxvitTrainingTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels_); }

INSTANTIATE_TEST_SUITE_P(Forms, MaxxvitTrainingTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
