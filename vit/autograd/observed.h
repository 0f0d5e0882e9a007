// What observers see of values that have a gradient: an explanation reads both (docs/explain.md). Nothing is computed
// or recorded that no observer wants.
#pragma once

#include <string_view>
#include <vector>

#include "vit/autograd/ops.h"

namespace vit {

/// Offers x to the observer under `name`, and where a tape records, the gradient with respect to it under `name`.grad
/// as soon as backward has it whole; where nothing before x has a gradient the tape begins with it. To be used in place
/// of x from there on: what goes past it is not in the gradient. The observer must live until backward has run.
Var observed(Context& ctx, std::string_view name, const Var& x);

/// attention(), of which observers are offered "probs" and "scores", and "probs.grad" as with_probs_gradient() has it;
/// a ProbsListener (probs_listener.h) is given the probabilities as a variable.
Var observed_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                       const AttentionOptions& options);

/// Values that attention mixed, one head after the other.
struct MixedValues {
  HeadColumns v;
  int64_t heads = 1, head_dim = 0;
};

/// `mixed` [B, Nq, sum of H * D] = probabilities times values, from a kernel that keeps no probabilities. Offers
/// "probs.grad" [B, H, Nq, Nk], d_mixed v^T per head: the gradient with respect to the probabilities as if each could
/// change by itself (Chefer et al. 2021, "Generic attention-model explainability", eq. 5). As observed() it begins the
/// tape where nothing before has a gradient. Returns what is to be used in place of `mixed`. Memory O(N^2) where it is
/// wanted.
Var with_probs_gradient(Context& ctx, const Var& mixed, const std::vector<MixedValues>& values);

}  // namespace vit
