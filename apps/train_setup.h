// From a training configuration to what the trainer is given: model, data, loaders, checkpoint files.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "apps/train_config.h"
#include "vit/image/preprocess.h"
#include "vit/models/model.h"

namespace apps {

/// Everything a run needs, alive as long as it runs.
struct TrainSetup {
  datasets::TrainingData data;
  std::unique_ptr<vit::ImageModel> model;
  vit::Preprocessor preprocessor;
  std::unique_ptr<datasets::Loader> train, val;
  std::map<std::string, std::string> files;  ///< of every checkpoint: config.json, preprocessor_config.json
  std::map<std::string, std::string> facts;  ///< what a resumed run must find unchanged
  std::string start;                         ///< "fine-tuning DIR, new head for 10 classes": for people
};

/// Opens and builds all of it; changes `config` where it leaves a choice to the model (what is frozen under
/// linear_probe and lora). Errors (usage): as the parts.
TrainSetup prepare_training(TrainConfig& config);

}  // namespace apps
