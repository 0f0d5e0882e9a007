// Adversarial training (Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks"): the model
// learns from the pictures that fool its present self most, found anew at every step within a ball around each picture.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/config.h"
#include "vit/robustness/norm_ball.h"
#include "vit/robustness/pixel_scale.h"

namespace vit {

class Module;
struct Context;

struct AdversarialConfig {
  double eps = 8.0 / 255.0;
  int64_t steps = 7;
  std::optional<double> alpha{};
  Norm norm = Norm::linf;
  bool random_start = true;
  double clean_share = 0.0;
  double warmup = 0.0;
  std::optional<double> trades_beta{};

  template <class V>
  void visit_fields(V& v) {
    v("eps", eps, "Largest change: of any pixel (linf) or a picture's length (l2); pixels lie between 0 and 1.");
    v("steps", steps, "Steps of each search for a worse picture; 1: the fast gradient sign.", between(1, 1000));
    v("alpha", alpha,
      "Length of a step, in eps' units; none: 2.5 eps / steps, or 1.25 eps for a single step from a random start.",
      above(0));
    v("norm", norm, "What `eps` measures.");
    v("random_start", random_start, "Begin at a random point of the ball instead of at the picture.");
    v("clean_share", clean_share, "Share of each batch that stays as it is.", between(0, 0.99));
    v("warmup", warmup, "Share of the run over which eps grows from 0 to its value.", between(0, 1));
    v("trades_beta", trades_beta,
      "Cross-entropy of the pictures as they are, plus so much times the divergence of the answers to the changed ones "
      "(TRADES), instead of the loss of the changed ones; 6 is usual.",
      above(0));
  }
  /// Errors (usage): an eps of 0 or less, or beyond 1 in linf; clean_share with trades_beta.
  void validate() const;
  double step_length() const;
};

class AdversarialTraining {
 public:
  /// The loss [1] of normalised pictures that stand for those of the batch from number `first` on.
  using LossOf = std::function<Var(Context&, const Var& images, int64_t first)>;

  AdversarialTraining(const AdversarialConfig& config, const PixelScale& scale);

  const AdversarialConfig& config() const { return config_; }
  /// `share` of the run is behind: the warm-up's part of eps from here on.
  void start_epoch(double share);
  double eps() const { return eps_; }

  /// Pictures of the ball around each of `images` (f32 [B, 3, height, width], normalised) at which `loss` is large: the
  /// last points of projected gradient ascent. The module's parameters are constants meanwhile. What is random depends
  /// on ctx.seed and ctx.random_calls, neither of which moves.
  Tensor examples(Module& module, Context& ctx, const Tensor& images, const LossOf& loss) const;

 private:
  AdversarialConfig config_;
  PixelScale scale_;
  double eps_;
};

/// Mean over the batch of KL(softmax(p) || softmax(q)), logits [B, K] each -> [1]: the second term of TRADES (Zhang et
/// al. 2019, "Theoretically principled trade-off between robustness and accuracy", eq. 5).
Var kl_divergence(Context& ctx, const Var& p, const Var& q);

}  // namespace vit
