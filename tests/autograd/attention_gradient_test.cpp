// Gradients of attention against finite differences of its plain definition: every form of the bias, and queries, keys
// and values in one tensor or in several.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

struct Sizes {
  int64_t batch, queries, keys, heads, dim;
  int64_t width() const { return heads * dim; }
  float scale() const { return 0.7f; }
};

AttentionOptions options_of(const Sizes& s, const Var& bias) { return {s.heads, s.dim, s.scale(), bias}; }

/// bias as [B or 1, H or 1, R, Nk] (or without its first axis), cut to the rows that are read.
Plain bias4(const Plain& bias, const Sizes& s) {
  Plain whole = bias;
  if (bias.dimension() == 3) whole = plain::reshaped<double>(bias, {1, bias.shape(0), bias.shape(1), bias.shape(2)});
  const auto rows = std::min(whole.shape(2), static_cast<size_t>(s.queries));
  return plain::slice<double>(whole, 2, 0, rows);
}

Plain plain_attention(const Sizes& s, const Plain& q, const Plain& k, const Plain& v, const Plain& bias) {
  return plain::multihead_attention<double>(q, k, v, bias4(bias, s), static_cast<size_t>(s.heads),
                                            static_cast<double>(s.scale()));
}

const Plain& no_bias() {
  static const Plain zero = xt::zeros<double>({1, 1, 1, 1});
  return zero;
}

/// Three tensors, and a bias where its shape has axes.
GradientCase separate(const std::string& name, const Sizes& s, const Shape& bias, bool oracle = true) {
  GradientCase op{
      .name = name,
      .inputs = {random_tensor({s.batch, s.queries, s.width()}, 1), random_tensor({s.batch, s.keys, s.width()}, 2),
                 random_tensor({s.batch, s.keys, s.width()}, 3)}};
  if (bias.rank() > 0) op.inputs.push_back(random_tensor(bias, 4));
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return attention(ctx, {v[0], 0}, {v[1], 0}, {v[2], 0}, options_of(s, v.size() > 3 ? v[3] : Var()));
  };
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      return plain_attention(s, v[0], v[1], v[2], v.size() > 3 ? v[3] : no_bias());
    };
  return op;
}

/// One tensor [B, N, width] with queries, keys and values at these columns; columns that nobody reads have gradient 0.
GradientCase packed(const std::string& name, const Sizes& s, int64_t width, const std::array<int64_t, 3>& firsts) {
  GradientCase op{.name = name, .inputs = {random_tensor({s.batch, s.keys, width}, 5)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return attention(ctx, {v[0], firsts[0]}, {v[0], firsts[1]}, {v[0], firsts[2]}, options_of(s, {}));
  };
  op.plain = [=](const std::vector<Plain>& v) {
    const auto columns = [&](int64_t first) {
      return plain::slice<double>(v[0], 2, static_cast<size_t>(first), static_cast<size_t>(first + s.width()));
    };
    return plain_attention(s, columns(firsts[0]), columns(firsts[1]), columns(firsts[2]), no_bias());
  };
  return op;
}

/// Masked keys get no gradient; a query that sees nothing gives none.
GradientCase masked() {
  const Sizes s{1, 4, 5, 2, 3};
  GradientCase op = separate("masked", s, {});
  Tensor mask = Tensor::zeros({1, 1, 4, 5});
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int64_t hidden : {1, 3, 7, 19}) mask.f32()[hidden] = -infinity;
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return attention(ctx, {v[0], 0}, {v[1], 0}, {v[2], 0}, options_of(s, mask));
  };
  op.plain = [=](const std::vector<Plain>& v) { return plain_attention(s, v[0], v[1], v[2], test::wide(mask)); };
  return op;
}

std::vector<GradientCase> cases() {
  const Sizes s{2, 3, 5, 2, 3};
  std::vector<GradientCase> all = {
      separate("one", {1, 1, 1, 1, 1}, {}),
      separate("cross", s, {}),
      separate("bias_all", s, {2, 2, 3, 5}),
      separate("bias_of_heads", s, {1, 2, 3, 5}),
      separate("bias_of_heads_rank3", s, {2, 3, 5}),
      separate("bias_of_samples", s, {2, 1, 3, 5}),
      separate("bias_of_rows", s, {1, 1, 3, 5}),
      separate("bias_of_keys", s, {2, 1, 1, 5}),
      separate("bias_of_keys_and_heads", s, {1, 2, 1, 5}),
      separate("bias_with_more_rows", s, {1, 2, 5, 5}),
      packed("packed", {2, 4, 4, 2, 3}, 18, {0, 6, 12}),
      packed("packed_other_order", {2, 4, 4, 2, 3}, 18, {12, 0, 6}),
      packed("packed_with_gaps", {1, 5, 5, 2, 2}, 15, {1, 5, 11}),
      packed("shared_keys_and_values", {2, 4, 4, 2, 3}, 12, {0, 6, 6}),
      packed("all_shared", {2, 4, 4, 2, 3}, 6, {0, 0, 0}),
      packed("overlapping", {1, 4, 4, 1, 4}, 8, {0, 2, 4}),
      masked(),
      separate("large", {3, 130, 70, 4, 20}, {}, false),
      separate("large_bias", {3, 37, 70, 4, 20}, {4, 37, 70}, false),
  };
  return all;
}

VITKIT_GRADIENT_TESTS(AttentionGradient, cases());

TEST(AttentionGradient, AQueryThatSeesNothingGivesZeros) {
  GradientCase op = masked();
  const Tensor mask = Tensor::full({1, 1, 4, 5}, -std::numeric_limits<float>::infinity());
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return attention(ctx, {v[0], 0}, {v[1], 0}, {v[2], 0}, {2, 3, 1.0f, mask});
  };
  const test::GradientRun run = test::run_case(op);
  for (const Tensor& gradient : run.gradients)
    for (const float value : gradient.span<float>()) EXPECT_EQ(value, 0.0f);
}

}  // namespace
}  // namespace vit
