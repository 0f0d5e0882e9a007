// What a classifier is made of, for who makes one of a model that vit/models does not know how to ask.
#pragma once

#include <memory>

#include "vit/image/preprocess.h"
#include "vit/models/labels.h"
#include "vit/models/model.h"

namespace vit {

struct ClassifierParts {
  std::unique_ptr<ImageModel> model{};  ///< its outputs are logits
  Preprocessor preprocessor{};
  ClassLabels labels{};  ///< of its classes
  bool trained = false;
};

}  // namespace vit
