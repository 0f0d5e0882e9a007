#include "vit/core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/support/errors.h"

namespace vit {
namespace {

using testing::HasSubstr;

TEST(Shape, CountsAndIndexes) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape.to_string(), "[2, 3, 4]");
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_FALSE(shape == (Shape{2, 3}));
  EXPECT_THAT(test::failure([&] { shape[3]; }), HasSubstr("axis 3"));
}

TEST(Shape, RefusesWhatNoBufferCanHold) {
  EXPECT_THAT(test::failure([] { Shape{-1}; }), HasSubstr("negative"));
  EXPECT_THAT(test::failure([] { Shape{int64_t{1} << 40, int64_t{1} << 40}; }), HasSubstr("overflows"));
  EXPECT_THAT(test::failure([] { Shape{1, 1, 1, 1, 1, 1, 1}; }), HasSubstr("at most 6"));
}

TEST(Tensor, BuffersAreAlignedSharedAndTyped) {
  for (int64_t count : {0, 1, 7, 1000, 1 << 20}) {
    const Tensor tensor = Tensor::empty({count});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.raw()) % 64, 0u);
  }
  Tensor tensor = Tensor::zeros({2, 3});
  const Tensor alias = tensor;
  tensor.f32()[4] = 5.0f;
  EXPECT_EQ(alias.f32()[4], 5.0f);
  EXPECT_EQ(tensor.clone().f32()[4], 5.0f);
  EXPECT_NE(tensor.clone().raw(), tensor.raw());
  EXPECT_THAT(test::failure([&] { tensor.data<int64_t>(); }), HasSubstr("asked for i64 of a tensor of f32"));
}

TEST(Tensor, ViewsAndSlicesShareTheBuffer) {
  const Tensor tensor = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {3, 2});
  const Tensor rows = tensor.slice(1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 2}));
  EXPECT_EQ(rows.f32()[0], 2.0f);
  EXPECT_EQ(tensor.view({6}).f32(), tensor.f32());
  EXPECT_THAT(test::failure([&] { tensor.view({4}); }), HasSubstr("[3, 2] cannot be viewed as [4]"));
  EXPECT_THAT(test::failure([&] { tensor.slice(2, 4); }), HasSubstr("slice [2, 4)"));
}

TEST(Tensor, WrapKeepsTheOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(4, 1.5f);
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor tensor = Tensor::wrap(owner->data(), {2, 2}, DType::f32, owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(tensor.f32()[3], 1.5f);
  tensor = {};
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, AnImpossibleAllocationIsAnErrorThatNamesTheSize) {
  EXPECT_THAT(test::failure([] { Tensor::empty({int64_t{1} << 50}); }), HasSubstr("MiB could not be allocated"));
}

}  // namespace
}  // namespace vit
