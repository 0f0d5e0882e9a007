// Patch dropout (Liu et al. 2022, "PatchDropout: economizing vision transformers using patch dropout"; Li et al. 2023,
// FLIP; timm's PatchDropout): training on a random part of the patches.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"

namespace vit {

struct PatchDropoutOptions {
  float rate = 0.0f;     ///< share of the patches that are left out, in [0, 1)
  bool ordered = false;  ///< the others keep their order
};

/// Where Context::training is set, a random choice of each sample's patches, another for each, behind all of its first
/// `prefix_tokens`: x [B, P + N, C] -> [B, P + max(1, floor(N (1 - rate))), C]. Else x itself. The draw depends on
/// ctx.seed and the op's place in the pass. Errors: a rate outside [0, 1).
Var patch_dropout(Context& ctx, const Var& x, int64_t prefix_tokens, const PatchDropoutOptions& options);

}  // namespace vit
