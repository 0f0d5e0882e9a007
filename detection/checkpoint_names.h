// Names of a Hugging Face detector's tensors, beyond a prefix: stacked projections, and heads of which a file may hold
// one copy or all.
#pragma once

#include <string>
#include <vector>

#include "vit/models/load.h"

namespace detection {

/// `prefix` and our name, except that our "self_attn.in_proj_weight" (and bias) is made of q_proj, k_proj and v_proj.
vit::KeyRule stacked_projections(const std::string& ours, const std::string& prefix);

/// The first of the names that the weights have (the first of all where they are null or have none); the others are
/// added to `ignored`: they are the same tensor.
vit::KeyRule first_of_copies(const std::string& ours, const std::vector<std::string>& names,
                             const vit::Weights* weights, std::vector<std::string>& ignored);

}  // namespace detection
