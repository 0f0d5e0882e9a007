// Gradients of convolutions, patch embedding, layouts and resampled position tables against finite differences.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/plain_maps.h"
#include "vit/autograd/plain_tokens.h"

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
  GradientCase op{.name = "conv2d_" + name,
                  .inputs = {random_tensor({s.batch, s.height, s.width, s.channels}, 1),
                             random_tensor({s.outputs, options.kernel_h, options.kernel_w, s.channels}, 2)}};
  if (bias) op.inputs.push_back(random_tensor({s.outputs}, 3));
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return conv2d(ctx, v[0], {v[1], kUnpacked}, bias ? v[2] : Var(), options);
  };
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      const Plain y =
          plain::conv2d_batch<double>(v[0], v[1], bias ? v[2] : Plain(0.0), static_cast<size_t>(options.stride),
                                      static_cast<size_t>(options.padding), static_cast<size_t>(options.dilation));
      return plain::activate<double>(y, options.activation);
    };
  return op;
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

}  // namespace
}  // namespace vit
