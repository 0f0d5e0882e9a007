#include "vit/robustness/pixel_scale.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/image/image.h"
#include "vit/image/preprocess.h"

namespace vit {
namespace {

Image gradient_picture() {
  Image picture(16, 16);
  for (int64_t i = 0; i < 16 * 16 * 3; ++i) picture.row(0)[i] = static_cast<uint8_t>(i % 256);
  return picture;
}

Tensor pixels_of(const Image& picture) {
  Tensor pixels = Tensor::empty({1, 3, 16, 16});
  for (int64_t i = 0; i < 256; ++i)
    for (int64_t c = 0; c < 3; ++c) pixels.f32()[c * 256 + i] = static_cast<float>(picture.row(0)[i * 3 + c]) / 255.0f;
  return pixels;
}

TEST(PixelScale, IsWhatPreprocessingDoes) {
  std::vector<ToFloat> kinds(3);
  kinds[0] = {.mean = {0.4914f, 0.4822f, 0.4465f}, .std = {0.247f, 0.2435f, 0.2616f}};
  kinds[1] = {.rescale = ToFloat::Rescale::kMultiply, .factor = 1.0 / 127.5, .mean = {1, 1, 1}, .std = {0.5f, 1, 2}};
  kinds[2] = {.rescale = ToFloat::Rescale::kNone, .normalize = false};
  const Image picture = gradient_picture();
  for (const ToFloat& kind : kinds) {
    const Tensor expected = Preprocessor({}, kind)(picture);
    const PixelScale scale = PixelScale::of(kind);
    const Tensor values = scale.normalized(pixels_of(picture));
    for (int64_t i = 0; i < expected.numel(); ++i)
      ASSERT_NEAR(values.f32()[i], expected.f32()[i], 2e-6 * (1.0 + std::abs(expected.f32()[i]))) << i;
    const Tensor back = scale.pixels(values);
    for (int64_t i = 0; i < expected.numel(); ++i) ASSERT_NEAR(back.f32()[i], pixels_of(picture).f32()[i], 1e-6) << i;
  }
}

TEST(PixelScale, HasItsGradient) {
  const PixelScale scale{{2.0f, 3.0f, -4.0f}, {1.0f, 0.5f, 0.0f}};
  test::GradientCase op{.name = "pixel_scale", .inputs = {test::random_tensor({2, 3, 2, 4}, 1)}};
  op.run = [&](Context& ctx, const std::vector<Var>& x) { return scale.normalized(ctx, x[0]); };
  op.plain = [&](const std::vector<test::Plain>& x) {
    test::Plain y = x[0];
    for (size_t b = 0; b < 2; ++b)
      for (size_t c = 0; c < 3; ++c)
        for (size_t i = 0; i < 2; ++i)
          for (size_t j = 0; j < 4; ++j)
            y(b, c, i, j) = static_cast<double>(scale.factor[c]) * x[0](b, c, i, j) + scale.offset[c];
    return y;
  };
  test::expect_value_and_gradients(op);
}

}  // namespace
}  // namespace vit
