// Losses: from logits to one number. Each is a mean over the batch.
#pragma once

#include <optional>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace vit {

struct CrossEntropyOptions {
  float label_smoothing =
      0.0f;                ///< share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)
  Tensor class_weights{};  ///< f32 [K] or undefined: a factor per class; the mean is then weighted, as torch's
};

/// Softmax cross-entropy: logits [B, K], targets i64 [B] (class numbers) or f32 [B, K] (a distribution per sample) ->
/// [1]. As torch.nn.functional.cross_entropy and timm's LabelSmoothing/SoftTargetCrossEntropy.
/// Errors: shapes do not match, a class number outside [0, K).
Var cross_entropy(Context& ctx, const Var& logits, const Tensor& targets, const CrossEntropyOptions& options = {});

struct BinaryCrossEntropyOptions {
  float label_smoothing = 0.0f;  ///< class numbers become off = smoothing / K and on = 1 - smoothing + off, as timm's
  std::optional<float> target_threshold{};  ///< targets above it count as 1, the others as 0
  bool sum_classes = false;                 ///< sum over the classes instead of their mean
  Tensor class_weights{};                   ///< f32 [K] or undefined: a factor per class
};

/// Sigmoid cross-entropy of every class for itself ("ResNet strikes back", Wightman et al. 2021; timm's
/// BinaryCrossEntropy): logits [B, K], targets i64 [B] or f32 [B, K] -> [1]. Errors: as cross_entropy.
Var binary_cross_entropy(Context& ctx, const Var& logits, const Tensor& targets,
                         const BinaryCrossEntropyOptions& options = {});

}  // namespace vit
