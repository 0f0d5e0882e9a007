// How pictures become a detector's input, in the form in which checkpoints say it: preprocessor_config.json of
// transformers' image processors.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "detection/model.h"
#include "vit/image/preprocess.h"

namespace vit {
class Checkpoint;
}

namespace detection {

/// What a training run asks for in place of the checkpoint's.
struct ProcessorChanges {
  std::optional<vit::Extent> size{};  ///< of the input; none: the checkpoint's, else the model's
  /// Pictures keep their ratio within `size` and are padded to it; else both sides are stretched to it. Without `size`
  /// it applies to a model without a checkpoint.
  bool keep_ratio = false;
  std::optional<std::array<double, 3>> mean{}, std{};
  std::optional<std::string> interpolation{};  ///< "bilinear", ...
};

/// The preprocessor_config.json of a detector: the checkpoint's where it has one, else what the family's processor does
/// (DetectionModel::image_processor) at the model's input size, with the changes. `checkpoint` may be null: a model
/// from nothing. Errors (usage): an unknown filter, a std that is 0.
nlohmann::ordered_json processor_config(const vit::Checkpoint* checkpoint, const DetectionModel& model,
                                        const ProcessorChanges& changes = {});

/// The pre-processing of a checkpoint or of a model configuration without weights. `img_size`: the input becomes a
/// square of this side, or the shorter side where ratios are kept. Errors (usage): wrong values in a file.
vit::Preprocessor load_processor(const vit::Checkpoint& checkpoint, const DetectionModel& model,
                                 std::optional<int64_t> img_size = {});

}  // namespace detection
