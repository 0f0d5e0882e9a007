// conv2d where Winograd's algorithm does it: which convolutions those are, against the definition in double, in both
// forms of the weight.
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/plain_maps.h"

namespace vit {
namespace {

using test::Plain;
using test::random_tensor;
using test::wide;
using testing::HasSubstr;

const Conv2dOptions kThreeByThree{.kernel_h = 3, .kernel_w = 3, .padding = 1};

PackedWeight packed(int64_t outputs, int64_t channels, const Conv2dOptions& options) {
  return pack_conv2d(random_tensor({outputs, options.kernel_h, options.kernel_w, channels / options.groups}, 2),
                     options);
}

TEST(WinogradConv, ServesWideConvolutionsOfThreeByThreeAndStrideOne) {
  EXPECT_TRUE(packed(24, 24, kThreeByThree).winograd());
  EXPECT_FALSE(packed(23, 32, kThreeByThree).winograd());
  EXPECT_FALSE(packed(32, 23, kThreeByThree).winograd());
  for (const auto& change : std::vector<void (*)(Conv2dOptions&)>{
           [](Conv2dOptions& o) { o.stride = 2; }, [](Conv2dOptions& o) { o.dilation = 2; },
           [](Conv2dOptions& o) { o.groups = 2; }, [](Conv2dOptions& o) { o.kernel_h = 1; },
           [](Conv2dOptions& o) { o.kernel_w = 5; }}) {
    Conv2dOptions other = kThreeByThree;
    change(other);
    EXPECT_FALSE(packed(64, 64, other).winograd());
  }
}

TEST(WinogradConv, EqualsTheDefinitionWithEitherFormOfTheWeight) {
  for (const int64_t padding : {0, 1, 2}) {
    SCOPED_TRACE(padding);
    Conv2dOptions options = kThreeByThree;
    options.padding = padding;
    const Tensor x = random_tensor({2, 6, 9, 40}, 1), weight = random_tensor({33, 3, 3, 40}, 2),
                 bias = random_tensor({33}, 3);
    const Plain expected =
        plain::conv2d_batch<double>(wide(x), wide(weight), wide(bias), 1, static_cast<size_t>(padding), 1, 1);
    Context ctx;
    const PackedWeight form = pack_conv2d(weight, options);
    const Var plain_weight = weight;
    for (const Var& y : {conv2d(ctx, x, {Var(), form}, bias, options),
                         conv2d(ctx, x, {plain_weight, PackedWeight()}, bias, options)}) {
      ASSERT_EQ(y.value().numel(), static_cast<int64_t>(expected.size()));
      // Four roundings of the direct sum, relative to all of the map: 360 terms.
      EXPECT_LE(test::relative_l2(y.value().f32(), expected.data(), y.value().numel()),
                4.0 * test::rounding_tolerance(1, 1.0));
    }
  }
}

TEST(WinogradConv, RefusesOtherOptionsThanItWasPackedFor) {
  Context ctx;
  const Tensor x = random_tensor({1, 6, 6, 32}, 1);
  const PackedWeight form = packed(32, 32, kThreeByThree);
  Conv2dOptions strided = kThreeByThree;
  strided.stride = 2;
  EXPECT_THAT(test::failure([&] {
                conv2d(ctx, x, {Var(), form}, {}, strided);
              }),
              HasSubstr("packed for 3 x 3 taps and stride 1"));
  EXPECT_THAT(test::failure([&] {
                conv2d(ctx, random_tensor({1, 1, 6, 32}, 1), {Var(), form}, {}, {.kernel_h = 3, .kernel_w = 3});
              }),
              HasSubstr("exceeds the padded input"));
  EXPECT_THAT(test::failure([&] {
                conv2d(ctx, random_tensor({1, 6, 6, 33}, 1), {Var(), form}, {}, kThreeByThree);
              }),
              HasSubstr("the weight reads 288 values"));
}

}  // namespace
}  // namespace vit
