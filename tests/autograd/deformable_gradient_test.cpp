// Multi-scale deformable attention against its sampling definition, value and gradients: one map and several, points
// and boxes as references, positions outside the maps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/deformable.h"
#include "vit/autograd/plain_deformable.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

struct Sizes {
  int64_t batch, queries;
  DeformableOptions options;
  int64_t coordinates = 2;
  bool shared_reference = false;
};

int64_t cells(const DeformableOptions& options) {
  int64_t sum = 0;
  for (const auto& map : options.maps) sum += map[0] * map[1];
  return sum;
}

/// Whether a position lies so near a row or column of cells that a difference would reach across: the slope of the
/// interpolation jumps there.
bool near_a_kink(const Tensor& reference, const Tensor& offsets, const Sizes& s) {
  constexpr double kReach = 0.004;
  const DeformableOptions& o = s.options;
  const auto levels = static_cast<int64_t>(o.maps.size()), samples = o.heads * levels * o.points;
  for (int64_t i = 0; i < offsets.numel(); ++i) {
    const int64_t axis = i % 2, sample = i / 2 % samples, query = i / 2 / samples;
    const int64_t level = sample / o.points % levels;
    const float* place =
        reference.f32() + ((s.shared_reference ? query % s.queries : query) * levels + level) * s.coordinates;
    const auto extent = static_cast<double>(o.maps[static_cast<size_t>(level)][axis == 0 ? 1 : 0]);
    const double step = s.coordinates == 4 ? place[2 + axis] * extent / (2.0 * static_cast<double>(o.points)) : 1.0;
    const double position = place[axis] * extent + offsets.f32()[i] * step - 0.5;
    if (std::abs(position - std::round(position)) < kReach) return true;
  }
  return false;
}

/// References around the maps' middle, some outside; offsets of a few cells.
GradientCase deformable(const std::string& name, const Sizes& s, bool oracle = true) {
  const DeformableOptions& o = s.options;
  const auto levels = static_cast<int64_t>(o.maps.size()), samples = o.heads * levels * o.points;
  GradientCase op{.name = name};
  for (uint64_t stream = 1; op.inputs.empty() || (oracle && near_a_kink(op.inputs[1], op.inputs[2], s)); stream += 4)
    op.inputs = {
        random_tensor({s.batch, cells(o), o.heads * o.head_dim}, stream),
        random_tensor({s.shared_reference ? 1 : s.batch, s.queries, levels, s.coordinates}, stream + 1, 0.3f, 0.5f),
        random_tensor({s.batch, s.queries, samples * 2}, stream + 2, 1.5f),
        random_tensor({s.batch, s.queries, samples}, stream + 3)};
  op.run = [o](Context& ctx, const std::vector<Var>& v) {
    return deformable_attention(ctx, v[0], v[1], v[2], v[3], o);
  };
  if (oracle)
    op.plain = [o](const std::vector<Plain>& v) {
      return plain::deformable_attention<double>(v[0], v[1], v[2], v[3], static_cast<size_t>(o.heads),
                                                 static_cast<size_t>(o.points), o.maps);
    };
  return op;
}

std::vector<GradientCase> cases() {
  return {
      deformable("one_cell", {1, 1, {1, 1, 1, {{1, 1}}}}),
      deformable("one_map", {2, 3, {2, 3, 2, {{4, 5}}}}),
      deformable("maps", {2, 3, {2, 3, 2, {{4, 5}, {3, 2}, {1, 1}}}}),
      deformable("boxes", {2, 3, {2, 3, 4, {{4, 5}, {3, 2}}}, 4}),
      deformable("shared_reference", {3, 4, {1, 2, 3, {{3, 4}}}, 2, true}),
      deformable("shared_boxes", {2, 4, {1, 2, 3, {{3, 4}}}, 4, true}),
      deformable("wide_heads", {1, 2, {2, 19, 2, {{4, 3}}}}),
      deformable("large", {2, 60, {8, 32, 4, {{20, 15}, {10, 8}}}}, false),
  };
}

VITKIT_GRADIENT_TESTS(DeformableGradient, cases());

TEST(DeformableAttention, PositionsThatAreNoNumbersSeeZeros) {
  Context ctx;
  const DeformableOptions options{1, 2, 1, {{2, 2}}};
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e30f}) {
    const Var y = deformable_attention(ctx, Tensor::full({1, 4, 2}, 1.0f), Tensor::full({1, 1, 1, 2}, 0.5f),
                                       Tensor::full({1, 1, 2}, bad), Tensor::full({1, 1, 1}, 1.0f), options);
    for (const float value : y.value().span<float>()) EXPECT_EQ(value, 0.0f);
  }
}

TEST(DeformableAttention, RefusesShapesThatDoNotMatch) {
  Context ctx;
  const Tensor value = Tensor::zeros({1, 4, 2}), reference = Tensor::zeros({1, 3, 1, 2});
  const Tensor offsets = Tensor::zeros({1, 3, 2}), weights = Tensor::zeros({1, 3, 1});
  const auto message = [&](const Tensor& v, const Tensor& r, const Tensor& o, const DeformableOptions& options) {
    return test::failure([&] { deformable_attention(ctx, v, r, o, weights, options); });
  };
  EXPECT_THAT(message(value, reference, offsets, {1, 2, 1, {{2, 3}}}), testing::HasSubstr("6 cells, value has 4"));
  EXPECT_THAT(message(value, Tensor::zeros({1, 3, 1, 3}), offsets, {1, 2, 1, {{2, 2}}}),
              testing::HasSubstr("2 or 4], got [1, 3, 1, 3]"));
  EXPECT_THAT(message(value, reference, Tensor::zeros({1, 3, 4}), {1, 2, 1, {{2, 2}}}),
              testing::HasSubstr("weights and offsets must be [1, 3, 1] and [1, 3, 2]"));
}

}  // namespace
}  // namespace vit
