// Windowed attention is global attention over the padded and shifted map with all but the window masked: values,
// gradients and probabilities, for every way in which windows do not fit a map.
#include "vit/attention/window.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;

struct Form {
  std::string name, options;
  Grid grid{};
  std::array<int64_t, 2> window{}, shift{};  ///< what the options come to on this map
  int64_t layer = 0, prefix = 0;
  bool padded_first = false;

  AttentionShape shape() const {
    return {.dim = 6, .num_heads = 2, .grid = grid, .prefix_tokens = prefix, .layer = layer};
  }
};

/// One axis of the map as the mechanism should see it.
struct PlainAxis {
  int64_t tokens, window, shift, padded;
  bool padded_first;
  PlainAxis(const Form& form, size_t axis)
      : tokens(axis == 0 ? form.grid.height : form.grid.width),
        window(form.window[axis]),
        shift(form.shift[axis]),
        padded((tokens + window - 1) / window * window),
        padded_first(form.padded_first) {}
  /// Where a token is after shift and padding.
  int64_t place(int64_t token) const {
    const int64_t length = padded_first ? padded : tokens;
    return (token - shift + length) % length;
  }
  bool together(int64_t a, int64_t b) const { return a / window == b / window; }
  int64_t region(int64_t place_) const {
    return shift == 0 || place_ < padded - window ? 0 : place_ < padded - shift ? 1 : 2;
  }
};

/// What is added to all scores of the padded map behind its prefix tokens: [1, H, P + N', P + N'].
Plain global_bias(MechanismCheck& check, const Form& form) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const PlainAxis down(form, 0), across(form, 1);
  const auto prefix = static_cast<size_t>(form.prefix), all = prefix + static_cast<size_t>(down.padded * across.padded);
  const Plain table =
      check.has_parameter("relative_position_bias_table") ? check.parameter("relative_position_bias_table") : Plain();
  Plain bias = xt::zeros<double>({size_t{1}, size_t{2}, all, all});
  std::vector<bool> is_token(all - prefix);
  for (int64_t y = 0; y < down.tokens; ++y)
    for (int64_t x = 0; x < across.tokens; ++x)
      is_token[static_cast<size_t>(down.place(y) * across.padded + across.place(x))] = true;
  for (size_t h = 0; h < 2; ++h)
    for (size_t i = 0; i < all; ++i)
      for (size_t j = prefix; j < all; ++j) {
        double& added = bias(0, h, i, j);
        if (i < prefix) {
          added = is_token[j - prefix] ? 0.0 : kNever;
          continue;
        }
        const auto a = static_cast<int64_t>(i - prefix), b = static_cast<int64_t>(j - prefix);
        const int64_t y_a = a / across.padded, x_a = a % across.padded, y_b = b / across.padded,
                      x_b = b % across.padded;
        if (!down.together(y_a, y_b) || !across.together(x_a, x_b)) {
          added = kNever;
          continue;
        }
        const int64_t way = (y_a - y_b + down.window - 1) * (2 * across.window - 1) + x_a - x_b + across.window - 1;
        if (table.dimension() == 2) added += table(static_cast<size_t>(way), h);
        if (down.region(y_a) != down.region(y_b) || across.region(x_a) != across.region(x_b)) added -= 100.0;
      }
  return bias;
}

/// Where each token of the sequence is among the prefix tokens and the padded map.
std::vector<size_t> places(const Form& form) {
  const PlainAxis down(form, 0), across(form, 1);
  std::vector<size_t> all;
  for (int64_t i = 0; i < form.prefix; ++i) all.push_back(static_cast<size_t>(i));
  for (int64_t y = 0; y < down.tokens; ++y)
    for (int64_t x = 0; x < across.tokens; ++x)
      all.push_back(static_cast<size_t>(form.prefix + down.place(y) * across.padded + across.place(x)));
  return all;
}

Plain masked_global(MechanismCheck& check, const Form& form) {
  const Plain x = check.plain_x(), bias = global_bias(check, form);
  const std::vector<size_t> at = places(form);
  Plain padded = xt::zeros<double>({x.shape(0), bias.shape(2), x.shape(2)});
  for (size_t i = 0; i < at.size(); ++i) xt::view(padded, xt::all(), at[i]) = xt::view(x, xt::all(), i);
  const Plain qkv = check.linear(padded, "qkv");
  const auto part = [&](size_t index) { return plain::slice<double>(qkv, 2, index * 6, index * 6 + 6); };
  const Plain mixed = plain::multihead_attention<double>(part(0), part(1), part(2), bias, 2, 1.0 / std::sqrt(3.0));
  Plain y = xt::zeros<double>({x.shape(0), x.shape(1), x.shape(2)});
  for (size_t i = 0; i < at.size(); ++i) xt::view(y, xt::all(), i) = xt::view(mixed, xt::all(), at[i]);
  return check.linear(y, "proj");
}

std::vector<Form> forms() {
  const std::string hf = "{type: window, window: 4, rule: hugging_face}";
  return {
      {.name = "fits", .options = "{type: window, window: 2}", .grid = {4, 6}, .window = {2, 2}},
      {.name = "shifted",
       .options = "{type: window, window: 4}",
       .grid = {8, 8},
       .window = {4, 4},
       .shift = {2, 2},
       .layer = 1},
      {.name = "oblong_window",
       .options = "{type: window, window: [2, 3]}",
       .grid = {4, 6},
       .window = {2, 3},
       .shift = {1, 1},
       .layer = 3},
      {.name = "shift_given",
       .options = "{type: window, window: 3, shift: 2}",
       .grid = {6, 6},
       .window = {3, 3},
       .shift = {2, 2}},
      {.name = "padded", .options = "{type: window, window: 4}", .grid = {6, 5}, .window = {4, 4}},
      {.name = "padded_and_shifted",
       .options = "{type: window, window: 4}",
       .grid = {6, 9},
       .window = {4, 4},
       .shift = {2, 2},
       .layer = 1},
      {.name = "padded_without_qkv_bias",
       .options = "{type: window, window: 4, qkv_bias: false}",
       .grid = {5, 7},
       .window = {4, 4},
       .shift = {2, 2},
       .layer = 1},
      {.name = "hugging_face",
       .options = hf,
       .grid = {6, 9},
       .window = {4, 4},
       .shift = {2, 2},
       .layer = 1,
       .padded_first = true},
      {.name = "hugging_face_narrow",
       .options = hf,
       .grid = {4, 9},
       .window = {4, 4},
       .layer = 1,
       .padded_first = true},
      {.name = "narrow_map",
       .options = "{type: window, window: 4}",
       .grid = {3, 8},
       .window = {3, 4},
       .shift = {0, 2},
       .layer = 1},
      {.name = "small_map", .options = "{type: window, window: 4}", .grid = {3, 4}, .window = {3, 4}, .layer = 1},
      {.name = "small_map_partitioned",
       .options = "{type: window, window: 4, always_partition: true}",
       .grid = {3, 4},
       .window = {4, 4},
       .shift = {2, 2},
       .layer = 1},
      {.name = "without_bias_table",
       .options = "{type: window, window: 2, relative_position_bias: false}",
       .grid = {4, 4},
       .window = {2, 2},
       .shift = {1, 1},
       .layer = 1},
      {.name = "prefix_tokens",
       .options = "{type: window, window: 3}",
       .grid = {5, 6},
       .window = {3, 3},
       .shift = {1, 1},
       .layer = 1,
       .prefix = 2},
  };
}

class WindowTest : public testing::TestWithParam<Form> {
 protected:
  MechanismCheck check_{GetParam().options, GetParam().shape()};
};

TEST_P(WindowTest, IsMaskedGlobalAttention) { test::expect_near(check_.run(), masked_global(check_, GetParam())); }

TEST_P(WindowTest, GradientsAreTheSlopes) {
  check_.expect_slopes();
  check_.expect_prepared_equals_plain();
}

TEST_P(WindowTest, ProbabilitiesAreOfAllTokens) {
  const Tensor probs = check_.observed("probs");
  const int64_t tokens = GetParam().grid.count() + GetParam().prefix;
  ASSERT_EQ(probs.shape(), (Shape{2, 2, tokens, tokens}));
  const bool padded = GetParam().name.find("padded") != std::string::npos || GetParam().padded_first ||
                      GetParam().prefix > 0 || GetParam().name == "small_map_partitioned";
  for (int64_t row = 0; row < 4 * tokens; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < tokens; ++i) sum += static_cast<double>(probs.f32()[row * tokens + i]);
    // What padding takes is not among the tokens.
    EXPECT_LE(sum, 1.0 + 1e-5);
    if (!padded) {
      EXPECT_NEAR(sum, 1.0, 1e-5);
    }
  }
  EXPECT_EQ(check_.observed("scores").shape(), (Shape{2, 2, tokens, tokens}));
}

INSTANTIATE_TEST_SUITE_P(Maps, WindowTest, testing::ValuesIn(forms()),
                         [](const auto& item) { return item.param.name; });

TEST(Window, OtherMapsThanTheNativeOne) {
  const Form form{.name = "native",
                  .options = "{type: window, window: 2}",
                  .grid = {4, 4},
                  .window = {2, 2},
                  .shift = {1, 1},
                  .layer = 1};
  MechanismCheck native(form.options, form.shape());
  Form other = form;
  other.grid = {5, 7};
  MechanismCheck check(other.options, other.shape());
  test::copy_parameters(native, check);
  native.mechanism().set_grid({5, 7});
  Context ctx;
  test::expect_near(native.mechanism().forward(ctx, check.x(), check.input()).value(), check.run());
  test::expect_near(check.run(), masked_global(check, other));
}

TEST(Window, OneNumberIsASquare) {
  const AttentionShape shape{.dim = 6, .num_heads = 2, .grid = {4, 7}};
  for (const std::string type : {"window", "block", "grid"}) {
    MechanismCheck number("{type: " + type + ", window: 3}", shape),
        list("{type: " + type + ", window: [3, 3]}", shape);
    test::copy_parameters(number, list);
    EXPECT_TRUE(test::same_bits(number.run(), list.run())) << type;
  }
}

TEST(WindowBias, RefusesWindowsWhoseTablesNoMemoryHolds) {
  EXPECT_THAT(test::usage_error([] { WindowBias({.window = {65, 65}}); }), testing::HasSubstr("65 x 65"));
  WindowBias bias({.window = {2, 2}});
  EXPECT_THAT(test::usage_error([&] { bias.set_window({1, 5000}); }), testing::HasSubstr("at most 4096"));
}

TEST(Window, SaysWhatIsWrong) {
  const auto refused = [](const std::string& options, const AttentionShape& shape) {
    return test::usage_error([&] { build_attention(ConfigNode::parse(options, "test.yaml"), shape); });
  };
  const AttentionShape shape{.dim = 6, .num_heads = 2, .grid = {4, 4}};
  EXPECT_THAT(refused("{type: window, window: 0}", shape), testing::HasSubstr("window"));
  EXPECT_THAT(refused("{type: window, window: [2, 3, 4]}", shape), testing::HasSubstr("list of 2"));
  EXPECT_THAT(refused("{type: window, shift: 7}", shape), testing::HasSubstr("less than the window of 7"));
  EXPECT_THAT(refused("window", {.dim = 6, .num_heads = 2}), testing::HasSubstr("grid"));
  for (const char* type : {"window", "block", "grid"})
    for (const char* window : {"300", "[1, 4097]", "[65, 64]"})
      EXPECT_THAT(refused(str("type: ", type, "\nwindow: ", window), shape),
                  testing::AllOf(testing::HasSubstr("test.yaml:2"), testing::HasSubstr("4096")))
          << type << window;
  EXPECT_THAT(refused("{type: window, window: 300, always_partition: true}", shape), testing::HasSubstr("test.yaml:1"));
  EXPECT_THAT(refused("{type: neighborhood, kernel_size: 65}", shape), testing::HasSubstr("test.yaml:1"));
  EXPECT_THAT(refused("window", {.dim = 6, .num_heads = 4, .grid = {4, 4}}), testing::HasSubstr("divisible"));
}

}  // namespace
}  // namespace vit
