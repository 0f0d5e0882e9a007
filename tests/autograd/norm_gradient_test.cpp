// Gradients of the normalisations against finite differences of their plain definitions; batch norm's statistics.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/plain_maps.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

/// Rows with means and scales of their own, then weight and bias.
std::vector<Tensor> norm_inputs(const Shape& shape, int64_t cols, bool weight, bool bias) {
  std::vector<Tensor> inputs = {random_tensor(shape, 1, 1.5f, 0.7f)};
  if (weight) inputs.push_back(random_tensor({cols}, 2, 1.0f, 1.0f));
  if (bias) inputs.push_back(random_tensor({cols}, 3));
  return inputs;
}

Plain or_one(const std::vector<Plain>& v, size_t at) { return at < v.size() ? v[at] : Plain(1.0); }
Plain or_zero(const std::vector<Plain>& v, size_t at) { return at < v.size() ? v[at] : Plain(0.0); }
Var or_none(const std::vector<Var>& v, size_t at) { return at < v.size() ? v[at] : Var(); }

GradientCase row_case(const std::string& name, int64_t rows, int64_t cols, bool rms, bool affine, bool oracle = true) {
  GradientCase op{.name = str(rms ? "rms_" : "layer_", name),
                  .inputs = norm_inputs({rows, cols}, cols, affine, affine && !rms)};
  op.run = [rms](Context& ctx, const std::vector<Var>& v) {
    return rms ? rms_norm(ctx, v[0], or_none(v, 1), 1e-5f) : layer_norm(ctx, v[0], or_none(v, 1), or_none(v, 2), 1e-5f);
  };
  if (oracle)
    op.plain = [rms](const std::vector<Plain>& v) {
      return rms ? plain::rms_norm<double>(v[0], or_one(v, 1), 1e-5)
                 : plain::layer_norm<double>(v[0], or_one(v, 1), or_zero(v, 2), 1e-5);
    };
  return op;
}

struct HeadSizes {
  int64_t first, heads, dim, width;
};

GradientCase head_case(const std::string& name, const HeadSizes& s, bool rms) {
  GradientCase op{.name = str("head_", rms ? "rms_" : "layer_", name),
                  .inputs = norm_inputs({2, 5, s.width}, s.dim, true, !rms)};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return head_norm(ctx, {v[0], s.first}, s.heads, s.dim, v[1], or_none(v, 2), 1e-5f, rms);
  };
  op.plain = [=](const std::vector<Plain>& v) {
    const Plain rows = plain::reshaped<double>(v[0], {10, static_cast<size_t>(s.width)});
    return plain::head_norm<double>(rows, static_cast<size_t>(s.first), static_cast<size_t>(s.heads), v[1],
                                    or_zero(v, 2), 1e-5, rms);
  };
  return op;
}

Tensor positive(const Shape& shape, uint64_t stream) {
  Tensor tensor = random_tensor(shape, stream);
  for (float& value : tensor.span<float>()) value = 0.5f + value * value;
  return tensor;
}

GradientCase batch_norm_case(const std::string& name, const Shape& shape, bool training, bool affine,
                             bool oracle = true) {
  const int64_t channels = shape[-1];
  GradientCase op{.name = str("batch_", training ? "training_" : "eval_", name),
                  .inputs = norm_inputs(shape, channels, affine, affine),
                  .training = training};
  const Tensor mean = random_tensor({channels}, 4), variance = positive({channels}, 5);
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return batch_norm(ctx, v[0], or_none(v, 1), or_none(v, 2), {mean.clone(), variance.clone()});
  };
  const std::vector<size_t> matrix = {static_cast<size_t>(shape.rows()), static_cast<size_t>(channels)};
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      const Plain x = plain::reshaped<double>(v[0], matrix);
      return training ? plain::batch_norm<double>(x, or_one(v, 1), or_zero(v, 2), 1e-5)
                      : plain::batch_norm_with<double>(x, or_one(v, 1), or_zero(v, 2), test::wide(mean),
                                                       test::wide(variance), 1e-5);
    };
  return op;
}

GradientCase group_norm_case(const std::string& name, const Shape& shape, int64_t groups, bool affine,
                             bool oracle = true) {
  const int64_t channels = shape[-1];
  GradientCase op{.name = "group_" + name, .inputs = norm_inputs(shape, channels, affine, affine)};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return group_norm(ctx, v[0], or_none(v, 1), or_none(v, 2), groups, 1e-5f);
  };
  const std::vector<size_t> rows = {static_cast<size_t>(shape[0]), static_cast<size_t>(shape.rows() / shape[0]),
                                    static_cast<size_t>(channels)};
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      return plain::group_norm<double>(plain::reshaped<double>(v[0], rows), or_one(v, 1), or_zero(v, 2),
                                       static_cast<size_t>(groups), 1e-5);
    };
  return op;
}

std::vector<GradientCase> cases() {
  std::vector<GradientCase> all;
  for (const bool rms : {false, true}) {
    all.push_back(row_case("7x19", 7, 19, rms, true));
    all.push_back(row_case("3x33_plain", 3, 33, rms, false));
    all.push_back(row_case("70x5", 70, 5, rms, true));  // more than one part of rows
    all.push_back(row_case("large", 1000, 65, rms, true, false));
    all.push_back(head_case("inner", {6, 2, 5, 24}, rms));
    all.push_back(head_case("first", {0, 3, 4, 36}, rms));
    all.push_back(head_case("whole_row", {0, 1, 7, 7}, rms));
  }
  for (const bool training : {true, false}) {
    all.push_back(batch_norm_case("maps", {2, 3, 4, 5}, training, true));
    all.push_back(batch_norm_case("rows_plain", {9, 6}, training, false));
    all.push_back(batch_norm_case("large", {4, 20, 30, 17}, training, true, false));
  }
  all.push_back(group_norm_case("maps", {2, 3, 4, 6}, 3, true));
  all.push_back(group_norm_case("one_group", {3, 5, 4}, 1, true));
  all.push_back(group_norm_case("instance_plain", {2, 7, 3}, 3, false));
  all.push_back(group_norm_case("large", {3, 20, 30, 16}, 4, true, false));
  return all;
}

VITKIT_GRADIENT_TESTS(NormGradient, cases());

TEST(BatchNorm, RunningStatisticsMoveTowardsTheBatch) {
  const Tensor x = random_tensor({4, 3, 5}, 6, 2.0f, 1.0f);
  const RunningStatistics running{Tensor::full({5}, 0.25f), Tensor::full({5}, 3.0f)};
  Context ctx;
  ctx.training = true;
  batch_norm(ctx, x, {}, {}, running, {.momentum = 0.3f});
  const Plain rows = plain::reshaped<double>(test::wide(x), {12, 5});
  const Plain mean = xt::mean(rows, {0});
  const Plain centred = rows - mean;
  const Plain unbiased = xt::sum(xt::square(centred), {0}) / 11.0;  // torch: the running variance is the unbiased one
  for (size_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(running.mean.f32()[c], 0.7 * 0.25 + 0.3 * mean(c), 1e-6);
    EXPECT_NEAR(running.variance.f32()[c], 0.7 * 3.0 + 0.3 * unbiased(c), 2e-6);
  }
}

TEST(BatchNorm, StatisticsStayWhereAPassIsOnlyTried) {
  const Tensor x = random_tensor({4, 3, 5}, 6);
  const RunningStatistics running{Tensor::zeros({5}), Tensor::full({5}, 1.0f)};
  Context ctx;
  batch_norm(ctx, x, {}, {}, running);  // not training
  ctx.training = true;
  ctx.update_statistics = false;
  batch_norm(ctx, x, {}, {}, running);
  EXPECT_TRUE(test::same_bits(running.mean, Tensor::zeros({5})));
  EXPECT_TRUE(test::same_bits(running.variance, Tensor::full({5}, 1.0f)));
}

TEST(BatchNorm, CheckpointingMovesStatisticsOnce) {
  const Tensor x = random_tensor({4, 3, 5}, 6);
  const auto statistics = [&](bool nested) {
    const RunningStatistics running{Tensor::zeros({5}), Tensor::full({5}, 1.0f)};
    Context ctx;
    Tape tape(ctx);
    ctx.tape = &tape;
    ctx.training = true;
    const auto norm = [&](Context& inner, const Var& in) { return batch_norm(inner, in, {}, {}, running); };
    const auto twice = [&](Context& inner, const Var& in) { return checkpoint(inner, norm, in); };
    const Var y = nested ? checkpoint(ctx, twice, Var::leaf(x)) : norm(ctx, Var::leaf(x));
    tape.backward(y, random_tensor(y.shape(), 7));
    EXPECT_TRUE(ctx.update_statistics);
    return running;
  };
  const RunningStatistics once = statistics(false), checkpointed = statistics(true);
  EXPECT_TRUE(test::same_bits(once.mean, checkpointed.mean));
  EXPECT_TRUE(test::same_bits(once.variance, checkpointed.variance));
}

TEST(NormsOfMaps, ErrorsNameTheOpAndTheShape) {
  Context ctx;
  const RunningStatistics running{Tensor::zeros({5}), Tensor::zeros({5})};
  const Tensor x = random_tensor({1, 5}, 8);
  EXPECT_THAT(test::failure([&] {
                batch_norm(ctx, random_tensor({2, 4}, 8), {}, {}, running);
              }),
              testing::AllOf(testing::HasSubstr("batch_norm"), testing::HasSubstr("[4]")));
  EXPECT_THAT(test::failure([&] { batch_norm(ctx, x, Tensor::zeros({3}), {}, running); }),
              testing::HasSubstr("batch_norm: weight must be [5], got [3]"));
  ctx.training = true;
  EXPECT_THAT(test::failure([&] { batch_norm(ctx, x, {}, {}, running); }),
              testing::HasSubstr("more than one value per channel, got [1, 5]"));
  EXPECT_THAT(test::failure([&] { group_norm(ctx, x, {}, {}, 2, 1e-5f); }),
              testing::HasSubstr("5 channels cannot be divided into 2 groups"));
}

}  // namespace
}  // namespace vit
