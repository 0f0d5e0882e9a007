// The mechanisms of convolutional networks against their plain definitions: squeeze-excite and its relatives, CBAM,
// global context, non-local and bilinear blocks. timm's own numbers, with gradients, are the parity case A8.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/attention/eca.h"
#include "vit/autograd/tape.h"
#include "vit/nn/squeeze.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

constexpr size_t kBatch = 2, kHeight = 4, kWidth = 6, kTokens = 24, kDim = 12;
const AttentionShape kShape{.dim = kDim, .grid = {kHeight, kWidth}};

Plain sigmoid(const Plain& x) { return 1.0 / (1.0 + xt::exp(-x)); }
Plain silu(const Plain& x) { return x * sigmoid(x); }
Plain relu(const Plain& x) { return xt::maximum(x, 0.0); }

Plain mean_of(const Plain& x, size_t axis) { return xt::mean(x, {axis}); }
Plain max_of(const Plain& x, size_t axis) { return xt::amax(x, {axis}); }

/// x [rows, C] through a 1 x 1 convolution of the mechanism.
Plain layer(MechanismCheck& check, const Plain& x, const std::string& name) {
  Plain weight = check.parameter(name + ".weight");
  weight.reshape({weight.shape(0), weight.shape(1)});
  const Plain bias = check.has_parameter(name + ".bias") ? check.parameter(name + ".bias") : Plain(0.0);
  return plain::linear<double>(x, weight, bias, Activation::none, Plain(1.0), Plain(0.0));
}

/// The same for tokens [B, N, C].
Plain token_layer(MechanismCheck& check, const Plain& x, const std::string& name) {
  const Plain y = layer(check, plain::reshaped<double>(x, {x.shape(0) * x.shape(1), x.shape(2)}), name);
  return plain::reshaped<double>(y, {x.shape(0), x.shape(1), y.shape(1)});
}

/// A batch norm at inference, over the last axis.
Plain batch_norm(MechanismCheck& check, const Plain& x, const std::string& name) {
  const Plain scale = check.parameter(name + ".weight") / xt::sqrt(check.parameter(name + ".running_var") + 1e-5);
  return (x - check.parameter(name + ".running_mean")) * scale + check.parameter(name + ".bias");
}

Plain gated(const Plain& x, const Plain& gate) { return x * xt::view(gate, xt::all(), xt::newaxis(), xt::all()); }

Plain squeeze_excite(MechanismCheck& check) {
  const Plain x = check.plain_x();
  return gated(x, sigmoid(layer(check, silu(layer(check, mean_of(x, 1), "fc1")), "fc2")));
}

Plain squeeze_excite_with_everything(MechanismCheck& check) {
  const Plain x = check.plain_x();
  const Plain pooled = 0.5 * mean_of(x, 1) + 0.5 * max_of(x, 1);
  const Plain hidden = relu(batch_norm(check, layer(check, pooled, "fc1"), "bn"));
  return gated(x, xt::tanh(layer(check, hidden, "fc2")));
}

Plain effective_se(MechanismCheck& check) {
  const Plain x = check.plain_x();
  return gated(x, xt::clip(layer(check, mean_of(x, 1), "fc") / 6.0 + 0.5, 0.0, 1.0));
}

/// The sequence [B, N] through a kernel of three, with zeros or the other end beside it.
Plain along(const Plain& x, const Plain& kernel, bool circular) {
  const size_t count = x.shape(1);
  Plain y = xt::zeros<double>({x.shape(0), count});
  for (size_t b = 0; b < x.shape(0); ++b)
    for (size_t i = 0; i < count; ++i)
      for (size_t k = 0; k < 3; ++k) {
        const size_t at = i + count + k - 1;
        const bool outside = at < count || at >= 2 * count;
        if (!outside || circular) y(b, i) += kernel.flat(k) * x(b, at % count);
      }
  return y;
}

Plain eca(MechanismCheck& check) {
  const Plain x = check.plain_x();
  return gated(x, sigmoid(along(mean_of(x, 1), check.parameter("conv.weight"), false)));
}

Plain circular_eca(MechanismCheck& check) {
  const Plain x = check.plain_x();
  return gated(x, sigmoid(along(mean_of(x, 1), check.parameter("conv.weight"), true)));
}

Plain eca_mlp(MechanismCheck& check) {
  const Plain x = check.plain_x(), means = mean_of(x, 1);
  const Plain w1 = check.parameter("conv.weight"), b1 = check.parameter("conv.bias"),
              w2 = check.parameter("conv2.weight");
  Plain gate = xt::zeros<double>({kBatch, kDim}) + check.parameter("conv2.bias")(0);
  for (size_t f = 0; f < w1.shape(0); ++f)
    gate += along(silu(means * w1(f, 0, 0) + b1(f)), Plain(xt::view(w2, 0, f)), false);
  return gated(x, sigmoid(gate));
}

/// The gate on positions, [B, N], from planes [B, N, P].
Plain spatial_gate(MechanismCheck& check, const Plain& planes) {
  const Plain weight = check.parameter("spatial.conv.conv.weight");
  const auto side = static_cast<int>(weight.shape(2)), half = side / 2;
  Plain y = xt::zeros<double>({kBatch, kTokens, size_t{1}});
  for (size_t b = 0; b < kBatch; ++b)
    for (int r = 0; r < static_cast<int>(kHeight); ++r)
      for (int c = 0; c < static_cast<int>(kWidth); ++c)
        for (int i = -half; i <= half; ++i)
          for (int j = -half; j <= half; ++j) {
            if (r + i < 0 || r + i >= static_cast<int>(kHeight) || c + j < 0 || c + j >= static_cast<int>(kWidth))
              continue;
            const auto from = static_cast<size_t>((r + i) * static_cast<int>(kWidth) + c + j);
            for (size_t p = 0; p < planes.shape(2); ++p)
              y(b, static_cast<size_t>(r) * kWidth + static_cast<size_t>(c), 0) +=
                  planes(b, from, p) * weight(0, p, static_cast<size_t>(i + half), static_cast<size_t>(j + half));
          }
  return sigmoid(batch_norm(check, y, "spatial.conv.bn"));
}

Plain with_last_axis(const Plain& x) { return plain::reshaped<double>(x, {x.shape(0), x.shape(1), size_t{1}}); }

Plain cbam(MechanismCheck& check) {
  const Plain x = check.plain_x();
  const auto mlp = [&](const Plain& pooled) {
    return layer(check, relu(layer(check, pooled, "channel.fc1")), "channel.fc2");
  };
  const Plain y = gated(x, sigmoid(mlp(mean_of(x, 1)) + mlp(max_of(x, 1))));
  const Plain planes = xt::concatenate(xt::xtuple(with_last_axis(mean_of(y, 2)), with_last_axis(max_of(y, 2))), 2);
  return y * spatial_gate(check, planes);
}

Plain light_cbam(MechanismCheck& check) {
  const Plain x = check.plain_x();
  const Plain pooled = 0.5 * mean_of(x, 1) + 0.5 * max_of(x, 1);
  const Plain y = gated(x, sigmoid(layer(check, relu(layer(check, pooled, "channel.fc1")), "channel.fc2")));
  return y * spatial_gate(check, with_last_axis(0.5 * mean_of(y, 2) + 0.5 * max_of(y, 2)));
}

Plain context_of(MechanismCheck& check) {
  const Plain x = check.plain_x(), scores = token_layer(check, x, "conv_attn");
  const Plain probs = plain::softmax<double>(plain::reshaped<double>(scores, {kBatch, kTokens}));
  const Plain weighted = x * with_last_axis(probs);
  return xt::sum(weighted, {1});
}

Plain context_mlp(MechanismCheck& check, const Plain& context, const std::string& name) {
  const Plain hidden =
      plain::layer_norm<double>(layer(check, context, name + ".fc1"), check.parameter(name + ".norm.weight"),
                                check.parameter(name + ".norm.bias"), 1e-6);
  return layer(check, silu(hidden), name + ".fc2");
}

Plain global_context(MechanismCheck& check) {
  return gated(check.plain_x(), sigmoid(context_mlp(check, context_of(check), "mlp_scale")));
}

Plain global_context_of_both_kinds(MechanismCheck& check) {
  const Plain added = context_mlp(check, context_of(check), "mlp_add");
  return global_context(check) + xt::view(added, xt::all(), xt::newaxis(), xt::all());
}

Plain mean_context(MechanismCheck& check) {
  const Plain x = check.plain_x();
  return gated(x, sigmoid(context_mlp(check, mean_of(x, 1), "mlp_scale")));
}

Plain non_local(MechanismCheck& check, double scale) {
  const Plain x = check.plain_x(), none = xt::zeros<double>({1, 1, 1, 1});
  const Plain mixed = plain::multihead_attention<double>(token_layer(check, x, "t"), token_layer(check, x, "p"),
                                                         token_layer(check, x, "g"), none, 1, scale);
  return x + batch_norm(check, token_layer(check, mixed, "z"), "norm");
}

/// timm's definition: block matrices widened by identities, P x Q per channel; with zeros where blocks reach beyond the
/// map.
Plain bilinear(MechanismCheck& check, size_t block) {
  const Plain x = check.plain_x();
  const Plain inner = silu(batch_norm(check, token_layer(check, x, "conv1.conv"), "conv1.bn"));
  const Plain squeezed = silu(batch_norm(check, token_layer(check, inner, "ba.conv1.conv"), "ba.conv1.bn"));
  constexpr size_t kGroups = 2;
  const size_t rows_per = (kHeight + block - 1) / block, cols_per = (kWidth + block - 1) / block;
  const size_t depth = inner.shape(2) / kGroups;
  Plain mixed = xt::zeros<double>(inner.shape());
  for (size_t b = 0; b < kBatch; ++b) {
    const auto maxima = [&](bool rows) {
      Plain best = xt::zeros<double>({block, kGroups}) - 1e30;
      for (size_t r = 0; r < block * rows_per; ++r)
        for (size_t c = 0; c < block * cols_per; ++c)
          for (size_t g = 0; g < kGroups; ++g) {
            double& at = best(rows ? r / rows_per : c / cols_per, g);
            at = std::max(at, r < kHeight && c < kWidth ? squeezed(b, r * kWidth + c, g) : 0.0);
          }
      return best;
    };
    const auto matrices = [&](const std::string& name, const Plain& best, bool rows) {
      const Plain weight = check.parameter(name + ".weight"), bias = check.parameter(name + ".bias");
      Plain m = xt::zeros<double>({kGroups, block, block});
      for (size_t o = 0; o < m.size(); ++o) {
        m.flat(o) = bias(o);
        for (size_t g = 0; g < kGroups; ++g)
          for (size_t i = 0; i < block; ++i) m.flat(o) += best(i, g) * weight(o, g, rows ? i : 0, rows ? 0 : i);
      }
      const Plain s = sigmoid(m), sums = xt::sum(s, std::vector<size_t>{rows ? size_t{2} : size_t{1}}, xt::keep_dims);
      return Plain(s / sums);
    };
    const Plain p = matrices("ba.conv_p", maxima(true), true), q = matrices("ba.conv_q", maxima(false), false);
    for (size_t r = 0; r < kHeight; ++r)
      for (size_t c = 0; c < kWidth; ++c)
        for (size_t ch = 0; ch < inner.shape(2); ++ch)
          for (size_t j = 0; j < block; ++j)
            for (size_t l = 0; l < block; ++l) {
              const size_t row = j * rows_per + r % rows_per, col = l * cols_per + c % cols_per;
              if (row < kHeight && col < kWidth)
                mixed(b, r * kWidth + c, ch) +=
                    p(ch / depth, r / rows_per, j) * q(ch / depth, l, c / cols_per) * inner(b, row * kWidth + col, ch);
            }
  }
  const Plain y = silu(batch_norm(check, token_layer(check, mixed, "ba.conv2.conv"), "ba.conv2.bn"));
  return x + silu(batch_norm(check, token_layer(check, y, "conv2.conv"), "conv2.bn"));
}

struct Form {
  std::string name, options;
  std::function<Plain(MechanismCheck&)> plain;
  bool smooth = true;  ///< maxima and relu have kinks within a difference's step; their gradients are held to timm's
};

std::vector<Form> forms() {
  return {{"se", "{type: squeeze_excite, rd_ratio: 0.25, rd_divisor: 1, act_layer: silu}", squeeze_excite},
          {"se_full", "{type: squeeze_excite, add_maxpool: true, norm_layer: batchnorm, gate_layer: tanh}",
           squeeze_excite_with_everything, false},
          {"ese", "effective_se", effective_se, false},
          {"eca", "eca", eca},
          {"ceca", "{type: eca, circular: true}", circular_eca},
          {"eca_mlp", "{type: eca, use_mlp: true, act_layer: silu}", eca_mlp},
          {"cbam", "{type: cbam, rd_ratio: 0.25}", cbam, false},
          {"cbam_bias_k3", "{type: cbam, rd_channels: 5, mlp_bias: true, spatial_kernel_size: 3}", cbam, false},
          {"light_cbam", "light_cbam", light_cbam, false},
          {"gc", "{type: global_context, act_layer: silu, rd_ratio: 0.5}", global_context},
          {"gc_both", "{type: global_context, fuse_add: true, act_layer: silu, rd_ratio: 0.5}",
           global_context_of_both_kinds},
          {"gc_mean", "{type: global_context, use_attn: false, act_layer: silu, rd_ratio: 0.5}", mean_context},
          {"nl", "{type: non_local, rd_channels: 5}",
           [](MechanismCheck& check) { return non_local(check, 1.0 / std::sqrt(12.0)); }},
          {"nl_unscaled", "{type: non_local, use_scale: false}",
           [](MechanismCheck& check) { return non_local(check, 1.0); }},
          {"bat", "{type: bilinear, block_size: 2, act_layer: silu}",
           [](MechanismCheck& check) { return bilinear(check, 2); }},
          {"bat_padded", "{type: bilinear, block_size: 3, act_layer: silu}",
           [](MechanismCheck& check) { return bilinear(check, 3); }},
          {"bat_wide", "{type: bilinear, block_size: 5, act_layer: silu}",
           [](MechanismCheck& check) { return bilinear(check, 5); }}};
}

class MapsAttentionTest : public testing::TestWithParam<Form> {
 protected:
  MechanismCheck check_{GetParam().options, kShape};
  Plain plain() { return GetParam().plain(check_); }
};

TEST_P(MapsAttentionTest, EqualsItsDefinition) { test::expect_near(check_.run(), plain()); }

TEST_P(MapsAttentionTest, SkipConnectionAndLayerScale) {
  const Tensor residual = random_tensor({kBatch, kTokens, kDim}, 5), gamma = random_tensor({kDim}, 6);
  check_.input().residual = {.gamma = gamma, .residual = residual};
  test::expect_near(check_.run(), Plain(test::wide(residual) + test::wide(gamma) * plain()));
}

TEST_P(MapsAttentionTest, OnlyWantedTokens) {
  check_.input().wanted_tokens = 5;
  test::expect_near(check_.run(), Plain(xt::view(plain(), xt::all(), xt::range(0, 5))));
}

TEST_P(MapsAttentionTest, PackedWeightsChangeNothing) { check_.expect_prepared_equals_plain(); }

TEST_P(MapsAttentionTest, GradientsAreTheSlopes) {
  if (!GetParam().smooth) GTEST_SKIP() << "has kinks within a difference's step; its gradients are held to timm's (A8)";
  check_.input().residual.residual = random_tensor({kBatch, kTokens, kDim}, 5);
  check_.expect_slopes();
}

INSTANTIATE_TEST_SUITE_P(Forms, MapsAttentionTest, testing::ValuesIn(forms()),
                         [](const auto& item) { return item.param.name; });

TEST(MapsAttention, ObserversSeeGatesAndProbabilities) {
  MechanismCheck se("squeeze_excite", kShape), gc("global_context", kShape), nl("non_local", kShape);
  EXPECT_EQ(se.observed("channel_probs").shape(), (Shape{2, 12}));
  EXPECT_EQ(nl.observed("probs").shape(), (Shape{2, 1, 24, 24}));
  const Tensor probs = gc.observed("probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 1, 24, 24}));
  for (int64_t row = 0; row < 48; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 24; ++i) sum += static_cast<double>(probs.f32()[row * 24 + i]);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
}

TEST(MapsAttention, RefusesPlacesWhereItCannotWork) {
  const auto refused = [](const std::string& options, const AttentionShape& shape) {
    return test::usage_error([&] { build_attention(ConfigNode::parse(options, "test"), shape); });
  };
  EXPECT_THAT(refused("{type: bilinear, block_size: 2, groups: 5}", kShape), testing::HasSubstr("into 5 groups"));
  EXPECT_THAT(refused("{type: cbam, spatial_kernel_size: 4}", kShape), testing::HasSubstr("must be odd"));
  EXPECT_THAT(refused("{type: eca, kernel_size: 4}", kShape), testing::HasSubstr("must be odd"));
  EXPECT_THAT(refused("{type: eca, circular: true, kernel_size: 27}", kShape), testing::HasSubstr("too long"));
  EXPECT_THAT(refused("cbam", {.dim = 12}), testing::HasSubstr("grid"));
  for (const char* option : {"gamma: 1.0e-12", "gamma: 1.0e-38", "gamma: 1.0e+9", "beta: 1.0e+30"})
    EXPECT_THAT(refused(str("{type: eca, ", option, "}"), kShape), testing::HasSubstr("test:1")) << option;
}

TEST(MapsAttention, EcaKernelsHaveALongest) {
  const auto kernel = [](double gamma, double beta, int64_t channels) {
    return EcaOptions{.gamma = gamma, .beta = beta}.kernel_for(channels);
  };
  EXPECT_EQ(kernel(2.0, 1.0, 512), 5);
  EXPECT_EQ(kernel(2.0, 1.0, 8), 3);
  EXPECT_EQ(kernel(0.001, 1000.0, 512), 1023);
  EXPECT_EQ(kernel(0.001, -1000.0, 1), 1023);
}

TEST(MapsAttention, EqualMaximaShareTheGradient) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::from<float>({2, 1, 2, 5, 0, 5, 2, 5}, {1, 4, 2}));
  tape.backward(squeeze_tokens(ctx, x, /*add_maxpool=*/true), Tensor::full({1, 2}, 24.0f));
  // Half of the mean's quarter, and half of the maximum's third.
  const std::vector<float> want = {7, 3, 7, 7, 3, 7, 7, 7};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_FLOAT_EQ(x.grad().f32()[i], want[i]) << i;
}

TEST(MapsAttention, DropsWholeChannelsOfTheBilinearBranch) {
  MechanismCheck check("{type: bilinear, block_size: 2, drop_rate: 0.5}", kShape);
  // Batch norms that are not trained keep their statistics, so the dropout is all that differs.
  check.mechanism().visit_parameters([](const std::string&, Parameter& p) { p.value = Var(p.value.value()); });
  const Tensor x = check.x(), all = check.run();
  Context ctx;
  ctx.training = true;
  const Tensor y = check.mechanism().forward(ctx, x, check.input()).value();
  int64_t dropped = 0;
  for (int64_t channel = 0; channel < 24; ++channel) {
    const int64_t first = channel / 12 * 288 + channel % 12;
    bool none = true, doubled = true;
    for (int64_t n = 0; n < 24; ++n) {
      const int64_t at = first + n * 12;
      const float branch = all.f32()[at] - x.f32()[at], kept = y.f32()[at] - x.f32()[at];
      none = none && std::abs(kept) < 1e-5f;
      doubled = doubled && std::abs(kept - 2.0f * branch) < 1e-4f;
    }
    EXPECT_TRUE(none || doubled) << channel;
    dropped += none;
  }
  EXPECT_GT(dropped, 0);
  EXPECT_LT(dropped, 24);
}

TEST(Squeeze, WidthsAsTimmRoundsThem) {
  EXPECT_EQ(make_divisible(10.0, 8), 16);  // 8 would be less than nine tenths
  EXPECT_EQ(make_divisible(10.0, 8, 0.0), 8);
  EXPECT_EQ(make_divisible(3.0, 8), 8);
  EXPECT_EQ(make_divisible(20.0, 8), 24);
  EXPECT_EQ(SqueezeWidth{}.of(256), 16);
  EXPECT_EQ((SqueezeWidth{.rd_ratio = 0.25, .rd_divisor = 1}.of(10)), 3);
  EXPECT_EQ((SqueezeWidth{.rd_channels = 7}.of(256)), 7);
  EXPECT_EQ(EcaOptions{}.kernel_for(64), 3);
  EXPECT_EQ(EcaOptions{}.kernel_for(256), 5);
  EXPECT_EQ(EcaOptions{}.kernel_for(2048), 7);
  EXPECT_EQ((EcaOptions{.kernel_size = 9}.kernel_for(64)), 9);
}

}  // namespace
}  // namespace vit
