#include "vit/robustness/target.h"

#include <cmath>

#include "vit/autograd/tape.h"
#include "vit/models/model.h"

namespace vit {

Var ModelTarget::logits(Context& ctx, const Var& pixels) const {
  return model_.forward(ctx, scale_.normalized(ctx, pixels));
}

TargetAnswer judge(const Tensor& logits, const std::vector<AttackGoal>& goals, AttackLoss loss,
                   const Tensor& d_logits) {
  check(logits.rank() == 2 && logits.size(0) == static_cast<int64_t>(goals.size()), "attack: ", goals.size(),
        " goals for logits ", logits.shape());
  const int64_t classes = logits.size(1);
  TargetAnswer answer{.logits = logits, .losses = {}, .fooled = {}, .gradient = {}};
  for (size_t b = 0; b < goals.size(); ++b) {
    const float* row = logits.f32() + static_cast<int64_t>(b) * classes;
    for (int64_t k = 0; k < classes; ++k)
      check(std::isfinite(row[k]), "attack: logit ", k, " of the model is ", row[k], ": there is nothing to attack");
    float* d_row = d_logits.defined() ? d_logits.f32() + static_cast<int64_t>(b) * classes : nullptr;
    answer.losses.push_back(attack_objective(loss, row, classes, goals[b], d_row));
    answer.fooled.push_back(static_cast<char>(is_fooled(row, classes, goals[b])));
  }
  return answer;
}

TargetAnswer TargetProbe::answer(const Tensor& pixels, const std::vector<AttackGoal>& goals, AttackLoss loss) {
  forwards_ += pixels.size(0);
  return judge(target_.logits(ctx_, pixels).value(), goals, loss, {});
}

TargetAnswer TargetProbe::gradient(const Tensor& pixels, const std::vector<AttackGoal>& goals, AttackLoss loss) {
  forwards_ += pixels.size(0);
  backwards_ += pixels.size(0);
  Tape tape(ctx_);
  ctx_.tape = &tape;
  const Var input = Var::leaf(pixels);
  Var logits;
  try {
    logits = target_.logits(ctx_, input);
  } catch (...) {
    ctx_.tape = nullptr;
    throw;
  }
  ctx_.tape = nullptr;
  check(logits.requires_grad(), "attack: the logits do not depend on the pixels");
  Tensor d_logits = Tensor::empty(logits.shape());
  TargetAnswer answer = judge(logits.value(), goals, loss, d_logits);
  tape.backward(logits, std::move(d_logits));
  answer.gradient = input.grad();
  check(answer.gradient.defined(), "attack: no gradient came back to the pixels");
  return answer;
}

}  // namespace vit
