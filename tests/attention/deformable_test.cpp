// Deformable attention against its sampling definition, on its own grid and on the maps of a memory.
#include "vit/attention/deformable.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_deformable.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

constexpr size_t kHeads = 2, kDim = 6;
using Maps = std::vector<std::array<int64_t, 2>>;

/// As the paper's equation 3 reads, for queries [B, T, C] on values that were projected already.
Plain plain_look(MechanismCheck& check, const Plain& queries, const Plain& reference, const Plain& value,
                 const Maps& maps, size_t points) {
  const size_t batch = queries.shape(0), asking = queries.shape(1), samples = maps.size() * points;
  const Plain scores =
      plain::reshaped<double>(check.linear(queries, "attention_weights"), {batch * asking * kHeads, samples});
  const Plain weights = plain::reshaped<double>(plain::softmax<double>(scores), {batch, asking, kHeads * samples});
  const Plain offsets = check.linear(queries, "sampling_offsets");
  return check.linear(plain::deformable_attention<double>(value, reference, offsets, weights, kHeads, points, maps),
                      "output_proj");
}

TEST(DeformableAttention, LooksAroundTheCellsOfItsGrid) {
  MechanismCheck check("{type: deformable, points: 3}", {.dim = kDim, .num_heads = kHeads, .grid = {3, 4}});
  Plain centres = xt::zeros<double>({1, 12, 1, 2});
  for (size_t cell = 0; cell < 12; ++cell) {
    centres(0, cell, 0, 0) = (static_cast<double>(cell % 4) + 0.5) / 4.0;
    centres(0, cell, 0, 1) = (static_cast<double>(cell / 4) + 0.5) / 3.0;
  }
  const Plain x = check.plain_x();
  const Plain want = plain_look(check, x, centres, check.linear(x, "value_proj"), {{3, 4}}, 3);
  test::expect_near(check.run(), want);
  // What observers see are the rows that mix the values.
  const Plain probs = test::wide(check.observed("probs")), value = check.linear(x, "value_proj");
  Plain mixed = xt::zeros<double>({2, 12, 6});
  for (size_t b = 0; b < 2; ++b)
    for (size_t h = 0; h < kHeads; ++h) {
      const Plain rows = xt::view(probs, b, h), of_head = xt::view(value, b, xt::all(), xt::range(h * 3, h * 3 + 3));
      xt::view(mixed, b, xt::all(), xt::range(h * 3, h * 3 + 3)) = plain::matmul<double>(rows, of_head);
    }
  test::expect_near(check.run(), check.linear(mixed, "output_proj"));
  check.input().wanted_tokens = 5;
  test::expect_near(check.run(), plain::slice<double>(want, 1, 0, 5));
}

TEST(DeformableAttention, LooksAtBoxesOfAMemory) {
  MechanismCheck check("{type: deformable, points: 2, levels: 2}",
                       {.dim = kDim, .num_heads = kHeads, .grid = {1, 4}, .memory_dim = 5});
  const auto& mechanism = dynamic_cast<DeformableAttention&>(check.mechanism());
  const Tensor boxes = random_tensor({2, 4, 2, 4}, 3, 0.1f, 0.5f), memory = check.input().memory.value();
  Tensor mask = Tensor::zeros({2, 9});
  mask.f32()[2] = mask.f32()[9 + 7] = -std::numeric_limits<float>::infinity();
  Plain value = check.linear(test::wide(memory), "value_proj");
  xt::view(value, 0, 2) = 0.0;
  xt::view(value, 1, 7) = 0.0;
  Context ctx;
  const Var y = mechanism.look(ctx, check.x(),
                               {.reference = boxes, .memory = memory, .grids = {{3, 2}, {1, 3}}, .memory_mask = mask});
  test::expect_near(y.value(), plain_look(check, check.plain_x(), test::wide(boxes), value, {{3, 2}, {1, 3}}, 2));
  EXPECT_THAT(test::failure([&] {
                mechanism.look(ctx, check.x(), {.reference = boxes, .memory = memory, .grids = {{3, 3}}});
              }),
              testing::HasSubstr("built for 2 maps, given 1"));
}

TEST(DeformableAttention, SeveralLevelsNeedAMemory) {
  EXPECT_THAT(test::usage_error([] {
                MechanismCheck("{type: deformable, levels: 2}", {.dim = kDim, .num_heads = kHeads, .grid = {3, 4}});
              }),
              testing::HasSubstr("set levels: 1"));
}

}  // namespace
}  // namespace vit
