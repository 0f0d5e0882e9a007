// Rotary position embedding as an op on the heads of packed projections.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"

namespace vit {

/// The angle by which each pair of a head's channels is turned: sine and cosine, f32 [R, D / 2] each, for the last R
/// tokens of a sequence.
struct Rotation {
  Tensor sine, cosine;
};

/// Turns the channels (2i, 2i + 1) of every head inside `columns` by angle i of its token (Su et al. 2021, "RoFormer",
/// eq. 15; timm's apply_rot_embed, which is the interleaved form): (a, b) -> (a cos - b sin, a sin + b cos). Tokens
/// [B, N, *] -> the same shape; other columns, and the N - R tokens in front (class, registers), stay as they are. In
/// place in inference, as head_norm. Errors: head_dim is odd, columns outside the tokens, a rotation of another shape.
Var rotate_heads(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim, const Rotation& rotation);

}  // namespace vit
