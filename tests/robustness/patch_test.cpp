// Patches: where they lie, that nothing else changes, and the one that aims at attention.
#include "vit/robustness/patch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/robustness/tiny_target.h"
#include "tests/support/errors.h"
#include "vit/autograd/probs_listener.h"

namespace vit {
namespace {

using test::fooled_count;
using test::kTinySide;
using test::LinearTarget;
using test::quarters;
using test::same_bits;
using test::tiny_vit;
using test::usage_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(PatchPlace, IsASquareOfTheShareInsideThePicture) {
  AttackOptions options{.share = 0.05};
  for (int64_t number = 0; number < 50; ++number) {
    const PatchPlace place = patch_place(32, 48, options, number, 0);
    EXPECT_EQ(place.height, 9);  // sqrt(0.05 * 32 * 48) = 8.76
    EXPECT_EQ(place.width, 9);
    EXPECT_TRUE(place.top >= 0 && place.top + 9 <= 32 && place.left >= 0 && place.left + 9 <= 48);
  }
  options.position = PatchPosition::center;
  EXPECT_EQ(patch_place(32, 48, options, 1, 0), (PatchPlace{11, 19, 9, 9}));
  options.position = PatchPosition::corner;
  EXPECT_EQ(patch_place(32, 48, options, 1, 0), (PatchPlace{0, 0, 9, 9}));
  options.share = 1.0;
  EXPECT_EQ(patch_place(32, 48, options, 1, 0), (PatchPlace{0, 0, 32, 39}));
  options.share = 1e-9;
  EXPECT_EQ(patch_place(32, 48, options, 1, 0), (PatchPlace{0, 0, 1, 1}));
}

TEST(PatchPlace, RandomOnesDependOnSeedPictureAndDraw) {
  const AttackOptions options{.seed = 3, .share = 0.05};
  const PatchPlace place = patch_place(32, 32, options, 7, 1);
  EXPECT_EQ(patch_place(32, 32, options, 7, 1), place);
  std::set<int64_t> tops;
  for (int64_t draw = 0; draw < 20; ++draw) tops.insert(patch_place(32, 32, options, 7, draw).top);
  EXPECT_GT(tops.size(), 5u);
}

/// The places [y][x] of one picture where any channel changed.
std::set<std::pair<int64_t, int64_t>> changed(const Tensor& before, const Tensor& after, int64_t b) {
  std::set<std::pair<int64_t, int64_t>> places;
  for (int64_t i = 0; i < test::kTinyValues; ++i)
    if (before.f32()[b * test::kTinyValues + i] != after.f32()[b * test::kTinyValues + i])
      places.emplace(i / kTinySide % kTinySide, i % kTinySide);
  return places;
}

TEST(Patch, ChangesNothingOutsideItself) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(8, 1);
  const AttackOptions options{.steps = 5, .share = 0.15};
  const AttackResult result = attack("patch", target, batch, options);
  for (int64_t b = 0; b < 8; ++b) {
    const PatchPlace place = patch_place(kTinySide, kTinySide, options, b, 0);
    const auto places = changed(batch.pixels, result.pixels, b);
    EXPECT_GT(places.size(), 0u);
    for (const auto& [y, x] : places)
      EXPECT_TRUE(y >= place.top && y < place.top + place.height && x >= place.left && x < place.left + place.width);
  }
  for (const float value : result.pixels.span<float>()) ASSERT_TRUE(value >= 0.0f && value <= 1.0f);
}

TEST(Patch, LargerOnesAndMorePlacesFoolMore) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(32, 1);
  const auto fooled = [&](double share, int64_t restarts) {
    return fooled_count(attack("patch", target, batch, {.steps = 15, .restarts = restarts, .share = share}));
  };
  const int64_t small = fooled(0.02, 1), places = fooled(0.02, 4), large = fooled(0.3, 1);
  EXPECT_GE(places, small);
  EXPECT_GT(large, small);
  EXPECT_GT(large, 16);
}

TEST(PatchFool, ChangesOneOfTheModelsPatches) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(8, 1);
  const AttackResult result = attack("patch_fool", target, batch, {.steps = 10});
  for (int64_t b = 0; b < 8; ++b) {
    const auto places = changed(batch.pixels, result.pixels, b);
    ASSERT_GT(places.size(), 0u);
    const int64_t row = places.begin()->first / 4, column = places.begin()->second / 4;
    for (const auto& [y, x] : places) {
      EXPECT_EQ(y / 4, row) << "picture " << b;
      EXPECT_EQ(x / 4, column) << "picture " << b;
    }
  }
  EXPECT_GT(fooled_count(result), 4) << "a quarter of the picture";
}

/// A linear model that tells of two attentions: one among 2 x 2 patches, and one among 1 x 2 after them.
class ShrinkingTarget : public LinearTarget {
 public:
  Var logits(Context& ctx, const Var& pixels) const override {
    Var answer = LinearTarget::logits(ctx, pixels);
    if (auto* const listener = dynamic_cast<ProbsListener*>(ctx.observer)) {
      const Var turned = concat_features(ctx, slice_features(ctx, answer, 2, 4), slice_features(ctx, answer, 0, 2));
      const Var looks = softmax(ctx, scale(ctx, turned, 0.2f));
      tell(*listener, 2, 2, reshape(ctx, looks, {pixels.size(0), 1, 1, 4}));
      tell(*listener, 1, 2, reshape(ctx, slice_features(ctx, looks, 0, 2), {pixels.size(0), 1, 1, 2}));
    }
    return answer;
  }

 private:
  static void tell(ProbsListener& listener, float rows, float columns, const Var& probs) {
    listener.observe("layout", Tensor::from<float>({0.0f, rows, columns}, {3}));
    listener.listen("attn", probs);
  }
};

TEST(PatchFool, LooksAtLayersOfTheFirstGridAlone) {
  const ShrinkingTarget target;
  const AttackBatch batch = quarters(12, 1);
  const AttackResult result = attack("patch_fool", target, batch, {.steps = 3});
  TargetProbe probe(target);
  const Tensor logits = probe.answer(batch.pixels, batch.goals, AttackLoss::cross_entropy).logits;
  std::set<int64_t> cells;
  for (int64_t b = 0; b < 12; ++b) {
    const int64_t cell = (predicted_class(logits.f32() + b * 4, 4) + 2) % 4;  // the patch that is looked at most
    cells.insert(cell);
    for (const auto& [y, x] : changed(batch.pixels, result.pixels, b))
      EXPECT_EQ(y / 4 * 2 + x / 4, cell) << "picture " << b;
  }
  EXPECT_GT(*cells.rbegin(), 1) << "a patch that the later grid does not have";
}

TEST(PatchFool, RefusesModelsWithoutAttention) {
  const LinearTarget target;
  const AttackBatch batch = quarters(2, 1);
  EXPECT_THAT(
      usage_error([&] { require_attack("patch_fool", target, batch.pixels); }),
      AllOf(HasSubstr("'patch_fool' does not apply"), HasSubstr("no attention"),
            HasSubstr("those that do: apgd_ce, apgd_dlr, fgsm, patch, pgd"), Not(HasSubstr("pgd_l2, patch_fool"))));
  EXPECT_THAT(usage_error([&] { attack("patch_fool", target, batch, {}); }), HasSubstr("no attention"));
  require_attack("patch", target, batch.pixels);
  require_attack("patch_fool", tiny_vit().target(), batch.pixels);
}

TEST(Patches, GiveTheSameBytesInAnyBatch) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(6, 1);
  for (const std::string name : {"patch", "patch_fool"}) {
    const AttackOptions options{.steps = 3, .restarts = 2, .seed = 9};
    const AttackResult whole = attack(name, target, batch, options);
    const AttackResult part = attack(name, target, batch.at({4, 5}), options);
    EXPECT_TRUE(same_bits(part.pixels, whole.pixels.slice(4, 6))) << name;
  }
}

/// Keeps the probabilities that it is told, and their module.
class Ear : public ProbsListener {
 public:
  bool wants(const std::string&) override { return false; }
  void observe(const std::string&, const Tensor&) override {}
  bool listens(const std::string& module) override { return module == "blocks.1.attn"; }
  void listen(const std::string& module, const Var& probs) override { heard.emplace_back(module, probs); }
  std::vector<std::pair<std::string, Var>> heard;
};

TEST(ProbsListener, HearsProbabilitiesWhoseGradientReachesThePixels) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(2, 1);
  const auto received = [&](const Tensor& pixels, Tensor* gradient) {
    Context ctx;
    Tape tape(ctx);
    Ear ear;
    ctx.tape = &tape;
    ctx.observer = &ear;
    const Var input = Var::leaf(pixels);
    target.logits(ctx, input);
    EXPECT_EQ(ear.heard.size(), 1u);
    const Tensor probs = ear.heard.at(0).second.value();
    Tensor d_probs = Tensor::zeros(probs.shape());
    double sum = 0.0;
    for (int64_t i = 2; i < probs.numel(); i += probs.size(3)) {
      sum += probs.f32()[i];
      d_probs.f32()[i] = 1.0f;
    }
    tape.backward(ear.heard.at(0).second, d_probs);
    if (gradient) *gradient = input.grad();
    return sum;
  };
  Tensor gradient;
  received(batch.pixels, &gradient);
  const Tensor direction = test::random_tensor(batch.pixels.shape(), 4);
  double expected = 0.0;
  Tensor above = batch.pixels.clone(), below = batch.pixels.clone();
  for (int64_t i = 0; i < gradient.numel(); ++i) {
    expected += static_cast<double>(gradient.f32()[i]) * direction.f32()[i];
    above.f32()[i] += 2e-3f * direction.f32()[i];
    below.f32()[i] -= 2e-3f * direction.f32()[i];
  }
  ASSERT_GT(std::abs(expected), 1e-3);
  EXPECT_NEAR((received(above, nullptr) - received(below, nullptr)) / 4e-3, expected, 0.02 * std::abs(expected) + 1e-3);
}

}  // namespace
}  // namespace vit
