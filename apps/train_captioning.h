// What is different about a run that trains a captioner: its tokenizer, its loaders, its task, and the keys that say
// how.
#pragma once

#include <string>

#include "apps/train_setup.h"
#include "apps/train_start.h"
#include "captioning/model.h"

namespace apps {

/// The run's tokenizer, and the model fitted to it: the checkpoint's where it has one, else one that is learnt from the
/// training captions, whose size becomes that of the model's vocabulary. Says which. Errors (usage): data without
/// captions; a checkpoint of a captioner without a tokenizer.
std::string fit_vocabulary(TrainSetup& setup, TrainStart& start, const TrainConfig& config,
                           captioning::CaptionModel& model);

/// Loaders, task and bad captions of a run whose data, model, tokenizer and pre-processing stand. `eval_metric` becomes
/// cider where it is a classifier's. Errors (usage): as the parts.
void add_captioning(TrainSetup& setup, TrainConfig& config, const TrainStart& start, captioning::CaptionModel& model);

}  // namespace apps
