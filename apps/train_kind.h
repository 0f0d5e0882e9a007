// What kind of model a run trains, and which keys of its configuration mean something to that kind.
#pragma once

#include <string>

#include "apps/train_config.h"
#include "vit/models/model.h"

namespace apps {

enum class TrainKind { classifier, detector, captioner };

TrainKind train_kind(const vit::ImageModel& model);

/// Errors (usage): keys are given that mean nothing to this kind of model, which is called `model`.
void require_keys_of(const TrainConfig& config, TrainKind kind, const std::string& model);

}  // namespace apps
