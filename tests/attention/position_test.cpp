// Mechanisms that give self-attention positions: they are self-attention where their positions say nothing, and their
// definitions where they do.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_rotary.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

constexpr int64_t kHeight = 3, kWidth = 5, kPrefix = 2, kTokens = kPrefix + kHeight * kWidth;

AttentionShape shape(int64_t heads = 3) {
  return {.dim = 8 * heads, .num_heads = heads, .grid = {kHeight, kWidth}, .prefix_tokens = kPrefix};
}

/// Self-attention from the projection on, with a bias [1, H, N, N].
Plain plain_self(MechanismCheck& check, const Plain& qkv, const Plain& bias, size_t heads) {
  const auto part = [&](size_t i) { return plain::slice<double>(qkv, 2, i * 8 * heads, (i + 1) * 8 * heads); };
  return check.linear(plain::multihead_attention<double>(part(0), part(1), part(2), bias, heads, 1.0 / std::sqrt(8.0)),
                      "proj");
}

Plain zero_bias() { return xt::zeros<double>({1, 1, static_cast<int>(kTokens), static_cast<int>(kTokens)}); }

/// Row and column of a token of the grid.
struct Place {
  int64_t row, column;
};
Place place_of(int64_t token) { return {(token - kPrefix) / kWidth, (token - kPrefix) % kWidth}; }

/// The mechanism equals "self" with the same parameters.
void expect_self(MechanismCheck& check, const AttentionShape& at) {
  MechanismCheck self("self", at);
  test::copy_parameters(check, self);
  test::expect_near(check.run(), self.run());
}

// ---- rope ----

Plain rope_angles(double temperature, double stretch_rows, double stretch_columns) {
  Plain angles = xt::zeros<double>({static_cast<size_t>(kHeight * kWidth), size_t{4}});
  for (int64_t n = 0; n < kHeight * kWidth; ++n)
    for (size_t i = 0; i < 4; ++i) {
      const Place place = place_of(n + kPrefix);
      const double at =
          i < 2 ? static_cast<double>(place.row) * stretch_rows : static_cast<double>(place.column) * stretch_columns;
      angles(static_cast<size_t>(n), i) = at * std::pow(temperature, -static_cast<double>(i % 2) / 2.0);
    }
  return angles;
}

TEST(Rope, EqualsItsDefinition) {
  for (const bool stretched : {false, true}) {
    MechanismCheck check(
        stretched ? "{type: rope, temperature: 20, reference: [6, 4]}" : "{type: rope, temperature: 20}", shape());
    const Plain angles = stretched ? rope_angles(20.0, 6.0 / 3.0, 4.0 / 5.0) : rope_angles(20.0, 1.0, 1.0);
    const Plain qkv = plain::rotate_heads<double>(check.linear(check.plain_x(), "qkv"), 0, 6, Plain(xt::sin(angles)),
                                                  Plain(xt::cos(angles)));
    test::expect_near(check.run(), plain_self(check, qkv, zero_bias(), 3));
    check.expect_slopes();
  }
}

TEST(Rope, OnOnePatchIsSelfAttention) {
  const AttentionShape one{.dim = 24, .num_heads = 3, .grid = {1, 1}, .prefix_tokens = 4};
  MechanismCheck check("rope", one);
  expect_self(check, one);
}

TEST(Rope, FollowsTheGrid) {
  // A mechanism built for another grid, told of this one before or only in the pass.
  AttentionShape other = shape();
  other.grid = {2, 2};
  MechanismCheck native("rope", shape()), told("rope", other), surprised("rope", other);
  for (MechanismCheck* check : {&told, &surprised}) test::copy_parameters(native, *check);
  told.mechanism().set_grid({kHeight, kWidth});
  Context ctx;
  for (MechanismCheck* check : {&told, &surprised})
    test::expect_near(check->mechanism().forward(ctx, native.x().clone(), native.input()).value(), native.run());
}

TEST(Rope, ScoresDependOnDifferences) {
  const AttentionShape at{.dim = 8, .num_heads = 1, .grid = {1, 6}};
  MechanismCheck check("rope", at, 1);
  // The same vector everywhere: only positions tell the tokens apart.
  Tensor x = Tensor::full({1, 6, 8}, 0.7f);
  Context ctx;
  struct Scores : Observer {
    bool wants(const std::string& name) override { return name == "scores"; }
    void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
    Tensor value;
  } scores;
  ctx.observer = &scores;
  check.mechanism().forward(ctx, x, check.input());
  for (int64_t n = 1; n < 6; ++n)
    for (int64_t m = 1; m < 6; ++m)
      EXPECT_NEAR(scores.value.f32()[n * 6 + m], scores.value.f32()[(n - 1) * 6 + m - 1], 1e-5);
}

TEST(Rope, NeedsHeadsOfFourths) {
  EXPECT_THAT(test::usage_error([] {
                MechanismCheck("rope", {.dim = 12, .num_heads = 2, .grid = {2, 2}});
              }),
              testing::HasSubstr("divisible by 4"));
}

// ---- alibi ----

TEST(Alibi, EqualsItsDefinition) {
  const std::map<std::string, double (*)(double, double)> distances = {
      {"euclidean", [](double a, double b) { return std::sqrt(a * a + b * b); }},
      {"manhattan", [](double a, double b) { return a + b; }},
      {"chebyshev", [](double a, double b) { return std::max(a, b); }}};
  // The paper's slopes for 3 heads: those of 2, and the first of 4.
  const double slopes[] = {1.0 / 16, 1.0 / 256, 1.0 / 4};
  for (const auto& [name, distance] : distances) {
    MechanismCheck check("{type: alibi, slope: 2, distance: " + name + "}", shape());
    Plain bias = xt::zeros<double>({1, 3, static_cast<int>(kTokens), static_cast<int>(kTokens)});
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t n = kPrefix; n < kTokens; ++n)
        for (int64_t m = kPrefix; m < kTokens; ++m) {
          const Place a = place_of(n), b = place_of(m);
          bias(0, h, n, m) = -2.0 * slopes[h] *
                             distance(static_cast<double>(std::abs(a.row - b.row)),
                                      static_cast<double>(std::abs(a.column - b.column)));
        }
    test::expect_near(check.run(), plain_self(check, check.linear(check.plain_x(), "qkv"), bias, 3), name);
    check.expect_slopes();
  }
}

TEST(Alibi, WithoutSlopesIsSelfAttention) {
  MechanismCheck check("{type: alibi, slope: 0}", shape());
  expect_self(check, shape());
}

TEST(Alibi, AddsTheBiasOfTheInput) {
  MechanismCheck check("{type: alibi, slope: 0}", shape()), self("self", shape());
  test::copy_parameters(check, self);
  const Tensor bias = random_tensor({3, kTokens, kTokens}, 9);
  check.input().bias = bias;
  self.input().bias = bias;
  test::expect_near(check.run(), self.run());
}

TEST(Alibi, FollowsTheGrid) {
  AttentionShape other = shape();
  other.grid = {2, 2};
  MechanismCheck native("alibi", shape()), told("alibi", other), surprised("alibi", other);
  for (MechanismCheck* check : {&told, &surprised}) test::copy_parameters(native, *check);
  told.mechanism().set_grid({kHeight, kWidth});
  Context ctx;
  for (MechanismCheck* check : {&told, &surprised})
    test::expect_near(check->mechanism().forward(ctx, native.x().clone(), native.input()).value(), native.run());
}

// ---- relative_position ----

constexpr const char* kTable = "relative_position_bias_table";

/// The bias that BEiT's table [(2h-1)(2w-1) + 3, H] stands for.
Plain plain_relative_bias(const Plain& table, size_t heads) {
  Plain bias = xt::zeros<double>({size_t{1}, heads, static_cast<size_t>(kTokens), static_cast<size_t>(kTokens)});
  constexpr int64_t kRows = (2 * kHeight - 1) * (2 * kWidth - 1);
  for (int64_t n = 0; n < kTokens; ++n)
    for (int64_t m = 0; m < kTokens; ++m) {
      const Place a = place_of(n), b = place_of(m);
      int64_t row = (a.row - b.row + kHeight - 1) * (2 * kWidth - 1) + a.column - b.column + kWidth - 1;
      if (n < kPrefix) row = kRows;
      if (m < kPrefix) row = kRows + (n < kPrefix ? 2 : 1);
      for (size_t h = 0; h < heads; ++h) bias(0, h, n, m) = table(row, h);
    }
  return bias;
}

TEST(RelativePosition, EqualsItsDefinition) {
  MechanismCheck check("relative_position", shape());
  test::expect_near(check.run(), plain_self(check, check.linear(check.plain_x(), "qkv"),
                                            plain_relative_bias(check.parameter(kTable), 3), 3));
  check.expect_slopes();
  check.expect_prepared_equals_plain();
}

TEST(RelativePosition, WithATableOfZerosIsSelfAttention) {
  AttentionShape patches_only = shape();
  patches_only.prefix_tokens = 0;
  for (const AttentionShape& at : {shape(), patches_only}) {
    MechanismCheck check("relative_position", at);
    check.set_parameter(kTable, Tensor::zeros({5 * 9 + (at.prefix_tokens > 0 ? 3 : 0), 3}));
    expect_self(check, at);
  }
}

TEST(RelativePosition, ResamplesItsTableForAnotherGrid) {
  AttentionShape other = shape();
  other.grid = {4, 3};
  MechanismCheck in_pass("relative_position", shape()), at_once("relative_position", shape()), larger("self", other);
  test::copy_parameters(in_pass, at_once);
  at_once.mechanism().set_grid(other.grid);
  EXPECT_EQ(at_once.parameter(kTable).shape(0), 7u * 5u + 3u);
  const auto run_on_other = [&](MechanismCheck& check) {
    Context ctx;
    return check.mechanism().forward(ctx, larger.x().clone(), larger.input()).value().clone();
  };
  const Tensor resampled = run_on_other(in_pass);
  test::expect_near(run_on_other(at_once), resampled);
  // Prepared for one grid, and then told of the other.
  MechanismCheck prepared("relative_position", shape());
  test::copy_parameters(in_pass, prepared);
  prepared.expect_prepared_equals_plain();
  prepared.mechanism().set_grid(other.grid);
  test::expect_near(run_on_other(prepared), resampled);
  // A table that is the same everywhere has the same bias everywhere, which the softmax does not see.
  in_pass.set_parameter(kTable, Tensor::full({5 * 9 + 3, 3}, 2.0f));
  test::copy_parameters(in_pass, larger);
  test::expect_near(run_on_other(in_pass), larger.run());
}

}  // namespace
}  // namespace vit
