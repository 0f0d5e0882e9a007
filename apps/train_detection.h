// What is different about a run that trains a detector: its pictures' pre-processing, its loaders and its
// task.
#pragma once

#include <string>

#include "apps/train_setup.h"
#include "apps/train_start.h"
#include "detection/model.h"

namespace apps {

/// The family's or the checkpoint's processor, with img_size, keep_ratio, mean, std and interpolation of the
/// configuration.
TrainPixels detector_pixels(const TrainConfig& config, const TrainStart& start, const detection::DetectionModel& model);

/// Loaders, task and bad boxes of a run whose data, model and pre-processing stand. The configuration's criterion
/// becomes complete, and `eval_metric` map where it is a classifier's. Errors (usage): data without boxes, or with none
/// in all of them; as the parts.
void add_detection(TrainSetup& setup, TrainConfig& config, detection::DetectionModel& model);

}  // namespace apps
