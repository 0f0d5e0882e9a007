// The loss that captioners are trained with, and how captions become its inputs (teacher forcing).
#pragma once

#include <cstdint>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace captioning {

/// Stands in labels where nothing is to be learnt: padding.
inline constexpr int64_t kIgnoredLabel = -100;

/// Softmax cross-entropy of every word, the mean over all labels that count: logits [B, T, V], labels i64 [B, T], at t
/// the word that logits[t] is to give, or kIgnoredLabel -> [1]. As torch.nn.functional.cross_entropy over the flattened
/// words. Errors: shapes do not match, a label outside the vocabulary, none that counts.
vit::Var caption_loss(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels,
                      float label_smoothing = 0.0f);

/// What a decoder is given where all it is to say are `labels` [B, T]: the start in front, everything one place later,
/// `pad` for what is ignored (transformers' shift_tokens_right). i64 [B, T].
vit::Tensor shifted_right(const vit::Tensor& labels, int64_t start, int64_t pad);

/// What a decoder is to say that was given a caption whose `labels` [B, T] are its own ids (ignored where it is
/// padding): at t the label of t + 1, at the end kIgnoredLabel. BLIP shifts inside its loss like this. i64 [B, T].
vit::Tensor next_labels(const vit::Tensor& labels);

}  // namespace captioning
