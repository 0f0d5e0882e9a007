// The model that `vitkit robustness` asks about.
#pragma once

#include <memory>

#include "apps/robustness_options.h"
#include "vit/core/tensor.h"
#include "vit/image/preprocess.h"
#include "vit/models/labels.h"
#include "vit/models/model.h"

namespace apps {

/// A classifier with its plain weights, which gradients by the pixels need.
struct AttackedModel {
  std::unique_ptr<vit::ImageModel> model;
  vit::Preprocessor preprocessor;
  vit::ClassLabels labels;
};

/// Errors (usage): a model of another kind, or without classes; as vit::Checkpoint::open and vit::load_model.
AttackedModel load_attacked(const RobustnessOptions& options, const CommonOptions& common);

/// A grey picture of the size that the model takes, [1, 3, height, width].
vit::Tensor sample_of(const AttackedModel& loaded);

}  // namespace apps
