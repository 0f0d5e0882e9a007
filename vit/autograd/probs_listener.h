// An observer that takes part in the computation: what it makes of an attention's probabilities has a gradient that
// flows on to queries and keys. Attacks that aim at attention are made so (vit/robustness/patch_fool.cpp).
#pragma once

#include <string>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace vit {

class ProbsListener : public Observer {
 public:
  /// Whether the attention of this module ("blocks.3.attn") is wanted. Asked in every pass with a tape.
  virtual bool listens(const std::string& module) = 0;
  /// Its probabilities [B, H, Nq, Nk], computed once more by plain ops beside the fused kernel, which stays in use for
  /// the model's own answer: memory O(N^2).
  virtual void listen(const std::string& module, const Var& probs) = 0;
};

}  // namespace vit
