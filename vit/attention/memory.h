// What mechanisms share whose queries look at a memory: which tokens that is, and what is added to the scores.
#pragma once

#include "vit/nn/attention.h"

namespace vit {

/// The tokens that queries look at: AttentionInput::memory, or x itself where there is none. Errors: a memory of
/// another width or batch.
Var memory_of(const Var& x, const AttentionInput& input, int64_t memory_dim);

/// What is added to the scores: AttentionInput::bias and memory_mask in one tensor that attention() takes, [1 or B, H
/// or 1, T or 1, M]; undefined where there is neither. Errors: a mask of another shape than [B, M] of the memory.
Var memory_bias(Context& ctx, const AttentionInput& input, const Var& memory);

/// Cm, or C where x is its own memory.
inline int64_t source_dim(const AttentionShape& shape) { return shape.memory_dim > 0 ? shape.memory_dim : shape.dim; }

/// For a mechanism that forms its scores itself, with one head: scores [B, 1, T, M] and what memory_bias() adds to
/// them. Errors (usage): a bias of several heads.
Var with_memory_bias(Context& ctx, const Var& scores, const AttentionInput& input, const Var& memory);

/// The tokens that ask: the first AttentionInput::wanted_tokens of x, or all.
Var asking_tokens(Context& ctx, const Var& x, const AttentionInput& input);

/// What is the same for every sample, [1, N, C], for a batch of them: [B, N, C].
Var repeat_for_batch(Context& ctx, const Var& x, int64_t batch);

/// Head dimension D = dim / num_heads. Errors (usage): num_heads does not divide dim.
int64_t head_dim_of(const AttentionShape& shape);

/// Errors (usage): the mechanism has no scores that a bias could be added to, and the model has one.
void refuse_bias(const std::string& mechanism, const AttentionInput& input);

}  // namespace vit
