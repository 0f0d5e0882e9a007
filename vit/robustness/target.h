// AttackTarget: a classifier as an attacker sees it, pixels of 0 to 1 in and logits out, with the gradient of any
// number of these by the pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/robustness/objective.h"
#include "vit/robustness/pixel_scale.h"

namespace vit {

class ImageModel;

class AttackTarget {
 public:
  virtual ~AttackTarget() = default;
  /// pixels [B, channels, height, width] -> logits [B, K]. Differentiable where the context has a tape.
  virtual Var logits(Context& ctx, const Var& pixels) const = 0;
};

/// A model of the toolkit behind its normalisation. The model must be loaded with Purpose::training, which keeps the
/// plain weights; as long as they are constants (nobody has made leaves of them) no gradient of a weight is computed.
class ModelTarget : public AttackTarget {
 public:
  /// Both outlive the target.
  ModelTarget(const ImageModel& model, const PixelScale& scale) : model_(model), scale_(scale) {}
  Var logits(Context& ctx, const Var& pixels) const override;

 private:
  const ImageModel& model_;
  PixelScale scale_;
};

/// What a pass says about pictures: everything is per picture and, as the kernels', the same bits in any batch.
struct TargetAnswer {
  Tensor logits;               ///< [B, K]
  std::vector<double> losses;  ///< the objective
  std::vector<char> fooled;
  Tensor gradient;  ///< of every picture's objective by its pixels; undefined where it was not asked for
};

/// Asks a target about pictures, in memory that is used again. One thread uses one.
class TargetProbe {
 public:
  explicit TargetProbe(const AttackTarget& target) : target_(target) {}

  /// Errors: a logit is not finite; shapes and goals do not match.
  TargetAnswer answer(const Tensor& pixels, const std::vector<AttackGoal>& goals, AttackLoss loss);
  TargetAnswer gradient(const Tensor& pixels, const std::vector<AttackGoal>& goals, AttackLoss loss);

  /// Pictures that went forward, and those that came back with a gradient.
  int64_t forwards() const { return forwards_; }
  int64_t backwards() const { return backwards_; }

 private:
  const AttackTarget& target_;
  Context ctx_;
  int64_t forwards_ = 0, backwards_ = 0;
};

/// Reads the objectives off logits [B, K], and their gradients into `d_logits` unless that is undefined.
/// Errors: as TargetProbe.
TargetAnswer judge(const Tensor& logits, const std::vector<AttackGoal>& goals, AttackLoss loss, const Tensor& d_logits);

}  // namespace vit
