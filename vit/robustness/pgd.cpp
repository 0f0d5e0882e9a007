// The fast gradient sign method and projected gradient descent (ascent of the objective).
#include "vit/robustness/attack.h"

namespace vit {

namespace {

/// One step of length eps from the picture itself, x + eps sign(d loss / d x): the answer is that point, whatever it is
/// (Goodfellow, Shlens, Szegedy 2015, section 4; l2: eps along the gradient's direction).
AttackResult fast_gradient(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options) {
  TargetProbe probe(target);
  const NormBall ball = options.ball();
  Tensor x = batch.pixels.clone();
  const TargetAnswer start = probe.gradient(x, batch.goals, options.loss);
  ball.ascend(x, batch.pixels, start.gradient, ball.eps);
  WorstFound found(batch.pixels);
  found.offer(all_places(batch.size()), x, probe.answer(x, batch.goals, options.loss));
  return found.result(probe);
}

/// One search: every point on the way is a candidate.
void search(TargetProbe& probe, const AttackBatch& batch, const std::vector<int64_t>& places,
            const AttackOptions& options, int64_t restart, WorstFound& found) {
  const NormBall ball = options.ball();
  const bool random = options.random_start || restart > 0;
  Tensor x = random ? ball.random_point(batch.pixels, options.seed, batch.numbers, restart) : batch.pixels.clone();
  for (int64_t step = 0; step < options.steps; ++step) {
    const TargetAnswer answer = probe.gradient(x, batch.goals, options.loss);
    found.offer(places, x, answer);
    ball.ascend(x, batch.pixels, answer.gradient, static_cast<float>(options.step_length()));
  }
  found.offer(places, x, probe.answer(x, batch.goals, options.loss));
}

/// Madry et al. 2018, section 2.1. Restarts are for pictures that held; of all points the worst is kept, which is never
/// easier than the last.
AttackResult projected_gradient(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options) {
  TargetProbe probe(target);
  WorstFound found(batch.pixels);
  if (options.random_start) found.offer_unchanged(probe, batch, options.loss);
  search(probe, batch, all_places(batch.size()), options, 0, found);
  for (int64_t restart = 1; restart < options.restarts; ++restart) {
    const std::vector<int64_t> places = found.unfooled();
    if (places.empty()) break;
    search(probe, batch.at(places), places, options, restart, found);
  }
  return found.result(probe);
}

}  // namespace

VITKIT_REGISTER_ATTACK("fgsm", .title = "Fast gradient sign method",
                       .summary = "one step of length eps along the gradient's signs",
                       .source = "Goodfellow, Shlens, Szegedy 2015, \"Explaining and harnessing adversarial examples\"",
                       .run = fast_gradient);
VITKIT_REGISTER_ATTACK("pgd", .title = "Projected gradient descent",
                       .summary = "steps along the gradient's signs from random points, back into the ball each time",
                       .source = "Madry et al. 2018, \"Towards deep learning models resistant to adversarial attacks\"",
                       .run = projected_gradient);
VITKIT_REGISTER_ATTACK("pgd_l2", .title = "Projected gradient descent in l2",
                       .summary = "pgd with the picture's whole change bounded, not each pixel's",
                       .source = "Madry et al. 2018, \"Towards deep learning models resistant to adversarial attacks\"",
                       .norm = Norm::l2, .run = projected_gradient);

}  // namespace vit
