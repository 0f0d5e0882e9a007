// From a training configuration to what the trainer is given: model, data, loaders, checkpoint files.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/train_config.h"
#include "captioning/tokenizer.h"
#include "datasets/box_dataset.h"
#include "datasets/caption_dataset.h"
#include "vit/image/preprocess.h"
#include "vit/models/model.h"
#include "vit/train/task.h"

namespace apps {

/// Everything a run needs, alive as long as it runs.
struct TrainSetup {
  datasets::TrainingData data;
  std::unique_ptr<vit::ImageModel> model;
  vit::Preprocessor preprocessor;
  std::unique_ptr<datasets::Loader> train, val;
  /// A loader of training batches as `train`, with options of its own.
  std::function<std::unique_ptr<datasets::Loader>(const datasets::LoaderConfig&)> make_train_loader;
  std::shared_ptr<const captioning::Tokenizer> tokenizer;        ///< of a captioner
  std::shared_ptr<const datasets::CaptionDataset> val_captions;  ///< what a captioner is judged on
  std::unique_ptr<vit::Task> task;                               ///< what the kind of the model asks for
  std::vector<datasets::BadBox> bad_boxes;                       ///< of the training and the validation data
  std::vector<datasets::BadCaption> bad_captions;                ///< of both
  std::map<std::string, std::string> files;  ///< of every checkpoint: config.json, preprocessor_config.json
  std::map<std::string, std::string> facts;  ///< what a resumed run must find unchanged
  std::string start;                         ///< "fine-tuning DIR, new head for 10 classes": for people
  std::string learns;                        ///< " of 10 classes", behind "100 pictures": for people
};

/// Opens and builds all of it. The model decides what is trained: a detector learns boxes, a captioner sentences,
/// any other model classes of pictures. Changes `config` where it leaves a choice to the model (what is frozen under
/// linear_probe and lora, the criterion of a detector, the figure of a detector or captioner). Errors (usage): as the
/// parts; keys of another kind of model.
TrainSetup prepare_training(TrainConfig& config);

}  // namespace apps
