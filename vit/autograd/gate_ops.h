// What residual branches of convolutional networks end with: gates on channels, and activations that need no memory.
#pragma once

#include "vit/autograd/ops.h"

namespace vit {

/// residual + x * gate, a factor per sample and channel (Hu et al. 2018, "Squeeze-and-excitation networks", eq. 4).
/// x [B, N, C], gate [B, C], residual [B, N, C] or undefined -> [B, N, C], in one pass over
/// memory. Errors: shapes do not match.
Var gate_channels(Context& ctx, const Var& x, const Var& gate, const Var& residual = {});

/// activate(), but in inference x's memory becomes the result's where nobody else holds it: hand it over.
Var activate_in_place(Context& ctx, Var x, Activation activation);

}  // namespace vit
