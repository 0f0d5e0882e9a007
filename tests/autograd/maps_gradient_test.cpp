// Gradients of convolutions, patch embedding, layouts and resampled position tables against finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/gradient_check.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/plain_maps.h"
#include "vit/autograd/plain_tokens.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

const PackedWeight kUnpacked;

struct ConvSizes {
  int64_t batch, height, width, channels, outputs;
};

GradientCase conv_case(const std::string& name, const ConvSizes& s, const Conv2dOptions& options, bool bias = true,
                       bool oracle = true) {
  GradientCase op{
      .name = "conv2d_" + name,
      .inputs = {random_tensor({s.batch, s.height, s.width, s.channels}, 1),
                 random_tensor({s.outputs, options.kernel_h, options.kernel_w, s.channels / options.groups}, 2)}};
  if (bias) op.inputs.push_back(random_tensor({s.outputs}, 3));
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return conv2d(ctx, v[0], {v[1], kUnpacked}, bias ? v[2] : Var(), options);
  };
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      const Plain y =
          plain::conv2d_batch<double>(v[0], v[1], bias ? v[2] : Plain(0.0), static_cast<size_t>(options.stride),
                                      static_cast<size_t>(options.padding), static_cast<size_t>(options.dilation),
                                      static_cast<size_t>(options.groups));
      return plain::activate<double>(y, options.activation);
    };
  return op;
}

/// Everything that can follow a convolution, fused or not.
GradientCase conv_epilogue_case(const std::string& name, const ConvSizes& s, const Conv2dOptions& options,
                                bool per_channel = false) {
  GradientCase op = conv_case(name, s, options);
  op.inputs.push_back(random_tensor({s.outputs}, 30));
  op.inputs.push_back(random_tensor(per_channel ? Shape{s.outputs} : Shape{s.batch, s.height, s.width, s.outputs}, 31));
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    Conv2dOptions all = options;
    all.gamma = v[3];
    all.residual = v[4];
    return conv2d(ctx, v[0], {v[1], kUnpacked}, v[2], all);
  };
  op.plain = [alone = op.plain](const std::vector<Plain>& v) { return Plain(v[4] + v[3] * alone({v[0], v[1], v[2]})); };
  return op;
}

/// The activation after the residual.
GradientCase conv_residual_first_case(const ConvSizes& s, const Conv2dOptions& options) {
  Conv2dOptions linear = options;
  linear.activation = Activation::none;
  GradientCase op = conv_epilogue_case("residual_first", s, linear);
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    Conv2dOptions all = options;
    all.gamma = v[3];
    all.residual = v[4];
    all.residual_first = true;
    return conv2d(ctx, v[0], {v[1], kUnpacked}, v[2], all);
  };
  op.plain = [sum = op.plain, options](const std::vector<Plain>& v) {
    return plain::activate<double>(sum(v), options.activation);
  };
  return op;
}

GradientCase pool_case(const std::string& name, const Shape& maps, const PoolOptions& o, bool mean,
                       bool oracle = true) {
  GradientCase op{.name = str(mean ? "avg_pool2d_" : "max_pool2d_", name), .inputs = {random_tensor(maps, 40)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return mean ? avg_pool2d(ctx, v[0], o) : max_pool2d(ctx, v[0], o);
  };
  const plain::Pooling pool{static_cast<int>(o.kernel), static_cast<int>(o.stride), static_cast<int>(o.padding),
                            o.ceil_mode, o.count_include_pad};
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      return mean ? plain::avg_pool2d<double>(v[0], pool) : plain::max_pool2d<double>(v[0], pool);
    };
  return op;
}

GradientCase pad_case(const std::string& name, const Border& b, float value) {
  GradientCase op{.name = "pad_map_" + name, .inputs = {random_tensor({2, 4, 5, 3}, 50)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) { return pad_map(ctx, v[0], b, value); };
  op.plain = [=](const std::vector<Plain>& v) {
    return plain::pad_map<double>(v[0], static_cast<int>(b.top), static_cast<int>(b.left), static_cast<int>(b.bottom),
                                  static_cast<int>(b.right), static_cast<double>(value));
  };
  return op;
}

GradientCase resize_case(const std::string& name, const Shape& maps, int64_t to_h, int64_t to_w) {
  GradientCase op{.name = "resize_map_" + name, .inputs = {random_tensor(maps, 60)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) { return resize_map(ctx, v[0], to_h, to_w); };
  op.plain = [=](const std::vector<Plain>& v) {
    return plain::resize_map<double>(v[0], static_cast<size_t>(to_h), static_cast<size_t>(to_w));
  };
  op.terms = 1024;  // positions in f32, as below
  return op;
}

std::vector<GradientCase> grouped_cases() {
  const Conv2dOptions depthwise{.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 5};
  std::vector<GradientCase> all = {
      conv_case("groups", {2, 5, 4, 6, 4}, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 2}),
      conv_case("groups_stride", {1, 6, 5, 6, 9}, {.kernel_h = 2, .kernel_w = 3, .stride = 2, .groups = 3}, false),
      conv_case("groups_1x1", {2, 3, 4, 8, 8}, {.groups = 4}),
      conv_case("winograd_large", {3, 15, 22, 70, 48}, {.kernel_h = 3, .kernel_w = 3, .padding = 1}, true, false),
      conv_case("groups_large", {3, 30, 21, 32, 48}, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 4}, true,
                false),
      conv_case("depthwise", {2, 5, 4, 5, 5}, depthwise),
      conv_case("depthwise_no_bias", {2, 4, 3, 5, 5}, depthwise, false),
      conv_case("depthwise_stride", {2, 6, 5, 3, 3},
                {.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1, .groups = 3}),
      conv_case("depthwise_dilated", {1, 7, 6, 3, 3},
                {.kernel_h = 3, .kernel_w = 2, .padding = 2, .dilation = 2, .groups = 3}),
      conv_case("depthwise_wide_border", {1, 3, 3, 2, 2}, {.kernel_h = 3, .kernel_w = 3, .padding = 4, .groups = 2}),
      conv_case("depthwise_multiplied", {2, 5, 4, 3, 6}, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 3}),
      conv_case("depthwise_large", {3, 31, 22, 83, 83}, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 83},
                true, false),
      conv_epilogue_case("fused", {2, 4, 3, 2, 5},
                         {.kernel_h = 3, .kernel_w = 3, .padding = 1, .activation = Activation::gelu}),
      conv_residual_first_case({2, 4, 3, 2, 5},
                               {.kernel_h = 3, .kernel_w = 3, .padding = 1, .activation = Activation::silu}),
      conv_epilogue_case("groups_fused", {2, 4, 3, 4, 6}, {.groups = 2, .activation = Activation::silu}),
  };
  Conv2dOptions fused = depthwise;
  fused.activation = Activation::gelu;
  all.push_back(conv_epilogue_case("depthwise_fused", {2, 4, 3, 5, 5}, fused));
  all.push_back(conv_epilogue_case("depthwise_shifted", {2, 4, 3, 5, 5}, fused, /*per_channel=*/true));
  return all;
}

std::vector<GradientCase> map_cases() {
  std::vector<GradientCase> all = {
      pad_case("window", {0, 0, 3, 2}, 0.0f),  pad_case("sides", {1, 2, 0, 3}, 0.5f),
      pad_case("cut", {-1, -2, -1, 0}, 0.0f),  pad_case("both", {2, -3, -2, 4}, -1.0f),
      resize_case("up", {2, 3, 4, 3}, 6, 7),   resize_case("down", {1, 7, 6, 2}, 3, 4),
      resize_case("same", {1, 3, 5, 2}, 3, 5), resize_case("from_one", {2, 1, 1, 4}, 3, 2),
  };
  for (const bool mean : {false, true}) {
    all.push_back(pool_case("2x2", {2, 4, 6, 3}, {}, mean));
    all.push_back(pool_case("rest", {1, 5, 7, 2}, {}, mean));
    all.push_back(pool_case("padded", {2, 7, 6, 3}, {.kernel = 3, .stride = 2, .padding = 1}, mean));
    all.push_back(pool_case("ceil", {1, 6, 8, 2}, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}, mean));
    all.push_back(pool_case("ceil_rest", {1, 5, 7, 2}, {.kernel = 2, .stride = 2, .ceil_mode = true}, mean));
    all.push_back(pool_case("skipping", {1, 5, 5, 2}, {.kernel = 1, .stride = 3, .ceil_mode = true}, mean));
    all.push_back(pool_case("large", {3, 57, 40, 24}, {.kernel = 3, .stride = 2, .padding = 1}, mean, false));
  }
  all.push_back(pool_case("ceil_without_pad", {1, 6, 8, 2},
                          {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false},
                          true));
  return all;
}

GradientCase patch_case(const std::string& name, const Shape& image, int64_t dim, int64_t patch_h, int64_t patch_w,
                        bool oracle = true) {
  GradientCase op{.name = "patch_embed_" + name,
                  .inputs = {random_tensor(image, 4), random_tensor({dim, image[1], patch_h, patch_w}, 5),
                             random_tensor({dim}, 6)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return patch_embed(ctx, v[0], {v[1], kUnpacked}, v[2], patch_h, patch_w);
  };
  if (oracle) op.plain = [](const std::vector<Plain>& v) { return plain::patch_embed<double>(v[0], v[1], v[2]); };
  return op;
}

struct Resampling {
  int64_t prefix, from_h, from_w, to_h, to_w;
};

GradientCase resample_case(const std::string& name, const Resampling& s, Interpolation interpolation) {
  const bool antialias = interpolation == Interpolation::bicubic_antialias;
  GradientCase op{.name = str("resample_", antialias ? "antialias_" : "bicubic_", name),
                  .inputs = {random_tensor({1, s.prefix + s.from_h * s.from_w, 3}, 7)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return resample_grid(ctx, v[0], s.prefix, s.from_h, s.from_w, s.to_h, s.to_w, interpolation);
  };
  op.plain = [=](const std::vector<Plain>& v) {
    const auto size = [](int64_t extent) { return static_cast<size_t>(extent); };
    return plain::resample_grid<double>(v[0], size(s.prefix), size(s.from_h), size(s.from_w), size(s.to_h),
                                        size(s.to_w), antialias);
  };
  // Positions are computed in f32, as torch does: an error of eps * (grid extent) in the kernel's argument.
  op.terms = 1024;
  return op;
}

std::vector<GradientCase> cases() {
  std::vector<GradientCase> all = {
      conv_case("3x3", {2, 5, 4, 2, 3}, {.kernel_h = 3, .kernel_w = 3, .padding = 1}),
      conv_case("1x1", {2, 3, 4, 5, 6}, {}),
      conv_case("2x3_stride", {1, 6, 7, 2, 5}, {.kernel_h = 2, .kernel_w = 3, .stride = 2}),
      conv_case("3x3_stride_padding", {2, 5, 6, 3, 2}, {.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1}),
      conv_case("dilated", {1, 7, 6, 2, 3}, {.kernel_h = 3, .kernel_w = 2, .padding = 2, .dilation = 2}),
      conv_case("no_bias", {1, 4, 4, 2, 3}, {.kernel_h = 3, .kernel_w = 3, .padding = 1}, false),
      conv_case("gelu", {1, 4, 5, 2, 3}, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .activation = Activation::gelu}),
      conv_case("large", {3, 33, 20, 7, 19}, {.kernel_h = 3, .kernel_w = 3, .padding = 1}, true, false),
      // More rows than one chunk of the weight's gradient.
      conv_case("chunks", {2, 80, 80, 8, 5}, {.kernel_h = 5, .kernel_w = 5, .padding = 2}, true, false),
      patch_case("square", {2, 3, 4, 6}, 5, 2, 2),
      patch_case("ragged", {1, 2, 7, 8}, 3, 3, 2),  // a rest that fills no patch has gradient 0
      patch_case("one", {1, 1, 2, 2}, 4, 2, 2),
      patch_case("large", {5, 3, 32, 48}, 40, 8, 8, false),
  };
  for (const Interpolation interpolation : {Interpolation::bicubic_antialias, Interpolation::bicubic}) {
    all.push_back(resample_case("up", {1, 3, 4, 5, 6}, interpolation));
    all.push_back(resample_case("down", {2, 7, 6, 3, 4}, interpolation));
    all.push_back(resample_case("mixed", {0, 2, 6, 5, 3}, interpolation));
    all.push_back(resample_case("from_one", {1, 1, 1, 2, 3}, interpolation));
  }
  GradientCase layout{.name = "channels_last", .inputs = {random_tensor({2, 3, 4, 5}, 8)}};
  layout.run = [](Context& ctx, const std::vector<Var>& v) { return channels_last(ctx, v[0]); };
  layout.plain = [](const std::vector<Plain>& v) { return plain::channels_last<double>(v[0]); };
  all.push_back(layout);
  layout.name = "taps_outermost";
  layout.run = [](Context& ctx, const std::vector<Var>& v) { return taps_outermost(ctx, v[0]); };
  all.push_back(layout);
  layout.name = "channels_last_large";
  layout.inputs = {random_tensor({3, 17, 30, 21}, 9)};
  layout.plain = nullptr;
  all.push_back(layout);
  return all;
}

VITKIT_GRADIENT_TESTS(MapsGradient, cases());
VITKIT_GRADIENT_TESTS(GroupedConvGradient, grouped_cases());
VITKIT_GRADIENT_TESTS(MapOpsGradient, map_cases());

/// What a pass without a tape does with fused epilogues and packed weights, beside one that records.
TEST(ConvInference, EqualsRecording) {
  for (const GradientCase& op : grouped_cases()) {
    Context ctx;
    std::vector<Var> constants;
    for (const Tensor& input : op.inputs) constants.emplace_back(input);
    const Tensor got = op.run(ctx, constants).value(), want = test::run_case(op).value;
    ASSERT_EQ(got.shape(), want.shape());
    for (int64_t i = 0; i < got.numel(); ++i)
      EXPECT_NEAR(got.f32()[i], want.f32()[i], 1e-5f * (1.0f + std::abs(want.f32()[i]))) << op.name << " " << i;
  }
}

TEST(ConvInference, PicturesAreReadByRows) {
  const Tensor x = random_tensor({2, 13, 11, 3}, 70), w = random_tensor({5, 7, 7, 3}, 71);
  for (const Conv2dOptions& options :
       {Conv2dOptions{.kernel_h = 7, .kernel_w = 7, .stride = 4, .padding = 3},
        Conv2dOptions{.kernel_h = 7, .kernel_w = 7}, Conv2dOptions{.kernel_h = 7, .kernel_w = 7, .padding = 5}}) {
    Context ctx, recording;
    Tape tape(recording);
    recording.tape = &tape;
    const Tensor rows = conv2d(ctx, x, {w, kUnpacked}, {}, options).value();
    const Tensor taps = conv2d(recording, Var::leaf(x.clone()), {w, kUnpacked}, {}, options).value();
    EXPECT_TRUE(test::same_bits(rows, taps));
  }
}

TEST(MaxPool2dTest, FirstOfEqualMaximaHasTheGradientAndNaNStays) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({1, 2, 2, 1}, 3.0f));
  const Var y = max_pool2d(ctx, x, {});
  tape.backward(y, Tensor::full(y.shape(), 1.0f));
  EXPECT_EQ(x.grad().f32()[0], 1.0f);
  for (int64_t i = 1; i < 4; ++i) EXPECT_EQ(x.grad().f32()[i], 0.0f);
  for (int64_t i = 0; i < 4; ++i) {
    Context plain;
    Tensor map = Tensor::zeros({1, 2, 2, 1});
    map.f32()[i] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(max_pool2d(plain, map, {}).value().f32()[0])) << i;
  }
}

TEST(MapOpsTest, ImpossibleSizesAreRefused) {
  Context ctx;
  const Var maps = Tensor::zeros({1, 4, 4, 6});
  EXPECT_THROW(max_pool2d(ctx, maps, {.kernel = 5}), Error);
  EXPECT_THROW(avg_pool2d(ctx, maps, {.kernel = 2, .padding = 2}), Error);
  EXPECT_THROW(max_pool2d(ctx, maps, {.stride = 0}), Error);
  EXPECT_THROW(pad_map(ctx, maps, {-2, 0, -2, 0}), Error);
  EXPECT_THROW(resize_map(ctx, maps, 0, 3), Error);
  EXPECT_THROW(pad_map(ctx, Tensor::zeros({2, 3}), {}), Error);
  const Var weight = Tensor::zeros({6, 1, 1, 1});
  EXPECT_THROW(conv2d(ctx, maps, {weight, kUnpacked}, {}, {.groups = 4}), Error);
  EXPECT_THROW(conv2d(ctx, maps, {weight, kUnpacked}, {}, {.groups = 3}), Error);
}

}  // namespace
}  // namespace vit
