#include "vit/io/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "vit/io/safetensors.h"

namespace vit {
namespace {

/// All finite half numbers are their own nearest, and what lies between two neighbours goes to the nearer one.
TEST(Half, F16RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float here = f32_from_f16(static_cast<uint16_t>(bits));
    ASSERT_EQ(f16_from_f32(here), bits);
    ASSERT_EQ(f16_from_f32(-here), bits | 0x8000u);
    // The neighbour above the largest is what it would be with one more exponent.
    const float next = bits == 0x7bff ? 65536.0f : f32_from_f16(static_cast<uint16_t>(bits + 1));
    const float middle = here + (next - here) / 2;  // exact in f32
    ASSERT_EQ(f16_from_f32(middle), bits % 2 == 0 ? bits : bits + 1) << here;
    ASSERT_EQ(f16_from_f32(std::nextafter(middle, 0.0f)), bits) << here;
    ASSERT_EQ(f16_from_f32(std::nextafter(middle, 1e6f)), bits + 1) << here;
  }
  EXPECT_EQ(f16_from_f32(1e30f), 0x7c00);
  EXPECT_EQ(f16_from_f32(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_TRUE(std::isnan(f32_from_f16(f16_from_f32(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(f16_from_f32(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Half, BF16RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7f80; ++bits) {
    const float here = f32_from_bf16(static_cast<uint16_t>(bits));
    ASSERT_EQ(bf16_from_f32(here), bits);
    ASSERT_EQ(bf16_from_f32(-here), bits | 0x8000u);
    const uint32_t middle = (bits << 16) | 0x8000u;
    ASSERT_EQ(bf16_from_f32(std::bit_cast<float>(middle)), bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(bf16_from_f32(std::bit_cast<float>(middle - 1)), bits);
    ASSERT_EQ(bf16_from_f32(std::bit_cast<float>(middle + 1)), bits + 1);
  }
  EXPECT_TRUE(std::isnan(f32_from_bf16(bf16_from_f32(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Half, TensorsConvertAndBack) {
  const Tensor tensor = Tensor::from<float>({0.5f, -2.0f, 1.0f / 3.0f, 65504.0f}, {2, 2});
  const Tensor half = to_f16(tensor), brain = to_bf16(tensor);
  EXPECT_EQ(half.dtype(), DType::f16);
  EXPECT_EQ(half.shape(), tensor.shape());
  EXPECT_EQ(to_f32(half).f32()[1], -2.0f);
  EXPECT_NEAR(to_f32(half).f32()[2], 1.0 / 3.0, 1.0 / 3.0 / 2048);
  EXPECT_NEAR(to_f32(brain).f32()[2], 1.0 / 3.0, 1.0 / 3.0 / 256);
  EXPECT_EQ(to_f16(half).raw(), half.raw()) << "as it is";
  EXPECT_THAT(test::failure([] { to_f16(Tensor::full({1}, 65520.0f), "head.weight"); }),
              ::testing::AllOf(::testing::HasSubstr("head.weight"), ::testing::HasSubstr("65504")));
}

}  // namespace
}  // namespace vit
