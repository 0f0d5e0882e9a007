// Attention of models with and without queries, read from the end: what the methods on attention share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vit/explain/recorder.h"
#include "vit/explain/subject.h"

namespace vit {

/// Whether a module is one of these.
std::function<bool(const std::string&)> among(std::vector<std::string> modules);

/// Tokens are merged between the subject's layers (token merging), so that they have no place.
bool merges_tokens(const Subject& subject);

/// Why the gradients of the subject's attention cannot be had; empty: they can.
std::string refuse_without_gradient(const Subject& subject);

/// One layer alone: what the tokens that the subject reads look at, on the grid [rows, columns]. `layer.probs` is a
/// matrix [Nq, Nk].
Tensor read_row(const Subject& subject, const RecordedAttention& layer);

/// Attention rollout over layers whose `probs` are matrices [Nq, Nk], on the grid of the first layer that the picture
/// goes through. Queries take half of what they look at in a cross attention, as a skip connection adds it to them.
Tensor roll_back(const Subject& subject, const std::vector<RecordedAttention>& layers);

/// One pass and its gradients: probs and gradients [H, Nq, Nk] of these modules, zeros for those that do not lead to
/// the objective. Errors: none does.
std::vector<RecordedAttention> attention_with_gradient(const Subject& subject, const Tensor& pixels,
                                                       const std::vector<std::string>& modules);

/// The same where `join` makes one matrix of both as soon as they are there, so that no layer's heads are kept longer.
std::vector<RecordedAttention> joined_attention(
    const Subject& subject, const Tensor& pixels, const std::vector<std::string>& modules,
    const std::function<Tensor(const Tensor& probs, const Tensor& gradient)>& join);

/// Runs `subject` forward on pixels [B, ...] and back from the sum of its objective; returns the gradient of the
/// pixels, [B, channels, height, width].
Tensor input_gradient(const Subject& subject, const Tensor& pixels);

/// The same for who only wants what an observer sees: backward goes no further down than to the first value whose
/// gradient it wants.
void run_back(const Subject& subject, const Tensor& pixels, Observer& observer);

}  // namespace vit
