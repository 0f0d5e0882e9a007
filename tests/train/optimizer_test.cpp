// Every rule against a definition in double, written down from the papers and torch's documentation.
#include "vit/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include "tests/support/errors.h"
#include "tests/support/tolerance.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using test::failure;
using test::usage_error;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Vector = std::vector<double>;

constexpr double kLr = 0.01;
constexpr int kSteps = 7;

/// A matrix larger than a part, a ragged vector, and one that gets no gradient.
std::vector<NamedParameter> make_parameters(uint64_t seed = 1) {
  std::vector<NamedParameter> all = {{"blocks.0.w", Tensor::empty({300, 150}), {}},
                                     {"blocks.0.bias", Tensor::empty({77}), {}},
                                     {"unused", Tensor::empty({5}), {}}};
  for (NamedParameter& parameter : all) {
    Rng rng(seed, Rng::stream_of(parameter.name));
    fill_normal(parameter.value, rng, 0.5f);
  }
  return all;
}

void make_gradients(std::vector<NamedParameter>& parameters, int step) {
  for (size_t i = 0; i < 2; ++i) {
    parameters[i].grad = Tensor::empty(parameters[i].value.shape());
    Rng rng(100 + static_cast<uint64_t>(step), i);
    fill_normal(parameters[i].grad, rng, 0.02f);
  }
}

Vector doubles(const Tensor& tensor) { return {tensor.span<float>().begin(), tensor.span<float>().end()}; }

struct Reference {
  int t = 0;
  Vector p, a, b;
};
/// One step of one parameter.
using Rule = std::function<void(Reference& r, const Vector& g, double lr, double decay)>;

double norm_of(const Vector& x) {
  double sum = 0.0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

void adamw_rule(Reference& r, const Vector& g, double lr, double decay) {
  for (size_t i = 0; i < g.size(); ++i) {
    r.a[i] = 0.9 * r.a[i] + 0.1 * g[i];
    r.b[i] = 0.999 * r.b[i] + 0.001 * g[i] * g[i];
    const double m = r.a[i] / (1.0 - std::pow(0.9, r.t)), v = r.b[i] / (1.0 - std::pow(0.999, r.t));
    r.p[i] -= lr * decay * r.p[i];
    r.p[i] -= lr * m / (std::sqrt(v) + 1e-8);
  }
}

Rule sgd_rule(double momentum, bool nesterov) {
  return [=](Reference& r, const Vector& g, double lr, double decay) {
    for (size_t i = 0; i < g.size(); ++i) {
      const double d = g[i] + decay * r.p[i];
      r.a[i] = r.t == 1 ? d : momentum * r.a[i] + d;
      r.p[i] -= lr * (nesterov ? d + momentum * r.a[i] : r.a[i]);
    }
  };
}

void lion_rule(Reference& r, const Vector& g, double lr, double decay) {
  for (size_t i = 0; i < g.size(); ++i) {
    const double c = 0.9 * r.a[i] + 0.1 * g[i];
    r.p[i] -= lr * ((c > 0) - (c < 0) + decay * r.p[i]);
    r.a[i] = 0.99 * r.a[i] + 0.01 * g[i];
  }
}

Rule lamb_rule(bool clip_trust, bool decoupled) {
  return [=](Reference& r, const Vector& g, double lr, double decay) {
    Vector update(g.size());
    for (size_t i = 0; i < g.size(); ++i) {
      r.a[i] = 0.9 * r.a[i] + 0.1 * g[i];
      r.b[i] = 0.999 * r.b[i] + 0.001 * g[i] * g[i];
      const double m = r.a[i] / (1.0 - std::pow(0.9, r.t)), v = r.b[i] / (1.0 - std::pow(0.999, r.t));
      if (decoupled) r.p[i] *= 1.0 - lr * decay;
      update[i] = m / (std::sqrt(v) + 1e-6) + (decoupled ? 0.0 : decay * r.p[i]);
    }
    double ratio = decay == 0.0 ? 1.0 : norm_of(r.p) / norm_of(update);
    if (clip_trust) ratio = std::min(ratio, 1.0);
    for (size_t i = 0; i < g.size(); ++i) r.p[i] -= lr * ratio * update[i];
  };
}

struct Case {
  std::string opt;
  Rule rule;
  bool clips = false;  ///< LAMB bounds the global norm by itself
};

std::vector<Case> cases() {
  return {{"adamw", adamw_rule},
          {"sgd", sgd_rule(0.9, true)},
          {"nesterov", sgd_rule(0.9, true)},
          {"momentum", sgd_rule(0.9, false)},
          {"lion", lion_rule},
          {"lamb", lamb_rule(false, false), true},
          {"lambc", lamb_rule(true, false), true},
          {"lambw", lamb_rule(false, true), true}};
}

class EveryRule : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Optimizer, EveryRule, ::testing::ValuesIn(cases()),
                         [](const auto& which) { return which.param.opt; });

std::unique_ptr<Optimizer> make(const std::string& opt, const std::vector<NamedParameter>& parameters,
                                OptimizerConfig config = {}) {
  config.opt = opt;
  return make_optimizer(config, parameters, plan_param_groups(parameters, config));
}

TEST_P(EveryRule, EqualsItsDefinition) {
  std::vector<NamedParameter> parameters = make_parameters();
  const Tensor unused = parameters[2].value.clone();
  OptimizerConfig config;
  config.weight_decay = 0.3;
  config.layer_decay = 0.5;  // blocks.0 is below "unused", which counts as the head
  const auto optimizer = make(GetParam().opt, parameters, config);
  std::vector<Reference> references;
  for (const NamedParameter& parameter : parameters) {
    const Vector zeros(static_cast<size_t>(parameter.value.numel()), 0.0);
    references.push_back({0, doubles(parameter.value), zeros, zeros});
  }
  for (int step = 1; step <= kSteps; ++step) {
    make_gradients(parameters, step);
    double scale = 0.5;
    Vector all;
    for (size_t i = 0; i < 2; ++i)
      for (const double g : doubles(parameters[i].grad)) all.push_back(scale * g);
    if (GetParam().clips) scale /= std::max(norm_of(all), 1.0);
    for (size_t i = 0; i < 2; ++i) {
      Vector g = doubles(parameters[i].grad);
      for (double& value : g) value *= scale;
      ++references[i].t;
      GetParam().rule(references[i], g, 0.5 * kLr, i == 0 ? 0.3 : 0.0);
    }
    optimizer->step(parameters, kLr, 0.5);
  }
  for (size_t i = 0; i < 2; ++i) {
    const Vector got = doubles(parameters[i].value);
    // Some ten roundings a step; where a running average is next to 0 it loses digits, and lion's sign may even turn.
    int64_t wrong = 0;
    for (size_t j = 0; j < got.size(); ++j)
      if (std::abs(got[j] - references[i].p[j]) > test::rounding_tolerance(10 * kSteps, 2.0)) ++wrong;
    EXPECT_LE(wrong, GetParam().opt == "lion" ? 1 : 0) << parameters[i].name;
    EXPECT_LT(test::relative_l2(got.data(), references[i].p.data(), static_cast<int64_t>(got.size())),
              GetParam().opt == "lion" ? 1e-4 : 1e-6);
  }
  EXPECT_EQ(std::memcmp(unused.raw(), parameters[2].value.raw(), 20), 0) << "no gradient, no change";
}

/// The parameters' bytes after some steps.
std::string bytes_after(const std::string& opt, int threads) {
  set_num_threads(threads);
  std::vector<NamedParameter> parameters = make_parameters();
  const auto optimizer = make(opt, parameters);
  for (int step = 1; step <= 3; ++step) {
    make_gradients(parameters, step);
    optimizer->step(parameters, kLr);
  }
  set_num_threads(0);
  std::string bytes;
  for (const NamedParameter& p : parameters) bytes.append(static_cast<char*>(p.value.raw()), p.value.nbytes());
  return bytes;
}

TEST_P(EveryRule, SameBitsOnAnyNumberOfThreads) {
  const std::string one = bytes_after(GetParam().opt, 1);
  EXPECT_TRUE(one == bytes_after(GetParam().opt, 2));
  EXPECT_TRUE(one == bytes_after(GetParam().opt, 8));
}

TEST_P(EveryRule, RestoredStateContinuesBitExactly) {
  std::vector<NamedParameter> parameters = make_parameters();
  const auto whole = make(GetParam().opt, parameters);
  for (int step = 1; step <= 2; ++step) {
    make_gradients(parameters, step);
    whole->step(parameters, kLr);
  }
  NamedTensors saved;
  whole->save(saved);
  for (auto& [key, tensor] : saved) tensor = tensor.clone();
  std::vector<NamedParameter> copies = parameters;
  for (NamedParameter& copy : copies) copy.value = copy.value.clone();
  const auto resumed = make(GetParam().opt, copies);
  resumed->restore(saved);
  for (int step = 3; step <= 5; ++step) {
    make_gradients(parameters, step);
    for (size_t i = 0; i < 2; ++i) copies[i].grad = parameters[i].grad;
    whole->step(parameters, kLr);
    resumed->step(copies, kLr);
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    EXPECT_EQ(std::memcmp(parameters[i].value.raw(), copies[i].value.raw(), copies[i].value.nbytes()), 0);
}

TEST(Optimizer, StateOfAnotherModelIsRefused) {
  const std::vector<NamedParameter> parameters = make_parameters();
  NamedTensors saved;
  make("adamw", parameters)->save(saved);
  EXPECT_THAT(usage_error([&] { make("sgd", parameters)->restore(saved); }),
              AllOf(HasSubstr("momentum_buffer"), HasSubstr("other options")));
  saved["optimizer.exp_avg.blocks.0.bias"] = Tensor::zeros({3});
  EXPECT_THAT(usage_error([&] { make("adamw", parameters)->restore(saved); }),
              AllOf(HasSubstr("blocks.0.bias"), HasSubstr("[3]"), HasSubstr("[77]")));
}

TEST(Optimizer, FrozenParametersStayAndHaveNoState) {
  std::vector<NamedParameter> parameters = make_parameters();
  OptimizerConfig config;
  const int64_t all = make("adamw", parameters, config)->state_bytes();
  config.freeze = {"blocks.0.w"};
  const auto optimizer = make("adamw", parameters, config);
  EXPECT_EQ(all - optimizer->state_bytes(), 2 * parameters[0].value.nbytes());
  make_gradients(parameters, 1);
  const Tensor before = parameters[0].value.clone();
  optimizer->step(parameters, kLr);
  EXPECT_EQ(std::memcmp(before.raw(), parameters[0].value.raw(), before.nbytes()), 0);
}

TEST(Optimizer, MomentumZeroIsPlainDescent) {
  std::vector<NamedParameter> parameters = make_parameters();
  OptimizerConfig config;
  config.momentum = 0.0;
  config.weight_decay = 0.0;
  const auto optimizer = make("sgd", parameters, config);
  EXPECT_EQ(optimizer->state_bytes(), 0);
  make_gradients(parameters, 1);
  const Vector before = doubles(parameters[1].value), grad = doubles(parameters[1].grad);
  optimizer->step(parameters, kLr);
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(parameters[1].value.f32()[i], before[i] - kLr * grad[i], test::rounding_tolerance(3, 2.0));
}

TEST(Optimizer, RefusesOtherParameters) {
  std::vector<NamedParameter> parameters = make_parameters();
  const auto optimizer = make("adamw", parameters);
  parameters[0].grad = Tensor::zeros({3});
  EXPECT_THAT(failure([&] { optimizer->step(parameters, kLr); }), AllOf(HasSubstr("blocks.0.w"), HasSubstr("[3]")));
  parameters.pop_back();
  EXPECT_THAT(failure([&] { optimizer->step(parameters, kLr); }), HasSubstr("made for 3"));
}

}  // namespace
}  // namespace vit
