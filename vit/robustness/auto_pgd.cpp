#include "vit/robustness/auto_pgd.h"

#include <algorithm>
#include <cmath>

#include "vit/robustness/attack.h"

namespace vit {

namespace {

constexpr double kRisesWanted = 0.75;  // rho
constexpr float kMomentum = 0.75f;     // alpha: share of the new step in the move
constexpr double kFirstStep = 2.0;     // eta, in eps

void copy_picture(const Tensor& from, const Tensor& to, int64_t index) {
  const int64_t count = from.numel() / from.size(0);
  std::copy_n(from.f32() + index * count, count, to.f32() + index * count);
}

/// One search of AutoPGD (algorithm 1), all pictures side by side, each with a step of its own.
class Search {
 public:
  Search(TargetProbe& probe, const AttackBatch& batch, const AttackOptions& options, int64_t restart)
      : probe_(probe), batch_(batch), options_(options), ball_(options.ball()) {
    const bool random = options.random_start || restart > 0;
    x_ = random ? ball_.random_point(batch.pixels, options.seed, batch.numbers, restart) : batch.pixels.clone();
    previous_ = x_.clone();
  }

  void run(const std::vector<int64_t>& places, WorstFound& found) {
    TargetAnswer answer = probe_.gradient(x_, batch_.goals, options_.loss);
    found.offer(places, x_, answer);
    begin(answer);
    const std::vector<int64_t> checkpoints = auto_pgd_checkpoints(options_.steps);
    size_t next = 1;  // of the checkpoints; the first is the start
    for (int64_t k = 1; k <= options_.steps; ++k) {
      move(k == 1);
      const bool last = k == options_.steps;
      answer = last ? probe_.answer(x_, batch_.goals, options_.loss) : probe_.gradient(x_, batch_.goals, options_.loss);
      found.offer(places, x_, answer);
      if (last) return;
      look(answer);
      if (next < checkpoints.size() && checkpoints[next] == k) {
        look_back();
        ++next;
      }
    }
  }

 private:
  void begin(const TargetAnswer& answer) {
    best_ = x_.clone();
    gradient_ = answer.gradient;
    best_gradient_ = gradient_.clone();
    for (const double loss : answer.losses) rules_.emplace_back(kFirstStep * options_.eps, loss);
  }

  /// z = P(x + step * gradient); x' = P(x + momentum * (z - x) + (1 - momentum) * (x - previous)); the first move has
  /// no momentum.
  void move(bool first) {
    std::vector<float> steps;
    for (const StepRule& rule : rules_) steps.push_back(static_cast<float>(rule.step()));
    Tensor z = x_.clone();
    ball_.ascend(z, batch_.pixels, gradient_, steps);
    if (!first) {
      for (int64_t i = 0; i < z.numel(); ++i) {
        const float x = x_.f32()[i];
        z.f32()[i] = x + kMomentum * (z.f32()[i] - x) + (1.0f - kMomentum) * (x - previous_.f32()[i]);
      }
      ball_.project(z, batch_.pixels);
    }
    previous_ = std::move(x_);
    x_ = std::move(z);
  }

  void look(const TargetAnswer& answer) {
    gradient_ = answer.gradient;
    for (size_t b = 0; b < rules_.size(); ++b) {
      const bool better = answer.losses[b] > rules_[b].best();
      rules_[b].saw(answer.losses[b]);
      if (!better) continue;
      copy_picture(x_, best_, static_cast<int64_t>(b));
      copy_picture(gradient_, best_gradient_, static_cast<int64_t>(b));
    }
  }

  void look_back() {
    for (size_t b = 0; b < rules_.size(); ++b) {
      if (!rules_[b].halve_at_checkpoint()) continue;
      copy_picture(best_, x_, static_cast<int64_t>(b));
      copy_picture(best_gradient_, gradient_, static_cast<int64_t>(b));
    }
  }

  TargetProbe& probe_;
  const AttackBatch& batch_;
  const AttackOptions& options_;
  NormBall ball_;
  Tensor x_, previous_, gradient_, best_, best_gradient_;
  std::vector<StepRule> rules_;
};

AttackResult auto_pgd(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options) {
  TargetProbe probe(target);
  WorstFound found(batch.pixels);
  if (options.random_start) found.offer_unchanged(probe, batch, options.loss);
  Search(probe, batch, options, 0).run(all_places(batch.size()), found);
  for (int64_t restart = 1; restart < options.restarts; ++restart) {
    const std::vector<int64_t> places = found.unfooled();
    if (places.empty()) break;
    const AttackBatch part = batch.at(places);
    Search(probe, part, options, restart).run(places, found);
  }
  return found.result(probe);
}

}  // namespace

std::vector<int64_t> auto_pgd_checkpoints(int64_t steps) {
  std::vector<int64_t> checkpoints = {0};
  // In hundredths, so that nothing is rounded but at the end.
  for (int64_t before = 0, p = 22; p <= 100;) {
    const int64_t w = (p * steps + 99) / 100;
    if (w > checkpoints.back()) checkpoints.push_back(w);
    const int64_t next = p + std::max<int64_t>(p - before - 3, 6);
    before = p;
    p = next;
  }
  return checkpoints;
}

void StepRule::saw(double objective) {
  ++iterations_;
  if (objective > last_) ++rises_;
  last_ = objective;
  best_ = std::max(best_, objective);
}

bool StepRule::halve_at_checkpoint() {
  const bool few_rises = static_cast<double>(rises_) < kRisesWanted * static_cast<double>(iterations_);
  const bool stuck = !halved_last_ && best_at_last_ >= best_;
  rises_ = iterations_ = 0;
  halved_last_ = few_rises || stuck;
  best_at_last_ = best_;
  if (!halved_last_) return false;
  step_ /= 2.0;
  last_ = best_;
  return true;
}

VITKIT_REGISTER_ATTACK("apgd_ce", .title = "AutoPGD with cross-entropy",
                       .summary = "pgd with momentum that halves its step where it gets no further",
                       .source = "Croce, Hein 2020, \"Reliable evaluation of adversarial robustness\"",
                       .loss = AttackLoss::cross_entropy, .run = auto_pgd);
VITKIT_REGISTER_ATTACK("apgd_dlr", .title = "AutoPGD with the difference of logits ratio",
                       .summary = "the same, with a loss that neither shifting nor scaling the logits changes",
                       .source = "Croce, Hein 2020, \"Reliable evaluation of adversarial robustness\"",
                       .loss = AttackLoss::dlr, .run = auto_pgd);

}  // namespace vit
