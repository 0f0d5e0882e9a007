// What every model of images promises, for tests of model families: a pass with a tape or without, with prepared
// weights or plain ones, with checkpointing or not, and on any number of threads.
#pragma once

#include <functional>
#include <memory>

#include "tests/support/model_gradients.h"
#include "vit/models/model.h"

namespace vit::test {

/// Makes the model anew, without weights.
using MakeModel = std::function<std::unique_ptr<ImageModel>()>;

/// Everything on that draws random numbers.
inline constexpr TrainingOptions kRandomTraining{
    .drop_rate = 0.1f, .pos_drop_rate = 0.1f, .proj_drop_rate = 0.2f, .drop_path_rate = 0.3f};

/// Equal but for the rounding of a chain of operations in another order, as the fused forms of inference have it.
void expect_close(const Tensor& a, const Tensor& b, int64_t operations = 400);
/// Recording, weights that are prepared for inference, and an observer, change no numbers (beyond rounding).
void expect_same_with_and_without_tape(const MakeModel& make, const Tensor& images, int64_t operations = 400);
/// Each parameter's gradient is the slope along it.
void expect_slopes(const MakeModel& make, const Tensor& images, double step = kSmoothStep);
/// A training step's gradients and running statistics have the same bits with grad_checkpointing.
void expect_same_when_checkpointing(const MakeModel& make, const Tensor& images,
                                    const TrainingOptions& options = kRandomTraining);
/// They have the same bits on 1, 2 and 8 threads.
void expect_same_on_any_threads(const MakeModel& make, const Tensor& images,
                                const TrainingOptions& options = kRandomTraining);

}  // namespace vit::test
