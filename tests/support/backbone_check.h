// What every backbone promises, for tests of model families: a pass with a tape or without, with prepared weights or
// plain ones, on any number of threads, and the maps of its stages.
#pragma once

#include <functional>
#include <memory>

#include "vit/models/backbone.h"

namespace vit::test {

/// Makes the model anew, without weights.
using MakeBackbone = std::function<std::unique_ptr<Backbone>()>;

/// Recording, and weights that are prepared for inference, change no numbers (beyond rounding).
void expect_same_with_and_without_tape(const MakeBackbone& make, const Tensor& images);
/// Each parameter's gradient is the slope along it.
void expect_slopes(const MakeBackbone& make, const Tensor& images);
/// In training, gradients have the same bits with grad_checkpointing, and on 1, 2 and 8 threads.
void expect_same_gradients(const MakeBackbone& make, const Tensor& images, const TrainingOptions& options);
/// forward_maps gives what an observer sees under the names of features(), in any order; other indices are refused.
void expect_maps_are_observed(const MakeBackbone& make, const Tensor& images);
/// The description makes the same model again.
void expect_description_makes_it_again(const MakeBackbone& make);
/// Prepared for another size at once or met in the pass, an image gives the same logits.
void expect_other_sizes(const MakeBackbone& make, const Tensor& images);

}  // namespace vit::test
