// Mechanisms that look at groups of tokens of the grid (block, grid, axial, neighborhood) against plain attention with
// everything else hidden, and spatial_reduction against attention to a map that was made smaller by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "tests/support/model_gradients.h"
#include "vit/attention/block_grid.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using testing::HasSubstr;

constexpr int64_t kHeadDim = 4;
constexpr double kHidden = -1e30;

struct Place {
  int64_t row, column;
};

/// Where a mechanism is tried.
struct Site {
  Grid grid;
  int64_t prefix = 0, heads = 2;

  AttentionShape shape() const {
    return {.dim = heads * kHeadDim, .num_heads = heads, .grid = grid, .prefix_tokens = prefix};
  }
  int64_t tokens() const { return prefix + grid.count(); }
  Place place(int64_t token) const { return {(token - prefix) / grid.width, (token - prefix) % grid.width}; }
};

/// The bias of head h for a query that sees a key, or kHidden.
using PairBias = std::function<double(int64_t h, Place query, Place key)>;

/// [1, H, N, N]: what `pair` says between patches, and nothing hidden where a prefix token takes part.
Plain bias_of(const Site& site, const PairBias& pair) {
  Plain bias = xt::zeros<double>(std::vector<size_t>{
      1, static_cast<size_t>(site.heads), static_cast<size_t>(site.tokens()), static_cast<size_t>(site.tokens())});
  for (int64_t h = 0; h < site.heads; ++h)
    for (int64_t q = site.prefix; q < site.tokens(); ++q)
      for (int64_t k = site.prefix; k < site.tokens(); ++k)
        bias(0, static_cast<size_t>(h), static_cast<size_t>(q), static_cast<size_t>(k)) =
            pair(h, site.place(q), site.place(k));
  return bias;
}

/// Queries, keys or values from packed columns, which may lie head by head.
Plain part_of(const Plain& qkv, const Site& site, int64_t part, bool head_first) {
  const int64_t dim = site.heads * kHeadDim;
  if (!head_first)
    return plain::slice<double>(qkv, 2, static_cast<size_t>(part * dim), static_cast<size_t>((part + 1) * dim));
  Plain y = xt::zeros<double>({qkv.shape(0), qkv.shape(1), static_cast<size_t>(dim)});
  for (int64_t h = 0; h < site.heads; ++h)
    xt::view(y, xt::all(), xt::all(), xt::range(h * kHeadDim, (h + 1) * kHeadDim)) = plain::slice<double>(
        qkv, 2, static_cast<size_t>((3 * h + part) * kHeadDim), static_cast<size_t>((3 * h + part + 1) * kHeadDim));
  return y;
}

Plain expected(MechanismCheck& check, const Site& site, const PairBias& pair, bool head_first = false) {
  const Plain qkv = check.linear(check.plain_x(), "qkv");
  return check.linear(
      plain::multihead_attention<double>(
          part_of(qkv, site, 0, head_first), part_of(qkv, site, 1, head_first), part_of(qkv, site, 2, head_first),
          bias_of(site, pair), static_cast<size_t>(site.heads), 1.0 / std::sqrt(static_cast<double>(kHeadDim))),
      "proj");
}

/// Values, gradients, fewer wanted tokens, packed weights, and probabilities that are zero where `pair` hides.
void expect_mechanism(const std::string& options, const Site& site,
                      const std::function<PairBias(MechanismCheck&)>& pair_of, bool head_first = false) {
  MechanismCheck check(options, site.shape());
  // Away from the kinks of ReLU, across which no difference is a slope (WindowBiasTest looks there).
  const std::string hidden_bias = "rel_pos.mlp.fc1.bias";
  if (check.has_parameter(hidden_bias)) {
    std::vector<float> far(check.parameter(hidden_bias).size());
    for (size_t i = 0; i < far.size(); ++i) far[i] = i % 3 == 1 ? -3.0f : 3.0f;
    check.set_parameter(hidden_bias, Tensor::from(far, {static_cast<int64_t>(far.size())}));
  }
  const PairBias pair = pair_of(check);
  const Plain want = expected(check, site, pair, head_first);
  test::expect_near(check.run(), want, options);
  check.expect_slopes();
  for (const int64_t wanted : {int64_t{1}, site.prefix + 2}) {
    check.input().wanted_tokens = wanted;
    test::expect_near(check.run(), plain::slice<double>(want, 1, 0, static_cast<size_t>(wanted)), options);
  }
  check.input().wanted_tokens = 0;
  const Tensor probs = check.observed("probs"), scores = check.observed("scores");
  const Plain bias = bias_of(site, pair);
  ASSERT_EQ(probs.shape(), (Shape{2, site.heads, site.tokens(), site.tokens()}));
  ASSERT_EQ(scores.shape(), probs.shape());
  for (int64_t i = 0; i < probs.numel(); ++i) {
    const bool hidden = bias.data()[i % static_cast<int64_t>(bias.size())] == kHidden;
    ASSERT_EQ(probs.f32()[i] == 0.0f, hidden) << options << " at " << i;
    ASSERT_EQ(std::isinf(scores.f32()[i]), hidden) << options << " at " << i;
  }
  check.expect_prepared_equals_plain();
}

// ---- block and grid ----

/// Same window of neighbours, and the ways inside it.
bool same_block(const Place& a, const Place& b, int64_t height, int64_t width) {
  return a.row / height == b.row / height && a.column / width == b.column / width;
}

/// The relative bias of a head for a way of so many rows and columns from key to query.
using Ways = std::function<double(int64_t h, int64_t rows, int64_t columns)>;

Ways table_ways(const Plain& table, int64_t height, int64_t width) {
  if (table.dimension() == 2)
    return [=](int64_t h, int64_t r, int64_t c) {
      return table(static_cast<size_t>((r + height - 1) * (2 * width - 1) + c + width - 1), static_cast<size_t>(h));
    };
  return [=](int64_t h, int64_t r, int64_t c) {  // TensorFlow's is from query to key
    return table(static_cast<size_t>(h), static_cast<size_t>(-r + height - 1), static_cast<size_t>(-c + width - 1));
  };
}

Ways mlp_ways(const Plain& w1, const Plain& b1, const Plain& w2, const Plain& b2) {
  const auto logged = [](int64_t way) {
    return std::copysign(std::log1p(std::abs(static_cast<double>(way))), static_cast<double>(way));
  };
  return [=](int64_t h, int64_t r, int64_t c) {
    const auto head = static_cast<size_t>(h);
    double sum = b2(head);
    for (size_t i = 0; i < b1.size(); ++i)
      sum += w2(head, i) * std::max(0.0, w1(i, 0) * logged(r) + w1(i, 1) * logged(c) + b1(i));
    return sum;
  };
}

/// Of a mechanism's parameters.
Ways way_bias(MechanismCheck& check, int64_t height, int64_t width) {
  const std::string table = "rel_pos.relative_position_bias_table", mlp = "rel_pos.mlp.";
  if (check.has_parameter(table)) return table_ways(check.parameter(table), height, width);
  if (!check.has_parameter(mlp + "fc1.weight")) return [](int64_t, int64_t, int64_t) { return 0.0; };
  return mlp_ways(check.parameter(mlp + "fc1.weight"), check.parameter(mlp + "fc1.bias"),
                  check.parameter(mlp + "fc2.weight"), check.parameter(mlp + "fc2.bias"));
}

struct PartitionForm {
  std::string name, options;
  Site site;
  bool head_first = false;
};

class PartitionTest : public testing::TestWithParam<PartitionForm> {};

TEST_P(PartitionTest, BlockIsAttentionWithinWindows) {
  const auto& [name, options, site, head_first] = GetParam();
  expect_mechanism(
      "{type: block, window: [2, 3], " + options + "}", site,
      [](MechanismCheck& check) -> PairBias {
        return [bias = way_bias(check, 2, 3)](int64_t h, Place q, Place k) {
          return same_block(q, k, 2, 3) ? bias(h, q.row - k.row, q.column - k.column) : kHidden;
        };
      },
      head_first);
}

TEST_P(PartitionTest, GridIsAttentionAcrossCells) {
  const auto& [name, options, site, head_first] = GetParam();
  const int64_t step_y = (site.grid.height + 1) / 2, step_x = (site.grid.width + 2) / 3;
  expect_mechanism(
      "{type: grid, window: [2, 3], " + options + "}", site,
      [&](MechanismCheck& check) -> PairBias {
        return [bias = way_bias(check, 2, 3), step_y, step_x](int64_t h, Place q, Place k) {
          if (q.row % step_y != k.row % step_y || q.column % step_x != k.column % step_x) return kHidden;
          return bias(h, q.row / step_y - k.row / step_y, q.column / step_x - k.column / step_x);
        };
      },
      head_first);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, PartitionTest,
    testing::Values(PartitionForm{"table", "rel_pos_type: bias", {{4, 6}}},
                    PartitionForm{"table_head_first", "head_first: true", {{4, 6}}, true},
                    PartitionForm{"tensorflow", "rel_pos_type: bias_tf, qkv_bias: false", {{6, 3}}},
                    PartitionForm{"mlp",
                                  "rel_pos_type: mlp, rel_pos_dim: 5, head_first: true, qkv_bias: false",
                                  {{4, 6}, 0, 3},
                                  true},
                    PartitionForm{"no_positions", "rel_pos_type: none, proj_bias: false", {{2, 3}}},
                    PartitionForm{"ragged", "rel_pos_type: bias", {{5, 7}}},
                    PartitionForm{"prefix", "rel_pos_type: bias", {{4, 6}, 2}},
                    PartitionForm{"prefix_ragged", "rel_pos_type: mlp, rel_pos_dim: 4", {{3, 4}, 1}}),
    [](const auto& item) { return item.param.name; });

TEST(Partition, WholeMapIsSelfAttentionWithABias) {
  const Site site{{3, 4}};
  const PartitionAttentionOptions options{.rel_pos_type = WindowBiasKind::bias};
  PartitionAttention attention(site.shape(), options, Partition::whole);
  test::fill_leaves(attention);
  MechanismCheck self("self", site.shape());
  attention.visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (self.has_parameter(name)) self.set_parameter(name, parameter.value.value());
  });
  // Self-attention given the same biases from outside.
  Tensor bias;
  attention.visit_modules([&](const std::string&, Module& module) {
    Context ctx;
    if (auto* found = dynamic_cast<WindowBias*>(&module)) bias = found->forward(ctx).value().clone();
  });
  ASSERT_EQ(bias.shape(), (Shape{2, 12, 12}));
  self.input().bias = bias;
  Context ctx;
  test::expect_near(attention.forward(ctx, self.x(), {.grid = site.grid}).value(), self.run());
  EXPECT_THAT(test::failure([&] { attention.forward(ctx, self.x(), {.grid = {4, 3}}); }), HasSubstr("3 x 4"));
  AttentionShape none = site.shape();
  none.grid = {};
  EXPECT_THAT(test::usage_error([&] { PartitionAttention(none, options, Partition::whole); }), HasSubstr("grid"));
}

TEST(Partition, RefusesWhatCannotWork) {
  const Site site{{4, 6}};
  const auto refused = [&](const std::string& options) {
    return test::usage_error([&] { MechanismCheck(options, site.shape()); });
  };
  EXPECT_THAT(refused("{type: block, window: [0, 3]}"), HasSubstr("window"));
  EXPECT_THAT(refused("{type: neighborhood, kernel_size: 4}"), HasSubstr("must be odd"));
  EXPECT_THAT(refused("{type: spatial_reduction, sr_ratio: 0}"), HasSubstr("sr_ratio"));
  MechanismCheck check("block", site.shape());
  check.input().bias = Tensor::zeros({1, 24, 24});
  EXPECT_THAT(test::usage_error([&] { check.run(); }), HasSubstr("takes no bias"));
}

// ---- axial ----

TEST(Axial, FirstHalfOfTheHeadsLooksAlongRows) {
  for (const Site& site : {Site{{3, 5}, 0, 2}, Site{{4, 2}, 2, 3}})
    expect_mechanism("axial", site, [&](MechanismCheck&) -> PairBias {
      return [rows = (site.heads + 1) / 2](int64_t h, Place q, Place k) {
        return (h < rows ? q.row == k.row : q.column == k.column) ? 0.0 : kHidden;
      };
    });
}

TEST(Axial, LayersOfOneHeadAlternate) {
  const Site site{{3, 4}, 0, 1};
  for (const int64_t layer : {0, 1}) {
    AttentionShape shape = site.shape();
    shape.layer = layer;
    MechanismCheck check("axial", shape);
    test::expect_near(check.run(), expected(check, site, [&](int64_t, Place q, Place k) {
                        return (layer == 0 ? q.row == k.row : q.column == k.column) ? 0.0 : kHidden;
                      }));
  }
}

// ---- neighborhood ----

int64_t window_start(int64_t position, int64_t length, int64_t kernel) {
  return std::max<int64_t>(0, std::min(position - kernel / 2, length - kernel));
}

bool in_window(int64_t query, int64_t key, int64_t length, int64_t kernel) {
  const int64_t start = window_start(query, length, kernel);
  return key >= start && key < start + kernel;
}

void expect_neighborhood(const Site& site, int64_t kernel, bool with_bias) {
  const auto side = static_cast<size_t>(2 * kernel - 1);
  expect_mechanism(
      str("{type: neighborhood, kernel_size: ", kernel, ", rel_pos_bias: ", with_bias ? "true" : "false", "}"), site,
      [&](MechanismCheck& check) -> PairBias {
        const Plain none = xt::zeros<double>({static_cast<size_t>(site.heads), side, side});
        const Plain rpb = with_bias ? check.parameter("rpb") : none;
        return [rpb, site, kernel](int64_t h, Place q, Place k) {
          if (!in_window(q.row, k.row, site.grid.height, kernel) ||
              !in_window(q.column, k.column, site.grid.width, kernel))
            return kHidden;
          return rpb(static_cast<size_t>(h), static_cast<size_t>(k.row - q.row + kernel - 1),
                     static_cast<size_t>(k.column - q.column + kernel - 1));
        };
      });
}

TEST(Neighborhood, EveryTokenSeesTheWindowAroundIt) {
  for (const bool with_bias : {true, false})
    for (const Site& site : {Site{{5, 6}}, Site{{2, 5}, 1}, Site{{3, 3}, 0, 3}, Site{{9, 14}}})
      expect_neighborhood(site, 3, with_bias);
  expect_neighborhood({{6, 11}, 2}, 5, true);
  expect_neighborhood({{4, 5}}, 1, true);
}

// ---- spatial_reduction ----

/// What keys and values are made from, in double.
Plain reduced_map(MechanismCheck& check, const Site& site, int64_t ratio, bool linear) {
  const Plain x = check.plain_x();
  const size_t batch = x.shape(0), channels = x.shape(2);
  const int64_t rows = linear ? 7 : std::max<int64_t>(1, site.grid.height / ratio);
  const int64_t cols = linear ? 7 : std::max<int64_t>(1, site.grid.width / ratio);
  const Plain weight = check.parameter("sr.weight"), bias = check.parameter("sr.bias");
  const Plain gamma = check.parameter("norm.weight"), beta = check.parameter("norm.bias");
  Plain y = xt::zeros<double>({batch, static_cast<size_t>(site.prefix + rows * cols), channels});
  for (size_t b = 0; b < batch; ++b) {
    for (int64_t p = 0; p < site.prefix; ++p)
      for (size_t c = 0; c < channels; ++c) y(b, static_cast<size_t>(p), c) = x(b, static_cast<size_t>(p), c);
    for (int64_t cell = 0; cell < rows * cols; ++cell) {
      Plain z = bias;
      // The tokens of a cell, and what each counts: taps of the convolution, or the same share for all and one tap.
      const auto from = [&](int64_t i, int64_t length) { return linear ? i * length / 7 : i * ratio; };
      const auto to = [&](int64_t i, int64_t length) { return linear ? ((i + 1) * length + 6) / 7 : (i + 1) * ratio; };
      // What is beyond a small map is zeros.
      const int64_t top = from(cell / cols, site.grid.height), left = from(cell % cols, site.grid.width);
      const int64_t bottom = std::min(to(cell / cols, site.grid.height), site.grid.height);
      const int64_t right = std::min(to(cell % cols, site.grid.width), site.grid.width);
      const double share = linear ? 1.0 / static_cast<double>((bottom - top) * (right - left)) : 1.0;
      for (int64_t r = top; r < bottom; ++r)
        for (int64_t s = left; s < right; ++s)
          for (size_t f = 0; f < channels; ++f)
            for (size_t c = 0; c < channels; ++c)
              z(f) +=
                  share *
                  weight(f, c, linear ? 0 : static_cast<size_t>(r - top), linear ? 0 : static_cast<size_t>(s - left)) *
                  x(b, static_cast<size_t>(site.prefix + r * site.grid.width + s), c);
      const double mean = xt::mean(z)(), variance = xt::mean(xt::square(z - mean))();
      for (size_t f = 0; f < channels; ++f) {
        const double normed = (z(f) - mean) / std::sqrt(variance + 1e-5) * gamma(f) + beta(f);
        y(b, static_cast<size_t>(site.prefix + cell), f) =
            linear ? 0.5 * normed * (1 + std::erf(normed / std::sqrt(2.0))) : normed;
      }
    }
  }
  return y;
}

TEST(SpatialReduction, LooksAtASmallerMap) {
  for (const bool linear : {false, true})
    for (const Site& site : {Site{{4, 6}}, Site{{5, 9}, 1}, Site{{1, 5}}}) {
      MechanismCheck check(
          linear ? "{type: spatial_reduction, linear: true}" : "{type: spatial_reduction, sr_ratio: 2}", site.shape());
      const Plain q = check.linear(check.plain_x(), "q"), kv = check.linear(reduced_map(check, site, 2, linear), "kv");
      const auto dim = static_cast<size_t>(site.heads * kHeadDim);
      const Plain none = xt::zeros<double>({1, 1, 1, 1});
      const Plain want =
          check.linear(plain::multihead_attention<double>(
                           q, plain::slice<double>(kv, 2, 0, dim), plain::slice<double>(kv, 2, dim, 2 * dim), none,
                           static_cast<size_t>(site.heads), 1.0 / std::sqrt(static_cast<double>(kHeadDim))),
                       "proj");
      test::expect_near(check.run(), want);
      check.expect_slopes();
      // Every token's probabilities are spread over all tokens and stay one in sum.
      const Tensor probs = check.observed("probs");
      ASSERT_EQ(probs.shape(), (Shape{2, site.heads, site.tokens(), site.tokens()}));
      for (int64_t row = 0; row < probs.numel() / site.tokens(); ++row) {
        double sum = 0.0;
        for (int64_t k = 0; k < site.tokens(); ++k) sum += probs.f32()[row * site.tokens() + k];
        ASSERT_NEAR(sum, 1.0, 1e-5);
      }
      check.input().wanted_tokens = 1;
      test::expect_near(check.run(), plain::slice<double>(want, 1, 0, 1));
      check.input().wanted_tokens = 0;
      check.expect_prepared_equals_plain();
    }
}

TEST(SpatialReduction, WithoutReductionIsSelfAttention) {
  const Site site{{3, 4}};
  MechanismCheck check("{type: spatial_reduction, sr_ratio: 1}", site.shape());
  const Plain q = check.linear(check.plain_x(), "q"), kv = check.linear(check.plain_x(), "kv");
  const Plain none = xt::zeros<double>({1, 1, 1, 1});
  test::expect_near(check.run(),
                    check.linear(plain::multihead_attention<double>(q, plain::slice<double>(kv, 2, 0, 8),
                                                                    plain::slice<double>(kv, 2, 8, 16), none, 2,
                                                                    1.0 / std::sqrt(static_cast<double>(kHeadDim))),
                                 "proj"));
}

// ---- window biases ----

constexpr std::array<int64_t, 2> kWindow{2, 3};

/// The bias as an op of its parameters, against its definition.
test::GradientCase bias_case(WindowBiasKind kind) {
  const auto module = std::make_shared<WindowBias>(WindowBiasOptions{kind, kWindow, 2, 6});
  std::vector<Tensor> inputs;
  module->visit_parameters([&](const std::string&, Parameter& parameter) {
    inputs.push_back(test::random_tensor(parameter.shape, 40 + inputs.size()));
  });
  const auto run = [module](Context& ctx, const std::vector<Var>& values) {
    size_t next = 0;
    module->visit_parameters([&](const std::string&, Parameter& parameter) { parameter.value = values[next++]; });
    return module->forward(ctx);
  };
  const auto defined = [kind](const std::vector<Plain>& values) {
    const Ways ways = kind == WindowBiasKind::mlp ? mlp_ways(values[0], values[1], values[2], values[3])
                                                  : table_ways(values[0], kWindow[0], kWindow[1]);
    Plain y = xt::zeros<double>({2, 6, 6});
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t q = 0; q < 6; ++q)
        for (int64_t k = 0; k < 6; ++k)
          y(static_cast<size_t>(h), static_cast<size_t>(q), static_cast<size_t>(k)) =
              ways(h, q / 3 - k / 3, q % 3 - k % 3);
    return y;
  };
  return {.name = enum_names(kind)[static_cast<size_t>(kind)].second, .inputs = inputs, .run = run, .plain = defined};
}

VITKIT_GRADIENT_TESTS(WindowBiasTest, (std::vector{bias_case(WindowBiasKind::bias), bias_case(WindowBiasKind::bias_tf),
                                                   bias_case(WindowBiasKind::mlp)}));

/// The tables that are kept for the native grid are those that a pass makes for it when the native grid is another.
TEST(GridTables, AreTheSameKeptOrMadeForAPass) {
  for (const char* options : {"neighborhood", "{type: region_routing, n_win: 3, topk: 2}",
                              "{type: agent, pool_size: 2, bias: false}", "{type: agent, pool_size: 2}"}) {
    for (const int64_t prefix : {0, 2}) {
      SCOPED_TRACE(str(options, ", ", prefix, " prefix tokens"));
      AttentionShape shape{.dim = 12, .num_heads = 3, .grid = {5, 7}, .prefix_tokens = prefix};
      MechanismCheck kept(options, shape);
      const Tensor want = kept.run();
      // Told another grid, it keeps tables of that one.
      kept.mechanism().set_grid({4, 9});
      const Tensor made = kept.run();
      EXPECT_TRUE(test::same_bits(made, want));
      kept.mechanism().set_grid(shape.grid);
      EXPECT_TRUE(test::same_bits(kept.run(), want));
    }
  }
}

TEST(WindowBias, AnotherWindowReadsBetweenTheOldWays) {
  // A window of 3 x 3 has ways of up to 2, one of 5 x 4 ways of up to 4 and 3. Of the old ways 0, 1, 1 + q the last is
  // put at 4 or 3 as far as q <= 1.5 allows: at 2.5 in both cases, so what is further reads the last.
  for (const WindowBiasKind kind : {WindowBiasKind::bias, WindowBiasKind::bias_tf}) {
    const bool flat = kind == WindowBiasKind::bias;
    const Tensor table = flat ? Tensor::empty({25, 1}) : Tensor::empty({1, 5, 5});
    for (int64_t i = 0; i < 25; ++i) table.f32()[i] = static_cast<float>(i / 5 * (i / 5) + 10 * (i % 5));
    const Tensor larger = resample_window_bias(table, {5, 4});
    EXPECT_EQ(larger.shape(), flat ? (Shape{63, 1}) : (Shape{1, 9, 7}));
    const double share = 1.0 / 1.5;  // of way 2 between the places 1 and 2.5
    const std::vector<double> rows = {0, 0, 1 - share, 1, 4, 9, 9 + 7 * share, 16, 16};
    const std::vector<double> columns = {0, 10 * (1 - share), 10, 20, 30, 30 + 10 * share, 40};
    for (size_t i = 0; i < 9; ++i)
      for (size_t j = 0; j < 7; ++j) EXPECT_NEAR(larger.f32()[i * 7 + j], rows[i] + columns[j], 1e-4) << i << ", " << j;
    EXPECT_TRUE(test::same_bits(resample_window_bias(table, {3, 3}), table));
    // A smaller window has the middle of it, where places are 1 % further apart from step to step.
    const Tensor smaller = resample_window_bias(table, {2, 2});
    EXPECT_EQ(smaller.shape(), flat ? (Shape{9, 1}) : (Shape{1, 3, 3}));
    EXPECT_NEAR(smaller.f32()[0], 11.0, 1e-4);
    EXPECT_NEAR(smaller.f32()[8], 39.0, 1e-4);
    EXPECT_THAT(test::failure([&] {
                  resample_window_bias(table, {2, 2}, std::array<int64_t, 2>{2, 3});
                }),
                HasSubstr("window"));
  }
}

}  // namespace
}  // namespace vit
