// ResNets: feature maps, dilation, folded norms, other heads and sizes, names in checkpoints, and training. timm's own
// numbers are the parity cases A9.
#include "vit/models/resnet.h"

#include <gtest/gtest.h>

#include "tests/support/backbone_check.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "tests/support/temp_dir.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit {
namespace {

using test::same_bits;
using testing::HasSubstr;

/// Without kinks, for slopes; the stem pools by a convolution.
ResNetConfig small() {
  ResNetConfig config;
  config.img_size = {32, 24};
  config.layers = {1, 2};
  config.channels = {4, 6};
  config.stem_channels = 8;
  config.replace_stem_pool = true;
  config.act = Activation::silu;
  config.num_classes = 5;
  return config;
}

struct NamedConfig {
  std::string name;
  ResNetConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"bottleneck", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    ResNetConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  const auto mechanism = [](const std::string& text) { return ConfigNode::parse(text, "test"); };
  add("basic", [](ResNetConfig& c) { c.block = ResNetBlockKind::basic; });
  add("deep_stem_d", [](ResNetConfig& c) { c.stem_type = ResNetStem::deep, c.stem_width = 6, c.avg_down = true; });
  add("projected_first", [](ResNetConfig& c) {
    c.block = ResNetBlockKind::basic, c.avg_down = c.project_first = true;
    c.stem_channels = 4, c.channels = {4, 4};  // wider, the curvature is more than a difference of this step bears
  });
  add("tiered_stem", [](ResNetConfig& c) { c.stem_type = ResNetStem::deep_tiered, c.stem_width = 8; });
  add("resnext", [](ResNetConfig& c) { c.cardinality = 2, c.base_width = 48; });
  add("senet", [](ResNetConfig& c) { c.block_reduce_first = 2, c.down_kernel_size = 3; });
  add("dilated", [](ResNetConfig& c) { c.output_stride = 4, c.avg_down = true; });
  add("mean_strides", [](ResNetConfig& c) { c.aa = true, c.replace_stem_pool = false; });
  add("first_convolution_strides", [](ResNetConfig& c) { c.downsample_in_bottleneck = true; });
  add("first_stage_strides", [](ResNetConfig& c) { c.downsample_in_first_stage = true; });
  add("frozen", [](ResNetConfig& c) { c.frozen_norm = true; });
  add("se", [&](ResNetConfig& c) { c.attention = mechanism("{type: squeeze_excite, act_layer: silu}"); });
  add("one_per_stage", [&](ResNetConfig& c) { c.attention = mechanism("[none, {type: non_local}]"); });
  add("self_attention", [&](ResNetConfig& c) { c.attention = mechanism("[eca, self]"); });
  add("no_head", [](ResNetConfig& c) { c.num_classes = 0; });
  return all;
}

Tensor pixels(int64_t height = 32, int64_t width = 24) { return test::random_tensor({3, 3, height, width}, 1, 0.3f); }

constexpr TrainingOptions kTraining{.drop_rate = 0.1f, .drop_path_rate = 0.4f};

class ResNetTest : public testing::TestWithParam<NamedConfig> {
 protected:
  test::MakeBackbone make_ = [] { return std::make_unique<ResNet>(GetParam().config, GetParam().name); };
  Tensor pixels_ = pixels();
};

TEST_P(ResNetTest, FoldedNormsChangeNoNumbers) { test::expect_same_with_and_without_tape(make_, pixels_); }

TEST_P(ResNetTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels_); }

TEST_P(ResNetTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels_, kTraining); }

TEST_P(ResNetTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels_, kTraining); }

TEST_P(ResNetTest, MapsHaveTheExtentsTheyAnnounce) {
  Context ctx;
  ResNet model(GetParam().config, GetParam().name);
  test::fill_leaves(model);
  const std::vector<FeatureInfo> infos = model.features();
  ASSERT_EQ(infos.size(), 2u);
  const std::vector<Var> maps = model.forward_maps(ctx, pixels(32, 48), {1, 0});
  for (const size_t s : {0, 1}) {
    const FeatureInfo& info = infos[s];
    EXPECT_EQ(maps[1 - s].shape(), (Shape{3, 32 / info.reduction, 48 / info.reduction, info.channels})) << info.name;
  }
}

TEST_P(ResNetTest, ItsDescriptionMakesTheSameModel) { test::expect_description_makes_it_again(make_); }

INSTANTIATE_TEST_SUITE_P(Shapes, ResNetTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

TEST(ResNet, MapsAreWhatStagesLeave) {
  ResNet model(small(), "resnet");
  initialise_parameters(model, 1);
  struct Last : Observer {
    bool wants(const std::string& name) override { return name == "layer2"; }
    void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
    Tensor value;
  } last;
  Context ctx;
  const std::vector<Var> both = model.forward_maps(ctx, pixels(), {0, 1});
  ctx.observer = &last;
  model.forward(ctx, pixels());
  EXPECT_TRUE(same_bits(both[1].value(), last.value));
  // A map that is asked for stays as it is while later stages run.
  EXPECT_TRUE(same_bits(both[0].value(), model.forward_maps(ctx, pixels(), {0})[0].value()));
  EXPECT_THAT(test::failure([&] { model.forward_maps(ctx, pixels(), {2}); }), HasSubstr("no feature map 2"));
  EXPECT_THAT(test::failure([&] { model.forward(ctx, Tensor::zeros({1, 4, 32, 32})); }), HasSubstr("3, height"));
}

/// Dilation computes at every position what the strided network computes at every second one.
TEST(ResNet, DilationKeepsTheFieldOfView) {
  ResNetConfig config = small();
  config.layers = {1, 1, 1};
  config.channels = {4, 6, 8};
  ResNet strided(config, "strided");
  config.output_stride = 8;
  ResNet dilated(config, "dilated");
  EXPECT_EQ(dilated.features()[2].reduction, 8);
  for (ResNet* model : {&strided, &dilated}) test::fill_leaves(*model);
  Context ctx;
  const Tensor images = pixels(64, 64);
  const Tensor coarse = strided.forward_maps(ctx, images, {2})[0].value();
  const Tensor fine = dilated.forward_maps(ctx, images, {2})[0].value();
  ASSERT_EQ(coarse.shape(), (Shape{3, 4, 4, 32}));
  ASSERT_EQ(fine.shape(), (Shape{3, 8, 8, 32}));
  double difference = 0.0, norm = 0.0;
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t r = 0; r < 4; ++r)
      for (int64_t c = 0; c < 4; ++c)
        for (int64_t ch = 0; ch < 32; ++ch) {
          const double want = coarse.f32()[((b * 4 + r) * 4 + c) * 32 + ch];
          const double got = fine.f32()[((b * 8 + 2 * r) * 8 + 2 * c) * 32 + ch];
          difference += (want - got) * (want - got);
          norm += want * want;
        }
  EXPECT_LE(std::sqrt(difference / norm), 1e-5);
}

TEST(ResNet, AnotherHeadAndAnotherSize) {
  ResNet model(small(), "resnet");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"fc.weight", "fc.bias"}));
  EXPECT_EQ(model.info().num_classes, 9);
  model.set_input_size(40, 56);
  EXPECT_EQ(model.info().input_size, (std::array<int64_t, 2>{40, 56}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels(40, 56)).shape(), (Shape{3, 9}));
  EXPECT_EQ(model.forward(ctx, pixels(33, 47)).shape(), (Shape{3, 9}));
}

/// The last map is one cell, which the shortcut's pooling takes as an incomplete window.
TEST(ResNet, MapsOfOneCellArePooled) {
  const auto model =
      build_model(ConfigNode::parse("{type: resnet, avg_down: true, img_size: [16, 16], layers: [1, 1, 1, 1], "
                                    "channels: [4, 4, 4, 4], stem_channels: 4, num_classes: 3}",
                                    "resnet.yaml"),
                  "resnet");
  initialise_parameters(*model, 1);
  Context ctx;
  EXPECT_EQ(model->forward(ctx, pixels(16, 16)).shape(), (Shape{3, 3}));
}

TEST(ResNet, FrozenNormsAreNotTrained) {
  ResNetConfig config = small();
  config.frozen_norm = true;
  ResNet model(config, "resnet");
  model.visit_parameters([](const std::string& name, Parameter& parameter) {
    const bool norm = name.find("bn") != std::string::npos || name.starts_with("maxpool.1") ||
                      name.find("downsample.1") != std::string::npos;
    EXPECT_EQ(parameter.buffer, norm) << name;
  });
}

TEST(ResNet, RefusesWhatMakesNoModel) {
  const auto refused = [](const std::string& text) {
    return test::usage_error([&] { build_model(ConfigNode::parse(text, "resnet.yaml"), "resnet"); });
  };
  EXPECT_THAT(refused("{type: resnet, layers: [1, 1]}"), HasSubstr("`layers` has 2 entries and `channels` 4"));
  EXPECT_THAT(refused("{type: resnet, block: basic, cardinality: 2}"), HasSubstr("belong to bottlenecks"));
  EXPECT_THAT(refused("{type: resnet, attention: [eca]}"), HasSubstr("stages = 4, got 1"));
  EXPECT_THAT(refused("{type: resnet, attention: squeeze_exite}"), HasSubstr("squeeze_excite"));
  EXPECT_THAT(refused("{type: resnet, global_pool: token}"), HasSubstr("global_pool"));
  EXPECT_THAT(refused("{type: resnet, channels: [1, 2, 4, 8], base_width: 4}"), HasSubstr("stage 0"));
  EXPECT_THAT(refused("{type: resnet, block: basic, block_reduce_first: 64, channels: [8, 8, 8, 8]}"),
              HasSubstr("block_reduce_first 64"));
  EXPECT_THAT(refused("{type: resnet, cardinality: 32, base_width: 4, block_reduce_first: 3}"),
              HasSubstr("cardinality 32 does not divide"));
  const std::string list = refused("{type: resnet, attention: [eca]}");
  EXPECT_EQ(list.find("resnet.yaml"), list.rfind("resnet.yaml")) << list;
}

/// Random tensors for every parameter, under the names that `keys` gives them.
std::map<std::string, Tensor> values_of(ResNet& model) {
  test::fill_leaves(model);
  std::map<std::string, Tensor> values;
  model.visit_parameters(
      [&](const std::string& name, Parameter& parameter) { values[name] = parameter.value.value().clone(); });
  return values;
}

TEST(ResNetNames, BehindAPrefixInADetectorsCheckpoint) {
  ResNetConfig config = small();
  config.num_classes = 0;
  config.frozen_norm = true;
  ResNet source(config, "source"), loaded(config, "loaded");
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : values_of(source)) {
    entries.push_back({"backbone.0.body." + name, value});
    if (name.ends_with("running_var"))
      entries.push_back({"backbone.0.body." + name.substr(0, name.size() - 11) + "num_batches_tracked",
                         Tensor::from<int64_t>({7}, {})});
  }
  test::TempDir dir;
  write_safetensors(dir.path() / "model.safetensors", entries);
  load_parameters(loaded, Weights::open(dir.path() / "model.safetensors"), prefixed_keys(loaded, "backbone.0.body."));
  Context ctx;
  test::expect_close(loaded.forward(ctx, pixels()).value(), source.forward(ctx, pixels()).value());
}

TEST(ResNetNames, TensorsTellTheDimensions) {
  const auto read = [](const ResNetConfig& config) {
    ResNet model(config, "source");
    std::vector<SafetensorsEntry> entries;
    for (const auto& [name, value] : values_of(model)) entries.push_back({"body." + name, value});
    test::TempDir dir;
    write_safetensors(dir.path() / "model.safetensors", entries);
    return resnet_config_from_weights(Weights::open(dir.path() / "model.safetensors"), "body.");
  };
  ResNetConfig config = small();
  config.cardinality = 2;
  config.base_width = 48;
  config.channels = {8, 16};
  config.block_reduce_first = 2;
  config.down_kernel_size = 3;
  const ResNetConfig senet = read(config);
  EXPECT_EQ(senet.layers, config.layers);
  EXPECT_EQ(senet.channels, config.channels);
  EXPECT_EQ(senet.cardinality, 2);
  EXPECT_EQ(senet.base_width, 48);
  EXPECT_EQ(senet.block_reduce_first, 2);
  EXPECT_EQ(senet.down_kernel_size, 3);
  config = small();
  config.block = ResNetBlockKind::basic;
  config.block_reduce_first = 2;
  config.avg_down = true;
  const ResNetConfig basic = read(config);
  EXPECT_EQ(basic.block_reduce_first, 2);
  EXPECT_EQ(basic.down_kernel_size, 1);
  EXPECT_TRUE(basic.avg_down);
}

TEST(ResNetNames, HuggingFaces) {
  ResNetConfig config = small();
  config.replace_stem_pool = false;
  const KeyMap keys = resnet_hugging_face_keys(config, "resnet.");
  std::map<std::string, std::string> theirs;
  for (const KeyRule& rule : keys.rules) theirs[rule.ours] = rule.theirs.front();
  EXPECT_EQ(theirs.at("conv1.weight"), "{p}embedder.embedder.convolution.weight");
  EXPECT_EQ(theirs.at("bn1.running_var"), "{p}embedder.embedder.normalization.running_var");
  EXPECT_EQ(theirs.at("layer2.{i}.conv3.weight"), "{p}encoder.stages.1.layers.{i}.layer.2.convolution.weight");
  EXPECT_EQ(theirs.at("layer1.{i}.downsample.1.bias"), "{p}encoder.stages.0.layers.{i}.shortcut.normalization.bias");
  EXPECT_EQ(theirs.at("fc.bias"), "classifier.1.bias");
  // Every parameter has a rule.
  ResNet model(config, "resnet");
  for (const KeyRule& rule : prefixed_keys(model, "").rules) EXPECT_TRUE(theirs.count(rule.ours)) << rule.ours;
}

}  // namespace
}  // namespace vit
