// Targets of attacks in tests: a linear one, whose gradient is known, and a small vision transformer that has learnt
// three patterns in noise.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/tape.h"
#include "vit/core/rng.h"
#include "vit/models/build.h"
#include "vit/robustness/attack.h"

namespace vit::test {

inline constexpr int64_t kTinySide = 8, kTinyClasses = 4, kTinyValues = 3 * kTinySide * kTinySide;

/// logits = W x, W [kTinyClasses, values].
class LinearTarget : public AttackTarget {
 public:
  LinearTarget() : weight(random_tensor({kTinyClasses, kTinyValues}, 3, 0.2f)) {}
  Var logits(Context& ctx, const Var& pixels) const override {
    return linear(ctx, reshape(ctx, pixels, {pixels.size(0), kTinyValues}), {Var(weight), PackedWeight()}, {});
  }
  Tensor weight;
};

/// Grey pictures with a brighter quarter, in noise: the quarter is the class.
inline AttackBatch quarters(int64_t count, uint64_t seed) {
  AttackBatch batch{.pixels = Tensor::empty({count, 3, kTinySide, kTinySide})};
  for (int64_t b = 0; b < count; ++b) {
    Rng rng(seed, static_cast<uint64_t>(b));
    const int64_t label = b % kTinyClasses, half = kTinySide / 2;
    for (int64_t i = 0; i < kTinyValues; ++i) {
      const int64_t y = i / kTinySide % kTinySide, x = i % kTinySide;
      const float bright = y / half * 2 + x / half == label ? 0.3f : 0.0f;
      batch.pixels.f32()[b * kTinyValues + i] = std::clamp(0.3f + bright + 0.1f * rng.normal(), 0.0f, 1.0f);
    }
    batch.goals.push_back({.label = label});
    batch.numbers.push_back(b);
  }
  return batch;
}

/// A ViT trained on such pictures for some dozen steps along the gradient's signs: right about most of them, and easily
/// fooled.
class TinyVit {
 public:
  TinyVit() {
    model_ = build_model(ConfigNode::parse("{type: vit, img_size: [8, 8], patch_size: [4, 4], embed_dim: 16, depth: 2, "
                                           "num_heads: 2, num_classes: 4}",
                                           "tiny.yaml"),
                         "tiny");
    initialise_parameters(*model_, 1, Purpose::training);
    train();
  }
  const ImageModel& model() const { return *model_; }
  ModelTarget target() const { return {*model_, scale()}; }
  static PixelScale scale() { return {{4.0f, 4.0f, 4.0f}, {-2.0f, -2.0f, -2.0f}}; }

 private:
  void train() {
    for (uint64_t step = 0; step < 200; ++step) {
      const AttackBatch batch = quarters(32, 100 + step);
      model_->visit_parameters(
          [](const std::string&, Parameter& parameter) { parameter.value = Var::leaf(parameter.value.value()); });
      Context ctx;
      Tape tape(ctx);
      ctx.tape = &tape;
      Tensor targets = Tensor::empty({32}, DType::i64);
      for (size_t b = 0; b < 32; ++b) targets.data<int64_t>()[b] = batch.goals[b].label;
      tape.backward(cross_entropy(ctx, model_->forward(ctx, scale().normalized(batch.pixels)), targets));
      const float rate = 0.005f * (1.0f - static_cast<float>(step) / 200.0f);
      model_->visit_parameters([rate](const std::string&, Parameter& parameter) {
        const Tensor value = parameter.value.value(), grad = parameter.value.grad();
        for (int64_t i = 0; grad.defined() && i < value.numel(); ++i) {
          const float slope = grad.f32()[i];
          value.f32()[i] -= rate * (static_cast<float>(slope > 0.0f) - static_cast<float>(slope < 0.0f));
        }
        parameter.value = Var(value);
      });
    }
  }
  std::unique_ptr<ImageModel> model_;
};

/// One that is trained once.
inline const TinyVit& tiny_vit() {
  static const TinyVit vit;
  return vit;
}

inline int64_t fooled_count(const AttackResult& result) {
  return std::count(result.fooled.begin(), result.fooled.end(), static_cast<char>(1));
}

}  // namespace vit::test
