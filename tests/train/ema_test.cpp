#include "vit/train/ema.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

std::vector<NamedParameter> make_parameters(uint64_t seed) {
  std::vector<NamedParameter> all = {{"w", Tensor::empty({300, 150}), {}},
                                     {"norm.running_mean", Tensor::empty({5}), {}}};
  for (NamedParameter& parameter : all) {
    Rng rng(seed, Rng::stream_of(parameter.name));
    fill_normal(parameter.value, rng, 1.0f);
  }
  return all;
}

TEST(Ema, AveragesWithTheDecay) {
  ModelEma ema({.model_ema = true, .model_ema_decay = 0.75}, make_parameters(0));
  ema.update(make_parameters(1), 1);
  EXPECT_EQ(std::memcmp(ema.averages()[0].raw(), make_parameters(1)[0].value.raw(), 180000), 0) << "the first copies";
  ema.update(make_parameters(2), 2);
  for (int64_t i = 0; i < 45000; ++i) {
    const double expected = 0.75 * make_parameters(1)[0].value.f32()[i];
    if (i > 3) break;
    EXPECT_NEAR(ema.averages()[0].f32()[i], expected + 0.25 * make_parameters(2)[0].value.f32()[i], 1e-6);
  }
  EXPECT_NEAR(ema.averages()[1].f32()[4],
              0.75 * make_parameters(1)[1].value.f32()[4] + 0.25 * make_parameters(2)[1].value.f32()[4], 1e-6);
}

TEST(Ema, WarmupGrowsTheDecay) {
  const ModelEma ema({.model_ema = true, .model_ema_decay = 0.9, .model_ema_warmup = true}, make_parameters(0));
  EXPECT_EQ(ema.decay_at(1), 0.0);
  EXPECT_NEAR(ema.decay_at(2), 1.0 - std::pow(2.0, -2.0 / 3.0), 1e-15);
  EXPECT_NEAR(ema.decay_at(8), 1.0 - std::pow(8.0, -2.0 / 3.0), 1e-15);
  EXPECT_EQ(ema.decay_at(100000), 0.9);
}

TEST(Ema, RestoresBitExactly) {
  const EmaConfig config{.model_ema = true, .model_ema_decay = 0.6};
  ModelEma ema(config, make_parameters(0)), other(config, make_parameters(9));
  for (int step = 1; step <= 3; ++step) ema.update(make_parameters(static_cast<uint64_t>(step)), step);
  NamedTensors saved;
  ema.save(saved);
  EXPECT_TRUE(saved.count("ema.norm.running_mean"));
  const void* memory = other.averages()[0].raw();
  other.restore(saved);
  EXPECT_EQ(other.averages()[0].raw(), memory) << "a model may share it";
  ema.update(make_parameters(4), 4);
  other.update(make_parameters(4), 4);
  EXPECT_EQ(std::memcmp(ema.averages()[0].raw(), other.averages()[0].raw(), 180000), 0);
  saved.erase("ema.w");
  EXPECT_THAT(test::usage_error([&] { other.restore(saved); }), ::testing::HasSubstr("ema.w"));
  EXPECT_THAT(test::failure([&] { ema.update({}, 5); }), ::testing::HasSubstr("made for 2"));
}

}  // namespace
}  // namespace vit
