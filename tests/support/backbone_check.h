// What every backbone promises beyond any model (model_check.h), for tests of model families: the maps of its stages,
// other image sizes, a description of itself.
#pragma once

#include <functional>
#include <memory>

#include "vit/models/backbone.h"

namespace vit::test {

/// Makes the model anew, without weights.
using MakeBackbone = std::function<std::unique_ptr<Backbone>()>;

/// forward_maps gives what an observer sees under the names of features(), in any order; other indices are refused.
void expect_maps_are_observed(const MakeBackbone& make, const Tensor& images);
/// The description makes the same model again.
void expect_description_makes_it_again(const MakeBackbone& make);
/// Prepared for another size at once or met in the pass, an image gives the same logits.
void expect_other_sizes(const MakeBackbone& make, const Tensor& images);

}  // namespace vit::test
