// How what is read of the last tokens goes back through the attention of all layers to the first tokens, which are the
// picture's patches: the arithmetic of attention rollout and of class relevance. One row of the product of all layers'
// matrices is wanted, so rows are multiplied from the top, and no product of matrices is made.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/explain/method.h"
#include "vit/explain/subject.h"

namespace vit {

/// Heads as one matrix: [H, Nq, Nk] -> [Nq, Nk], one head, or all by `fusion`. Errors (usage): no such head.
Tensor fused_heads(const Tensor& probs, const std::optional<int64_t>& head, HeadFusion fusion);

/// The same of probabilities times their gradient; with `positive_only` what is below 0 counts as 0 in each head.
Tensor fused_products(const Tensor& probs, const Tensor& gradient, const std::optional<int64_t>& head,
                      HeadFusion fusion, bool positive_only);

/// In place: the share `ratio` of the weakest entries of a matrix [Nq, Nk] becomes 0, but not its first entry, what
/// the class token gives itself (as Gildenblat's vit-explain has it).
void discard_weakest(Tensor& matrix, double ratio);

/// What follows from a layer's matrix A [Nq, Nk], Nq <= Nk. Tokens that do not ask stay as they are.
enum class FlowRule {
  rollout,    ///< r (A + I) / rows' sums: Abnar, Zuidema 2020, "Quantifying attention flow in transformers", eq. 1
  relevance,  ///< r + r A: Chefer et al. 2021, eq. 6, for a row of R
};

/// r [Nk] over the tokens after a layer -> over those before it.
std::vector<double> through_layer(const std::vector<double>& after, const Tensor& matrix, FlowRule rule);

/// The same values on tokens of another layout, as stages have them: a cell's value is shared by the cells under it
/// according to their areas; class tokens that the lower stage does not have take their values with them.
std::vector<double> on_layout(const std::vector<double>& values, const TokenLayout& from, const TokenLayout& to,
                              int64_t tokens);

/// One layer on the way.
struct FlowLayer {
  Tensor matrix;  ///< [Nq, Nk]
  TokenLayout layout;
};

/// What `start`, over the tokens after the last layer, rests on before the first, without what is there from the start
/// (the identity of the rule `relevance`): over the tokens of layers[0]. Errors: no layers.
std::vector<double> flow_back(const std::vector<FlowLayer>& layers, const std::vector<double>& start, FlowRule rule);

/// The values of a layout's cells: f32 [rows, columns].
Tensor cells_of(const std::vector<double>& values, const TokenLayout& layout);

}  // namespace vit
