// Hard attention: what is drawn and how often, inference, and whether both estimators point where the loss falls.
#include "vit/attention/hard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "tests/support/model_gradients.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;

constexpr int64_t kDim = 6, kMemory = 4, kEntries = 9, kTokens = 5;
const AttentionShape kShape{.dim = kDim, .num_heads = 1, .memory_dim = kMemory};

MechanismCheck make(const std::string& options) { return MechanismCheck(options, kShape, 2, kTokens); }
HardAttention& hard(MechanismCheck& check) { return dynamic_cast<HardAttention&>(check.mechanism()); }

TEST(HardAttention, ExpectationIsAdditiveAttention) {
  MechanismCheck check = make("hard"), soft = make("additive");
  test::copy_parameters(check, soft);
  test::expect_near(check.run(), soft.run());
  check.expect_slopes();
}

TEST(HardAttention, ArgmaxLooksAtTheLikeliest) {
  MechanismCheck check = make("{type: hard, inference: argmax}");
  const Tensor probs = check.observed("probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 1, kTokens, kEntries}));
  const Plain memory = test::wide(check.input().memory.value());
  Plain seen = xt::zeros<double>({2, 5, 4});
  for (int64_t row = 0; row < 2 * kTokens; ++row) {
    const float* p = probs.f32() + row * kEntries;
    const auto best = static_cast<size_t>(std::max_element(p, p + kEntries) - p);
    xt::view(seen, row / kTokens, row % kTokens) = xt::view(memory, row / kTokens, best);
  }
  test::expect_near(check.run(), check.linear(seen, "proj"));
}

TEST(HardAttention, DrawsAsOftenAsTheProbabilitiesSay) {
  MechanismCheck check = make("{type: hard, estimator: reinforce}");
  const Tensor probs = check.observed("probs");
  std::vector<double> seen(static_cast<size_t>(probs.numel()), 0.0);
  HardSample last;
  hard(check).listen([&](const HardSample& sample) {
    last = sample;
    for (int64_t row = 0; row < sample.index.numel(); ++row)
      seen[static_cast<size_t>(row * kEntries + sample.index.data<int64_t>()[row])] += 1.0;
  });
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    Context ctx;
    ctx.training = true;
    ctx.seed = static_cast<uint64_t>(i);
    Tape tape(ctx);
    ctx.tape = &tape;
    check.forward(ctx);
  }
  // Five standard deviations of a count.
  for (int64_t i = 0; i < probs.numel(); ++i) {
    const double p = static_cast<double>(probs.f32()[i]);
    EXPECT_NEAR(seen[static_cast<size_t>(i)] / kDraws, p, 5.0 * std::sqrt(p * (1.0 - p) / kDraws) + 1e-3) << i;
  }
  for (int64_t row = 0; row < last.index.numel(); ++row) {
    const float* p = probs.f32() + row * kEntries;
    EXPECT_NEAR(last.log_prob.value().f32()[row], std::log(p[last.index.data<int64_t>()[row]]), 1e-5);
    double entropy = 0.0;
    for (int64_t i = 0; i < kEntries; ++i) entropy -= static_cast<double>(p[i]) * std::log(static_cast<double>(p[i]));
    EXPECT_NEAR(last.entropy.value().f32()[row], entropy, 1e-5);
  }
}

TEST(HardAttention, SameSeedSameDraw) {
  for (const char* options : {"{type: hard, estimator: reinforce}", "{type: hard, estimator: gumbel}"}) {
    MechanismCheck check = make(options);
    const auto run = [&](uint64_t seed) {
      Context ctx;
      ctx.training = true;
      ctx.seed = seed;
      return check.forward(ctx).value().clone();
    };
    EXPECT_TRUE(test::same_bits(run(3), run(3))) << options;
    EXPECT_FALSE(test::same_bits(run(3), run(4))) << options;
  }
}

TEST(HardAttention, NeverDrawsWhatIsHidden) {
  for (const char* options : {"{type: hard, estimator: reinforce}", "{type: hard, estimator: gumbel}"}) {
    MechanismCheck check = make(options);
    Tensor mask = Tensor::full({2, kEntries}, -std::numeric_limits<float>::infinity());
    mask.f32()[4] = mask.f32()[kEntries + 2] = 0.0f;
    check.input().memory_mask = mask;
    const Tensor only = check.run();
    for (uint64_t seed = 0; seed < 50; ++seed) {
      Context ctx;
      ctx.training = true;
      ctx.seed = seed;
      test::expect_near(check.forward(ctx).value(), only, options);
    }
  }
}

/// The mean over draws of REINFORCE's gradient is the gradient of the expected reward.
TEST(HardAttention, ReinforceIsUnbiased) {
  MechanismCheck check = make("{type: hard, estimator: reinforce}");
  // Reward: how much of entry 2 each sample saw. Its expectation is the sum of its probabilities.
  const auto exact = [&] {
    Context ctx;
    struct Probs : Observer {
      bool wants(const std::string& name) override { return name == "probs"; }
      void observe(const std::string&, const Tensor& tensor) override { value = tensor.clone(); }
      Tensor value;
    } observer;
    ctx.observer = &observer;
    check.forward(ctx);
    double sum = 0.0;
    for (int64_t row = 0; row < 2 * kTokens; ++row)
      sum += static_cast<double>(observer.value.f32()[row * kEntries + 2]);
    return sum / 2.0;
  };
  std::map<std::string, std::vector<double>> mean;
  HardSample drawn;
  hard(check).listen([&](const HardSample& sample) { drawn = sample; });
  constexpr int kDraws = 3000;
  for (int i = 0; i < kDraws; ++i) {
    Context ctx;
    ctx.training = true;
    ctx.seed = static_cast<uint64_t>(i);
    const auto gradients = test::gradients_of(check, ctx, [&](Context& inner) {
      check.forward(inner);
      Tensor reward = Tensor::zeros({2});
      for (int64_t row = 0; row < 2 * kTokens; ++row)
        reward.f32()[row / kTokens] += drawn.index.data<int64_t>()[row] == 2 ? 1.0f : 0.0f;
      return reinforce_loss(inner, drawn, reward, 0.5);
    });
    for (const auto& [name, gradient] : gradients) {
      auto& sum = mean[name];
      sum.resize(static_cast<size_t>(gradient.numel()));
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += static_cast<double>(gradient.f32()[j]) / kDraws;
    }
  }
  // Along the mean gradient of the score vector the expected reward grows as it says.
  const std::vector<double>& direction = mean.at("attn.score.weight");
  double norm = 0.0;
  for (const double g : direction) norm += g * g;
  norm = std::sqrt(norm);
  ASSERT_GT(norm, 0.01);
  const Plain start = check.parameter("score.weight");
  const auto at = [&](double step) {
    Tensor moved = Tensor::empty({1, kDim});
    for (size_t j = 0; j < direction.size(); ++j)
      moved.f32()[j] = static_cast<float>(start(0, j) - step * direction[j] / norm);
    check.set_parameter("score.weight", moved);
    return exact();
  };
  EXPECT_NEAR((at(0.01) - at(-0.01)) / 0.02, norm, 0.15 * norm);
}

TEST(HardAttention, ReinforceIsNotTrainedInSilence) {
  MechanismCheck check = make("{type: hard, estimator: reinforce}");
  Context ctx;
  ctx.training = true;
  const auto train = [&] { test::gradients_of(check, ctx, [&](Context& inner) { return check.forward(inner); }); };
  EXPECT_THAT(test::usage_error(train), testing::HasSubstr("estimator: gumbel"));
  hard(check).listen([](const HardSample&) {});
  train();
  // Gradient checkpointing runs a part without a tape first.
  EXPECT_THAT(test::usage_error([&] {
                test::gradients_of(check, ctx, [&](Context& inner) {
                  return checkpoint(
                      inner, [&](Context& part, const Var&) { return check.forward(part); }, check.x());
                });
              }),
              testing::HasSubstr("checkpointing"));
}

TEST(HardAttention, GumbelGivesScoresAGradient) {
  for (const char* options : {"hard", "{type: hard, estimator: gumbel, temperature: 0.5}"}) {
    MechanismCheck check = make(options);
    Context ctx;
    ctx.training = true;
    const auto gradients = test::gradients_of(check, ctx, [&](Context& inner) { return check.forward(inner); });
    for (const char* name : {"attn.query.weight", "attn.key.weight", "attn.score.weight", "attn.proj.weight"})
      EXPECT_TRUE(gradients.count(name)) << options << ": " << name;
  }
}

TEST(MovingBaseline, FollowsTheReward) {
  MovingBaseline baseline(0.9);
  baseline.update(2.0);
  EXPECT_DOUBLE_EQ(baseline.value(), 2.0);
  baseline.update(3.0);
  EXPECT_DOUBLE_EQ(baseline.value(), 0.9 * 2.0 + 0.1 * 3.0);
}

}  // namespace
}  // namespace vit
